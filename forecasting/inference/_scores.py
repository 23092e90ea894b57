"""Conformal quantiles of scores that come in groups, of which only whole groups are alike."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from forecasting.inference.intervals import Axes
from forecasting.trajectories.windows import Bool, Int

Float = NDArray[np.float64]
_ROUNDING = 1e-9
SHAPED_BY = 5
"""Every fifth group gives the shapes of regions, the others their sizes."""


def needed(level: float) -> int:
    """Groups that a quantile at this level needs: n / (n + 1) must reach it."""
    return ceil(level / (1 - level) - _ROUNDING)


def conformal_quantiles(scores: Float, group: Int, levels: tuple[float, ...]) -> Float | None:
    """(L,) the smallest q with Σ_i Σ_j 1[s_ij ≤ q] / ((n + 1) m_i) ≥ level, for n groups i of m_i scores (S,).

    A score drawn from one more group, exchangeable with these, is then at most q with at least that probability, whatever the
    scores within a group have to do with each other ("pooling CDFs" of Dunn, Wasserman and Ramdas, JASA 2023; hierarchical
    conformal prediction of Lee, Barber and Willett, 2023; with m_i = 1, split conformal prediction).

    Returns:
        None if there are too few groups for the highest level.
    """
    names, place, count = np.unique(group, return_inverse=True, return_counts=True)
    if len(names) < needed(max(levels)):
        return None
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / ((len(names) + 1) * count[place][order]))
    chosen = np.searchsorted(reached, np.array(levels) - _ROUNDING)
    quantiles: Float = scores[order][np.minimum(chosen, len(scores) - 1)]
    return quantiles


@dataclass(frozen=True, eq=False)
class Errors:
    """What calibration knows of forecasts of M nodes.

    Attributes:
        away: (M, K, H, D) truth minus forecast, divided by the predicted scale where there is one.
        valid: (M, H) where the truth is known.
        velocity: (M, D) at the anchor, 0 where unknown.
        kind: (M,) type of the node; group: (M,) of those that are exchangeable.
    """

    away: Float
    valid: Bool
    velocity: Float
    kind: Int
    group: Int

    def of(self, rows: Bool) -> "Errors":
        """Those of some nodes."""
        return Errors(*(getattr(self, name)[rows] for name in ("away", "valid", "velocity", "kind", "group")))

    def parted(self) -> tuple["Errors", "Errors"]:
        """The groups that give shapes, and those that give sizes; each group is in one of them."""
        place = np.unique(self.group, return_inverse=True)[1]
        shapes = place % SHAPED_BY == SHAPED_BY - 1
        return self.of(shapes), self.of(~shapes)

    def sizes(self, axes: Axes | None) -> Float:
        """(M, K, H) size of the errors: their length, or in units of ellipsoids."""
        if axes is None:
            found: Float = np.linalg.norm(self.away, axis=-1)
            return found
        shape = axes.shapes(self.velocity, self.kind)[:, None]
        solved = np.linalg.solve(shape, self.away[..., None])[..., 0]
        return np.sqrt(np.maximum((self.away * solved).sum(-1), 0.0))

    def nearest(self) -> Float:
        """(M, H, D) error of each node's nearest hypothesis at each step."""
        best = np.linalg.norm(self.away, axis=-1).argmin(axis=1)
        chosen: Float = np.take_along_axis(self.away, best[:, None, :, None], axis=1)[:, 0]
        return chosen
