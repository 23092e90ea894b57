"""The contract of a forecaster, and the table of models."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.place import PlaceFrame
from forecasting.models.relaxed import effective_maps
from forecasting.plain import call
from forecasting.registry import Registry


class Hypotheses(NamedTuple):
    """What a forecaster returns.

    Attributes:
        displacement: (N, K, H, 3) [L, 1o] from the anchor position of each node.
        weights: (B, K) probability of each hypothesis, summing to 1.
    """

    displacement: Tensor
    weights: Tensor


class Forecaster(nn.Module, ABC):
    """A model: graphs in, displacements out.

    A forecaster is built from the schema of its inputs and plain arguments, so that a package can name it. It takes any number
    of nodes, with missing history, in any batch; what it returns for one graph never depends on the others.

    Attributes:
        schema: of the graphs it takes.
        needs_training: False for forecasters without parameters.
        place: how nodes' places in the world are measured; None where the model cannot know them.
        relaxed: its relaxed maps; none in a strict network.
    """

    needs_training: bool = True
    place: PlaceFrame | None

    def __init__(self, schema: GraphSchema) -> None:
        super().__init__()
        self.schema = schema
        self.place = None
        self.relaxed = nn.ModuleList()

    @abstractmethod
    def displacement(self, batch: GraphBatch) -> Tensor:
        """(N, H, 3) or (N, K, H, 3) [L, 1o] displacement of each node from its anchor position."""

    def forward(self, batch: GraphBatch) -> Hypotheses:
        """Forecast every graph of the batch; planar data stay in their plane."""
        with effective_maps(self.relaxed):
            moved = self.displacement(batch)
        if moved.dim() == 3:
            moved = moved.unsqueeze(1)
        if self.schema.dim == 2:
            moved = torch.cat([moved[..., :2], torch.zeros_like(moved[..., 2:])], dim=-1)
        weights = moved.new_full((batch.num_graphs, moved.shape[1]), 1 / moved.shape[1])
        return Hypotheses(moved, weights)


MODELS: Registry[Callable[..., Forecaster]] = Registry("model", "forecasting.models", "forecasting.models")


def build_model(name: str, schema: GraphSchema, arguments: Mapping[str, Any]) -> Forecaster:
    """Make the model called `name`.

    Raises:
        UsageError: if there is no such model or it has no such argument; names the nearest.
    """
    return call(MODELS[name], arguments, f"model '{name}'", schema)
