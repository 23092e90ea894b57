"""Prices by trial: transform the batch and compare, for networks that no projector sees whole."""

import numpy as np
import torch
from torch import Tensor

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.base import Hypotheses
from forecasting.relaxation.base import Moment, Price
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.groups.base import LinearGroup
from forecasting.symmetry.residual import BatchFields, Typed

_NOWHERE = np.zeros(3)


def drawn(group: LinearGroup) -> np.ndarray:
    """(3, 3) a Haar-random element, from torch's generator, so that a continued run draws the same."""
    seed = int(torch.randint(2**62, (1,)))
    return group.sample(np.random.default_rng(seed), 1)[0]


def turned(batch: GraphBatch, schema: GraphSchema, element: np.ndarray) -> GraphBatch:
    """The batch moved by an orthogonal matrix (3, 3), every field by its irreps, targets too."""
    return BatchFields.of(schema.specs).act(batch, element, _NOWHERE)


class SampledPrice(Price):
    """λ ⟨|f(g x) − g f(x)|²⟩ over scored entries, one random g of the group a step: unbiased, at the cost of a second pass.

    Args:
        strength: λ; group: of g.
    """

    def __init__(self, strength: float = 1.0, group: str = "SO(3)") -> None:
        super().__init__()
        self.strength, self.group = strength, parse_group(group)

    def forward(self, moment: Moment) -> Tensor:
        """See `Price.forward`."""
        element = drawn(self.group)
        moved = moment.model(turned(moment.batch, moment.schema, element)).displacement
        expected = Typed("1o").act(moment.forecast.displacement, element, _NOWHERE)
        scored = moment.batch.target_valid[:, None].to(moved.dtype)
        squares = (moved - expected).square().sum(-1) * scored
        return self.strength * squares.sum() / (scored.sum().clamp(min=1) * moved.shape[1])


class AnchoredPrice(Price):
    """λ times the loss of a transformed batch against the transformed truth (REMUL, Elhag et al., 2024).

    Args:
        strength: λ; group: of the transform.
    """

    def __init__(self, strength: float = 1.0, group: str = "SO(3)") -> None:
        super().__init__()
        self.strength, self.group = strength, parse_group(group)

    def forward(self, moment: Moment) -> Tensor:
        """See `Price.forward`."""
        moved = turned(moment.batch, moment.schema, drawn(self.group))
        forecast: Hypotheses = moment.model(moved)
        return self.strength * moment.loss(forecast, moved)
