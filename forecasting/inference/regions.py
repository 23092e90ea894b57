"""Regions around forecast positions: balls, or ellipsoids that turn with the scene."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.trajectories.windows import Bool, Int

Float = NDArray[np.float64]
_ISOTROPIC = 1e-9


@dataclass(frozen=True)
class Interval:
    """Which regions to give with a forecast.

    Attributes:
        levels: the share of truths that each is to hold, for instance ``(0.9,)``.
        joint: whether a region holds the whole way of a node at once, or each step by itself.
    """

    levels: tuple[float, ...]
    joint: bool = False


@dataclass(frozen=True, eq=False)
class Regions:
    """One region for each forecast position; that of a node at a step is the union of those around its hypotheses.

    Attributes:
        radius: (N, K, H) [unit] of a ball, or the geometric mean of an ellipsoid's semi-axes; NaN where there is no region.
        shape: (N, K, H, D, D) S with determinant 1, of the ellipsoids |S^(-1/2) (x − centre)| ≤ radius; None for balls.
    """

    radius: Float
    shape: Float | None = None

    def __getitem__(self, nodes: slice | Int) -> "Regions":
        return Regions(self.radius[nodes], None if self.shape is None else self.shape[nodes])

    def sizes(self, away: Float) -> Float:
        """(N, K, H) how far points (N, K, H, D), counted from the forecast positions, lie in the measure of `radius`."""
        if self.shape is None:
            size: Float = np.linalg.norm(away, axis=-1)
            return size
        solved = np.linalg.solve(self.shape, away[..., None])[..., 0]
        return np.sqrt(np.maximum((away * solved).sum(-1), 0.0))

    def holds(self, away: Float) -> Bool:
        """(N, K, H) whether the points, counted from the forecast positions, lie in their region."""
        inside: Bool = self.sizes(away) <= self.radius
        return inside

    def carried(self, matrix: Float) -> "Regions":
        """The regions of positions that go through the linear map (D, D): a turn, another unit, one unit for each axis."""
        gram, dim = matrix.T @ matrix, len(matrix)
        factor = np.trace(gram) / dim
        if self.shape is None and np.abs(gram - factor * np.eye(dim)).max() <= _ISOTROPIC * factor:
            return Regions(self.radius * np.sqrt(factor))
        shape = np.eye(dim) if self.shape is None else self.shape
        moved = np.broadcast_to(matrix @ shape @ matrix.T, (*self.radius.shape, dim, dim))
        volume = np.linalg.det(moved) ** (1 / dim)
        return Regions(self.radius * np.sqrt(volume), moved / volume[..., None, None])

    def matrices(self, dim: int) -> Float:
        """(N, K, H, D, D) Q of the ellipsoids (x − centre)ᵀ Q⁻¹ (x − centre) ≤ 1; of balls as well."""
        shape = np.eye(dim) if self.shape is None else self.shape
        matrices: Float = self.radius[..., None, None] ** 2 * shape
        return matrices

    def columns(self, level: float) -> dict[str, Float]:
        """Columns of a table, one row for each node, hypothesis and step; of ellipsoids also the entries of `matrices`."""
        percent = percentage(level)
        found = {f"radius_{percent}": self.radius.reshape(-1)}
        if self.shape is not None:
            dim = self.shape.shape[-1]
            entries = self.matrices(dim)
            for row in range(dim):
                for column in range(row, dim):
                    found[f"shape_{percent}_{'xyz'[row]}{'xyz'[column]}"] = entries[..., row, column].reshape(-1)
        return found

    def spread(self, places: list[int], steps: int) -> "Regions":
        """The regions at these of `steps` steps, and none at the others."""
        radius = np.full((*self.radius.shape[:2], steps), np.nan)
        radius[:, :, places] = self.radius
        if self.shape is None:
            return Regions(radius)
        dim = self.shape.shape[-1]
        shape = np.broadcast_to(np.eye(dim), (*radius.shape, dim, dim)).copy()
        shape[:, :, places] = self.shape
        return Regions(radius, shape)


def percentage(level: float) -> str:
    """0.9 as ``90``, 0.975 as ``97.5``."""
    return f"{100 * level:.10g}"


def checked_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Levels in order, each once.

    Raises:
        UsageError: if one is not between 0 and 1, or there is none.
    """
    for level in levels:
        if not 0 < level < 1:
            raise UsageError(f"a level lies between 0 and 1, for instance 0.9; found {level:g}")
    if not levels:
        raise UsageError("name at least one level, for instance 0.9")
    return tuple(sorted(set(levels)))
