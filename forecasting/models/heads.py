"""What is made of a network's last layer: one forecast, several with their probabilities, or one with its error."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from math import expm1, log
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from forecasting.errors import UsageError
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.aggregate import graph_mean
from forecasting.plain import call
from forecasting.registry import Registry

MOST = 64
"""Hypotheses."""
_TINY = 1e-6


class Hypotheses(NamedTuple):
    """What a forecaster returns.

    Attributes:
        displacement: (N, K, H, 3) [L, 1o] from the anchor position of each node.
        weights: (B, K) probability of each hypothesis, summing to 1.
        scale: (N, K, H) [L, 0e] standard deviation of each coordinate of the error, which has no direction; None where the
            forecaster does not know it.
    """

    displacement: Tensor
    weights: Tensor
    scale: Tensor | None = None


class Readout(NamedTuple):
    """What a network has to say of its nodes before a head.

    Attributes:
        displacement: (N, H, 3) or (N, K, H, 3) [L, 1o] from the anchor positions.
        known: (N, F) [0e] its last scalars; None of a network that takes no head.
    """

    displacement: Tensor
    known: Tensor | None = None


class Head(nn.Module, ABC):
    """Makes hypotheses of what a network reads out; equivariant where its network is, since it adds scalars only.

    Attributes:
        count: K; the network must read out K · H vectors of each node.

    Args:
        width: F of the network's last scalars.
        schema: of its graphs.
    """

    count: int = 1

    def __init__(self, width: int, schema: GraphSchema) -> None:
        super().__init__()
        self.width, self.horizon = width, schema.horizon

    @abstractmethod
    def forward(self, displacement: Tensor, known: Tensor | None, batch: GraphBatch) -> Hypotheses:
        """From (N, K, H, 3) [L] and (N, F)."""


HEADS: Registry[Callable[..., Head]] = Registry("head", "forecasting.models", "forecasting.heads")


@HEADS.register("single")
class Single(Head):
    """The forecast as it is; several of a network that has them by itself are equally likely."""

    def forward(self, displacement: Tensor, known: Tensor | None, batch: GraphBatch) -> Hypotheses:
        """See `Head.forward`."""
        count = displacement.shape[1]
        return Hypotheses(displacement, displacement.new_full((batch.num_graphs, count), 1 / count))


class _Learned(Head):
    """A head with a perceptron of a node's scalars, whose last layer starts at 0."""

    def __init__(self, width: int, schema: GraphSchema, outputs: int) -> None:
        super().__init__(width, schema)
        if width < 1:
            raise UsageError("this network has no scalars that a head could read; take head={name: single}")
        last = nn.Linear(width, outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)

    def read(self, known: Tensor) -> Tensor:
        """(N, outputs), in the precision of the weights under autocast too."""
        with torch.autocast(known.device.type, enabled=False):
            out: Tensor = self.net(known.to(next(self.net.parameters()).dtype))
        return out


@HEADS.register("hypotheses")
class Several(_Learned):
    """K forecasts of a whole graph, and how likely each is: a softmax of the mean over the nodes of what each one says.

    They differ at first by the random weights of the last layer; the loss lets the best of a graph learn, and the others a
    little (`objectives.losses`).

    Args:
        width, schema: see `Head`.
        count: K.

    Raises:
        UsageError: if K is not from 2 to `MOST`.
    """

    def __init__(self, width: int, schema: GraphSchema, count: int = 5) -> None:
        if type(count) is not int or not 2 <= count <= MOST:
            raise UsageError(f"head 'hypotheses': count must be from 2 to {MOST}, found {count}; one forecast is head 'single'")
        super().__init__(width, schema, count)
        self.count = count

    def forward(self, displacement: Tensor, known: Tensor | None, batch: GraphBatch) -> Hypotheses:
        """See `Head.forward`."""
        logits = self.read(_given(known))
        everyone = torch.ones(logits.shape[0], dtype=torch.bool, device=logits.device)
        return Hypotheses(displacement, graph_mean(logits, batch, everyone).softmax(dim=-1).to(displacement.dtype))


@HEADS.register("scale")
class Scaled(_Learned):
    """One forecast, and the standard deviation of its error at every step.

    Scales are a softplus of what the nodes' scalars say, in proportion to the lead time, since nothing is unknown in no time.

    Args:
        width, schema: see `Head`.
        start: [L] scale of the last step at the start of training.

    Raises:
        UsageError: if `start` is not positive.
    """

    def __init__(self, width: int, schema: GraphSchema, start: float = 0.1) -> None:
        if isinstance(start, bool) or not isinstance(start, int | float) or not 0 < start < 100:
            raise UsageError(f"head 'scale': start must be a length above 0 and below 100, found {start}")
        super().__init__(width, schema, schema.horizon)
        self.bias = log(expm1(start))

    def forward(self, displacement: Tensor, known: Tensor | None, batch: GraphBatch) -> Hypotheses:
        """See `Head.forward`."""
        share = (batch.lead / batch.lead[:, -1:])[batch.batch]
        scale = (softplus(self.read(_given(known)) + self.bias) + _TINY) * share
        weights = displacement.new_ones((batch.num_graphs, 1))
        return Hypotheses(displacement, weights, scale[:, None].to(displacement.dtype))


def build_head(choice: Mapping[str, Any] | None, width: int, schema: GraphSchema) -> Head:
    """Make the head that a user chose.

    Args:
        choice: its ``name`` and arguments; None for the head ``single``.
        width, schema: see `Head`.

    Raises:
        UsageError: if there is no such head or it has no such argument; names the nearest.
    """
    if choice is None:
        return Single(width, schema)
    if not isinstance(choice, Mapping) or not isinstance(choice.get("name"), str):
        raise UsageError(f"head is {choice!r}, expected its name and arguments, such as {{name: hypotheses, count: 5}}")
    arguments = {key: value for key, value in choice.items() if key != "name"}
    return call(HEADS[choice["name"]], arguments, f"head '{choice['name']}'", width, schema)


def _given(known: Tensor | None) -> Tensor:
    if known is None:
        raise UsageError("this network reads out no scalars, so it takes no head but 'single'")
    return known
