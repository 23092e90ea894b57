"""Where a node is in the world: what a network may know of it when translations are relaxed."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from forecasting.graphs.batch import GraphBatch
from forecasting.models._split_map import SplitMap
from forecasting.trajectories.windows import Float

TRANSLATIONS = "translations"
"""First name of a chain whose largest group holds the translations."""


def rotations_of(chain: Sequence[str]) -> Sequence[str]:
    """The groups of a chain, without `TRANSLATIONS`."""
    return chain[1:] if TRANSLATIONS in chain[:1] else chain


class PlaceMap(SplitMap):
    """y = Σ_k γ_k W_k p with the place p of a node: the part of a relaxed map that breaks translations.

    Nothing of it is left out, since no strict layer sees a place: W_0 keeps the rotations about the centre of the places.

    Attributes:
        across: (3, 3) what is read of a place; set to a projector, the map is blind to the other directions.

    Args:
        irreps_out: of y; chain, std: see `SplitMap`.
    """

    first = 0
    across: Tensor

    def __init__(self, irreps_out: str, chain: Sequence[str], std: float = 0.0) -> None:
        super().__init__("1x1o", irreps_out, False, chain, std)
        self.register_buffer("across", torch.eye(3))

    @staticmethod
    def effective_together(maps: Sequence[SplitMap]) -> list[Tensor]:
        """See `SplitMap.effective_together`; (d_out, 3) each."""
        across = [each.get_buffer("across").to(each.matrix) for each in maps]
        return [whole @ seen for whole, seen in zip(SplitMap.effective_together(maps), across, strict=True)]

    def forward(self, place: Tensor) -> Tensor:
        """(…, 3) -> (…, d_out)."""
        return nn.functional.linear(place, self.effective())


class PlaceFrame(nn.Module):
    """From the normalized positions of a batch to places: counted from a centre, about 1 in size.

    Attributes:
        centre: (3,) [unit of the data]; spread: () [unit of the data]; length: () [unit of the data] of the normalization.
    """

    centre: Tensor
    spread: Tensor
    length: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("length", torch.ones(()))

    def fit(self, positions: Float, length: float) -> None:
        """Take centre and size from positions (N, D) [unit] of nodes in training windows; `length` is that of the graphs."""
        centre = torch.from_numpy(positions.mean(0))
        self.centre[: len(centre)] = centre.to(self.centre)
        self.spread.fill_(max(float(((positions - positions.mean(0)) ** 2).mean() ** 0.5), 1e-12 * length))
        self.length.fill_(length)

    def forward(self, batch: GraphBatch) -> Tensor:
        """(N, 3) places at the anchor."""
        away = (batch.origin - self.centre.to(batch.origin)) / self.spread.to(batch.origin)
        position = batch.position[:, -1]
        return away.to(position)[batch.batch] + position * self.scale.to(position)

    @property
    def scale(self) -> Tensor:
        """() place per normalized length."""
        return self.length / self.spread


def place_frame(chain: Sequence[str]) -> PlaceFrame | None:
    """What a network needs to know places; None where its chain keeps translations."""
    return PlaceFrame() if TRANSLATIONS in chain[:1] else None
