"""What a predictor wants of scenes that are forecast together."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.labels import Labels
from forecasting.trajectories.memory_map import MemoryMap
from forecasting.trajectories.trajectory import Frame, Source
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]


class Group(Protocol):
    """Scenes of one unit, frame and kind of node id, as flat arrays for the model, and the way back to their files."""

    @property
    def rows(self) -> MemoryMap:
        """Observations in the package's unit and frame, with its codes of types."""

    @property
    def members(self) -> Int:
        """(S,) numbers of the scenes in `rows`."""

    @property
    def unit(self) -> Unit:
        """Of the files."""

    @property
    def frame(self) -> Frame:
        """Of the files."""

    @property
    def way_back(self) -> Float:
        """(D, D) the matrix of `back`, for columns of coordinates."""

    def name(self, scene: int) -> str:
        """Of scene number `scene`."""

    def source(self, scene: int) -> Source:
        """Where it came from."""

    def where(self, scene: int) -> str:
        """File and name of a scene, for messages."""

    def back(self, positions: Float) -> Float:
        """(..., D) in the package's unit and frame -> numbers of the file."""

    def labels(self, member: Int) -> tuple[Labels, Labels]:
        """Ids and types of nodes as in the files; nodes are counted through all scenes."""
