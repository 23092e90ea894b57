"""Rolling origins: learn from all that was before an origin in time, and be tested on the block after it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.plain import pick
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.memory_map import MemoryMap
from forecasting.trajectories.windows import Int, WindowSpec

ROUNDING = 1e-6
"""Of a clock, in frames."""


@dataclass(frozen=True)
class RollingSplit:
    """Time cut into folds + 1 blocks of one length; the origin of fold k = 1 … folds is the end of block k.

    Before the origin is training, the last part of it validation; the block after the origin is the test. No window crosses a
    cut, so neither a window nor what is measured on the training windows knows a frame behind the origin.

    Attributes:
        folds: K, number of origins; fold: k, which of them.
        validation: share of the time before the origin that chooses the weights.
        clock: ``scene`` cuts every scene's own time; ``recording`` cuts the time that all scenes share, where they are
            parts of one recording.
    """

    folds: int
    fold: int
    validation: float = 0.2
    clock: str = "scene"

    def __post_init__(self) -> None:
        if not 1 <= self.fold <= self.folds:
            raise UsageError(f"split: fold must be from 1 to folds={self.folds}, found {self.fold}")
        if not 0 < self.validation < 1:
            raise UsageError(f"split: validation must be between 0 and 1, found {self.validation}")
        pick(CLOCKS, self.clock, "split.clock")

    def anchors(self, dataset: Dataset, spec: WindowSpec) -> dict[str, Int]:
        """Partition -> (W, 2) scene and grid frame of each window's anchor; every window lies between two cuts."""
        origin, block = self.fold / (self.folds + 1), 1 / (self.folds + 1)
        frame = CLOCKS[self.clock](dataset.rows)
        cuts = [frame(share) for share in (0.0, origin * (1 - self.validation), origin, origin + block)]
        anchors = dataset.anchors(spec)
        of, first, last = anchors[:, 0], anchors[:, 1] - spec.past, anchors[:, 1] + spec.future
        return {
            name: anchors[(first >= start[of]) & (last < end[of])]
            for name, start, end in zip(("train", "validation", "test"), cuts[:-1], cuts[1:], strict=True)
        }


def _of_scene(rows: MemoryMap) -> Callable[[float], Int]:
    """Share of each scene's own time -> (S,) its first frame from there on."""
    lengths = np.diff(rows.grid_offsets)
    return lambda share: _up(share * lengths)


def _of_recording(rows: MemoryMap) -> Callable[[float], Int]:
    """Share of the time of all scenes together -> (S,) each scene's first frame from there on."""
    lengths, begin = np.diff(rows.grid_offsets), rows.grid_time[rows.grid_offsets[:-1]]
    start, end = begin.min(), (begin + lengths * rows.dt).max()
    return lambda share: np.clip(_up((start + share * (end - start) - begin) / rows.dt), 0, lengths)


def _up(frames: NDArray[np.float64]) -> Int:
    return np.ceil(frames - ROUNDING).astype(np.int64)


CLOCKS: dict[str, Callable[[MemoryMap], Callable[[float], Int]]] = {"scene": _of_scene, "recording": _of_recording}
