"""Sums of errors and residuals, per node type and horizon step; they take the same memory for any number of windows."""

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation._moved_windows import Moved
from forecasting.trajectories.windows import Bool, WindowBatch

Float = NDArray[np.float64]


class Tally:
    """Errors of forecasts of moved copies, and how far they are from the moved forecasts.

    Args:
        types: number of node types; steps: H; dim: D.
    """

    def __init__(self, types: int, steps: int, dim: int) -> None:
        self.dim = dim
        self.squared, self.distance, self.count, self.away, self.size = np.zeros((5, types, steps))

    def add(self, found: Float, plain: Float, moved: Moved, anchor: Float) -> None:
        """Count forecasts of a copy.

        Args:
            found: (M', K, H, D) forecast of the copy.
            plain: (M, K, H, D) forecast of the original.
            moved: the copy.
            anchor: (M, D) anchor positions of the original.
        """
        expected = moved.carry(plain[moved.nodes])
        start = moved.carry(anchor[moved.nodes])[:, None, None]
        kind, valid = moved.windows.node_type, moved.windows.future_valid
        best = best_distances(found, moved.windows) / moved.scale
        for sums, values in (
            (self.squared, best**2 * valid),
            (self.distance, best * valid),
            (self.count, valid),
            (self.away, ((found - expected) ** 2).sum(axis=(1, 3))),
            (self.size, ((expected - start) ** 2).sum(axis=(1, 3))),
        ):
            np.add.at(sums, kind, values)

    def mse(self, where: Bool | None = None) -> float | None:
        """[unit²] mean squared error per coordinate, over the entries (types, H) that `where` picks."""
        return self._mean(self.squared, where, self.dim)

    def ade(self, where: Bool | None = None) -> float | None:
        """[unit] mean distance."""
        return self._mean(self.distance, where)

    def residual(self, where: Bool | None = None) -> float | None:
        """√(Σ|f(g x) − g f(x)|² / Σ|g f(x) − g anchor|²); None where nothing was forecast to move."""
        size = _picked(self.size, where).sum()
        return float(np.sqrt(_picked(self.away, where).sum() / size)) if size > 0 else None

    def _mean(self, sums: Float, where: Bool | None, share: int = 1) -> float | None:
        count = _picked(self.count, where).sum()
        return float(_picked(sums, where).sum() / count / share) if count else None


def best_distances(positions: Float, windows: WindowBatch) -> Float:
    """(M, H) [unit] distance from the truth of each node's best hypothesis, as in `ErrorSums`; positions (M, K, H, D)."""
    away: Float = np.linalg.norm(positions - windows.future[:, None], axis=-1)
    cost = (away * windows.future_valid[:, None]).sum(-1)
    best: Float = np.take_along_axis(away, cost.argmin(axis=1)[:, None, None], axis=1)[:, 0]
    return best


def _picked(sums: Float, where: Bool | None) -> Float:
    return sums if where is None else sums[where]
