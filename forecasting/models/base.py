"""The contract of a forecaster, and the table of models."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.heads import Head, Hypotheses, Readout, Single
from forecasting.models.place import PlaceFrame
from forecasting.models.relaxed import effective_maps
from forecasting.plain import call
from forecasting.registry import Registry

__all__ = ["MODELS", "Forecaster", "Hypotheses", "Readout", "build_model"]


class Forecaster(nn.Module, ABC):
    """A model: graphs in, displacements out.

    A forecaster is built from the schema of its inputs and plain arguments, so that a package can name it. It takes any number
    of nodes, with missing history, in any batch; what it returns for one graph never depends on the others.

    Attributes:
        schema: of the graphs it takes.
        needs_training: False for forecasters without parameters.
        place: how nodes' places in the world are measured; None where the model cannot know them.
        relaxed: its relaxed maps; none in a strict network.
        ending: its head.
    """

    needs_training: bool = True
    place: PlaceFrame | None
    ending: Head

    def __init__(self, schema: GraphSchema) -> None:
        super().__init__()
        self.schema = schema
        self.place = None
        self.relaxed = nn.ModuleList()
        self.ending = Single(0, schema)

    @abstractmethod
    def displacement(self, batch: GraphBatch) -> Tensor | Readout:
        """(N, H, 3) or (N, K, H, 3) [L, 1o] displacement of each node from its anchor position; perhaps what a head reads."""

    def forward(self, batch: GraphBatch) -> Hypotheses:
        """Forecast every graph of the batch; planar data stay in their plane."""
        with effective_maps(self.relaxed):
            found = self.displacement(batch)
        moved, known = found if isinstance(found, Readout) else (found, None)
        if moved.dim() == 3:
            moved = moved.unsqueeze(1)
        if self.schema.dim == 2:
            moved = torch.cat([moved[..., :2], torch.zeros_like(moved[..., 2:])], dim=-1)
        out: Hypotheses = self.ending(moved, known, batch)
        return out


MODELS: Registry[Callable[..., Forecaster]] = Registry("model", "forecasting.models", "forecasting.models")


def build_model(name: str, schema: GraphSchema, arguments: Mapping[str, Any]) -> Forecaster:
    """Make the model called `name`.

    Raises:
        UsageError: if there is no such model or it has no such argument; names the nearest.
    """
    return call(MODELS[name], arguments, f"model '{name}'", schema)
