"""Training losses over the scored future positions."""

from collections.abc import Callable

from torch import Tensor

from forecasting.graphs.batch import GraphBatch
from forecasting.models.base import Hypotheses

Loss = Callable[[Hypotheses, GraphBatch, int], Tensor]


def mse(forecast: Hypotheses, batch: GraphBatch, dim: int) -> Tensor:
    """() [L²] mean squared error over scored nodes, steps and `dim` coordinates; of each graph's best hypothesis if K > 1."""
    return _best(_errors(forecast, batch).square().sum(-1) / dim, batch)


def distance(forecast: Hypotheses, batch: GraphBatch, dim: int) -> Tensor:
    """() [L] mean distance over scored nodes and steps (what ADE reports); smooth at 0."""
    return _best((_errors(forecast, batch).square().sum(-1) + 1e-12).sqrt(), batch)


LOSSES: dict[str, Loss] = {"mse": mse, "distance": distance}


def _errors(forecast: Hypotheses, batch: GraphBatch) -> Tensor:
    return forecast.displacement - batch.target[:, None]


def _best(costs: Tensor, batch: GraphBatch) -> Tensor:
    """Mean of the costs (N, K, H) where scored, hypotheses chosen per graph."""
    valid = batch.target_valid[:, None].to(costs.dtype)
    costs = (costs * valid).sum(-1)
    if costs.shape[1] == 1:
        return costs.sum() / valid.sum().clamp(min=1)
    per_graph = costs.new_zeros((batch.num_graphs, costs.shape[1])).index_add(0, batch.batch, costs)
    return per_graph.min(dim=1).values.sum() / valid.sum().clamp(min=1)
