"""Errors of several hypotheses, and likelihoods of forecasts that know their scale."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.windows import Int, WindowBatch

Float = NDArray[np.float64]


class SeveralSums:
    """Errors under the two protocols that `ErrorSums` does not follow.

    ``joint``: of each window the hypothesis of least average displacement over all its nodes counts, for all of them (minADE and
    minFDE of a scene); ``likeliest``: the one of largest weight. Distances at the last scored step are those of the hypothesis
    that was chosen by the average.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sums = {name: np.zeros(4) for name in ("joint", "likeliest")}

    def add(self, positions: Float, weights: Float, windows: WindowBatch) -> None:
        """Count forecasts (M, K, H, D) [unit] with weights (W, K)."""
        self.count = positions.shape[1]
        where, valid = windows.window_of_node, windows.future_valid
        away = np.linalg.norm(positions - windows.future[:, None], axis=-1) * valid[:, None]
        cost = np.zeros_like(weights)
        np.add.at(cost, where, away.sum(-1))
        for name, chosen in (("joint", cost.argmin(1)), ("likeliest", weights.argmax(1))):
            self._sums[name] += _sums(away, chosen[where], valid)

    def summary(self) -> dict[str, Any]:
        """Plain values: ``count`` K, and ``ade`` and ``fde`` [unit] of each protocol."""
        found: dict[str, Any] = {"count": self.count}
        for name, (distance, count, final, nodes) in self._sums.items():
            found[name] = {"ade": float(distance / max(count, 1)), "fde": float(final / max(nodes, 1))}
        return found


class LikelihoodSum:
    """Mean negative log-likelihood of Gaussian errors with the predicted scales."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def add(self, positions: Float, scale: Float, windows: WindowBatch) -> None:
        """Count forecasts (M, 1, H, D) [unit] with scales (M, 1, H) [unit]."""
        mean_square = ((positions - windows.future[:, None]) ** 2).mean(-1)
        each = np.log(scale) + 0.5 * mean_square / scale**2 + 0.5 * np.log(2 * np.pi)
        self.total += float((each * windows.future_valid[:, None]).sum())
        self.count += int(windows.future_valid.sum()) * positions.shape[1]

    def mean(self) -> float | None:
        """[nats per coordinate]; None where nothing was scored."""
        return self.total / self.count if self.count else None


def _sums(away: Float, chosen: Int, valid: NDArray[np.bool_]) -> Float:
    """(4,) summed distances, their number, summed distances at the last scored steps, and their number."""
    best = np.take_along_axis(away, chosen[:, None, None], axis=1)[:, 0]
    last = valid.shape[1] - 1 - np.argmax(valid[:, ::-1], axis=1)
    scored = valid.any(axis=1)
    final = np.take_along_axis(best, last[:, None], axis=1)[:, 0]
    return np.array([best.sum(), valid.sum(), final[scored].sum(), scored.sum()])
