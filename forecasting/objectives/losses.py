"""Training losses over the scored future positions.

A loss names what an error costs; what becomes of the costs depends on what the forecaster says:

- one forecast: their mean;
- with a scale: the negative log-likelihood of the errors, per coordinate, under the isotropic density that belongs to the cost:
  the Gaussian to the squared error, the multivariate Laplace density (its logarithm falls with the distance; Gómez,
  Gómez-Villegas and Marín, 1998) to the distance;
- several hypotheses: the best of each graph learns, and the others a little, so that none is forgotten (relaxed winner takes
  all, Rupprecht et al., ICCV 2017); weights learn by cross-entropy which one was best, and a nat of that is
  worth the mean cost of a position.

All but that mean are sums over positions: of a batch in parts, the losses of the parts, weighted by their shares of scored
positions, make the loss of the batch where each is told the mean of the whole (`mean_cost` of the parts, averaged likewise).
"""

from math import lgamma, log, pi, sqrt
from typing import Protocol

import torch
from torch import Tensor

from forecasting.graphs.batch import GraphBatch
from forecasting.models.base import Hypotheses

SHARE_OF_LOSERS = 0.05
BETA = 0.5


class Loss(Protocol):
    """What a forecast costs."""

    def __call__(self, forecast: Hypotheses, batch: GraphBatch, dim: int, worth: float | None = None) -> Tensor:
        """() mean over what is scored.

        Args:
            forecast: of the batch; batch: with targets; dim: of the data.
            worth: of a nat of the weights of several hypotheses, in each scored position; by default the mean cost of the batch.
                Where there is a scale, costs are nats themselves.
        """


def mse(forecast: Hypotheses, batch: GraphBatch, dim: int, worth: float | None = None) -> Tensor:
    """() [L²] mean squared error over scored nodes, steps and `dim` coordinates; see the module for scales and hypotheses."""
    squared = _squared(forecast, batch) / dim
    if forecast.scale is None:
        return _composed(squared, forecast, batch, worth)
    spread = forecast.scale
    return _composed(_pitted(gaussian_nll(squared, spread), spread), forecast, batch, worth)


def distance(forecast: Hypotheses, batch: GraphBatch, dim: int, worth: float | None = None) -> Tensor:
    """() [L] mean distance over scored nodes and steps (what ADE reports); smooth at 0; see the module."""
    away = (_squared(forecast, batch) + 1e-12).sqrt()
    if forecast.scale is None:
        return _composed(away, forecast, batch, worth)
    spread = forecast.scale
    return _composed(_pitted(laplace_nll(away, spread, dim), spread), forecast, batch, worth)


LOSSES: dict[str, Loss] = {"mse": mse, "distance": distance}


def mean_cost(loss: Loss, forecast: Hypotheses, batch: GraphBatch, dim: int) -> Tensor:
    """() what `loss` comes to without the cross-entropy of the weights: the mean cost of a scored position."""
    return loss(forecast, batch, dim, worth=0.0)


def gaussian_nll(squared: Tensor, scale: Tensor) -> Tensor:
    """[nats] −log of the normal density, per coordinate, of errors with this mean squared coordinate."""
    return scale.log() + 0.5 * squared / scale.square() + 0.5 * log(2 * pi)


def laplace_nll(away: Tensor, scale: Tensor, dim: int) -> Tensor:
    """[nats] −log p / D, per coordinate, for p ∝ exp(−√(D + 1) |e| / σ): the density with standard deviation σ per coordinate."""
    rate = sqrt(dim + 1)
    constant = log(2) + 0.5 * dim * log(pi) - lgamma(dim / 2) + lgamma(dim) - dim * log(rate)
    return scale.log() + (rate * away / scale + constant) / dim


def _squared(forecast: Hypotheses, batch: GraphBatch) -> Tensor:
    """(N, K, H) squared distances."""
    return (forecast.displacement - batch.target[:, None]).square().sum(-1)


def _pitted(cost: Tensor, scale: Tensor) -> Tensor:
    """The costs, with gradients times σ^(2β): a position whose scale is large learns nearly as much as others do.

    Plain likelihoods stop learning where errors are large, as there the scale is soon large too (Seitzer et al., ICLR 2022).
    """
    weight = scale.detach() ** (2 * BETA)
    return weight * cost + ((1 - weight) * cost).detach()


def _composed(costs: Tensor, forecast: Hypotheses, batch: GraphBatch, worth: float | None) -> Tensor:
    """Mean of the costs (N, K, H) where scored; of several hypotheses see the module."""
    valid = batch.target_valid[:, None].to(costs.dtype)
    costs, scored = (costs * valid).sum(-1), valid.sum().clamp(min=1)
    count = costs.shape[1]
    if count == 1:
        return costs.sum() / scored
    per_graph = costs.new_zeros((batch.num_graphs, count)).index_add(0, batch.batch, costs)
    best = per_graph.min(dim=1)
    learned = (1 - SHARE_OF_LOSERS) * best.values + SHARE_OF_LOSERS * (per_graph.sum(1) - best.values) / (count - 1)
    chosen = forecast.weights.gather(1, best.indices[:, None])[:, 0]
    surprise = -chosen.clamp(min=torch.finfo(chosen.dtype).tiny).log()
    return (learned + _worth(learned, forecast, batch, worth) * surprise).sum() / scored


def _worth(learned: Tensor, forecast: Hypotheses, batch: GraphBatch, worth: float | None) -> Tensor:
    """(B,) what a nat of the weights is worth: in each scored position the mean cost of the batch, or a nat where costs are nats.

    The cost of the graph itself would let outcomes that cost much seem likelier than they are.
    """
    scored = learned.new_zeros(len(learned)).index_add(0, batch.batch, batch.target_valid.sum(-1).to(learned.dtype))
    if forecast.scale is not None:
        return scored
    return scored * (learned.detach().sum() / scored.sum().clamp(min=1) if worth is None else worth)
