"""Even clocks: which grid frame an observation belongs to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Clock:
    """Frames of every scene on an even grid of the scene's own step.

    Attributes:
        grid: (R,) grid frame of each row within its scene.
        offsets: (S + 1,) first grid frame of each scene.
        time: (G,) [s] time of each grid frame, NaN where there is no frame.
        error: (S,) largest distance of a frame from its grid point, in steps.
        dt: (S,) [s] step of the grid.
    """

    grid: NDArray[np.int64]
    offsets: NDArray[np.int64]
    time: NDArray[np.float64]
    error: NDArray[np.float64]
    dt: NDArray[np.float64]

    @classmethod
    def of(cls, scene: NDArray[np.int64], time: NDArray[np.float64], dt: NDArray[np.float64]) -> "Clock":
        """The grid of rows ordered by scene and time.

        Args:
            scene: (R,) number of the scene from 0, every scene with a row at least; time: (R,) [s]; dt: (S,) [s] median steps.
        """
        step = np.where(dt > 0, dt, 1.0)
        first = np.searchsorted(scene, np.arange(len(dt) + 1))
        since = (time - time[first[:-1]][scene]) / step[scene]
        grid = np.rint(since).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(grid[first[1:] - 1] + 1)])
        error = np.maximum.reduceat(np.abs(since - grid), first[:-1])
        clock_time = np.full(offsets[-1], np.nan)
        clock_time[offsets[scene] + grid] = time
        same_place = (np.diff(grid) == 0) & (np.diff(scene) == 0) & (np.diff(time) != 0)
        error[scene[1:][same_place]] = 1.0
        return cls(grid, offsets, clock_time, error, step)
