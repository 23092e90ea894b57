"""Error metrics, accumulated per window and horizon step.

Protocol: a forecast with K hypotheses counts with the one of least average displacement error per node ("best of K,
marginal"); with K = 1 this is the plain error. Errors are in the unit of the data.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.windows import WindowBatch

Float = NDArray[np.float64]


@dataclass
class ErrorSums:
    """Sums of errors, one row per window.

    Attributes:
        dim: D.
        squared: (W, H) [unit²] summed squared distances; distance: (W, H) [unit] summed distances; count: (W, H).
        final: summed distance at each node's last scored step, per window; nodes: (W,) nodes with a scored step.
    """

    dim: int
    squared: list[Float] = field(default_factory=list)
    distance: list[Float] = field(default_factory=list)
    count: list[Float] = field(default_factory=list)
    final: list[Float] = field(default_factory=list)
    nodes: list[Float] = field(default_factory=list)

    def add(self, positions: Float, windows: WindowBatch) -> None:
        """Count the forecast positions (M, K, H, D) of these windows."""
        valid = windows.future_valid
        away: Float = np.linalg.norm(positions - windows.future[:, None], axis=-1)
        cost = (away * valid[:, None]).sum(-1)
        best = np.take_along_axis(away, cost.argmin(axis=1)[:, None, None], axis=1)[:, 0] * valid
        scored = valid.sum(axis=1) > 0
        last = valid.shape[1] - 1 - np.argmax(valid[:, ::-1], axis=1)
        squared: Float = best**2
        self.squared.append(_per_window(squared, windows))
        self.distance.append(_per_window(best, windows))
        self.count.append(_per_window(valid.astype(np.float64), windows))
        at_last: Float = np.take_along_axis(best, last[:, None], axis=1)[:, 0] * scored
        self.final.append(_per_window(at_last, windows))
        self.nodes.append(_per_window(scored.astype(np.float64), windows))

    def summary(self) -> dict[str, Any]:
        """All metrics as plain values.

        mse: mean squared error per coordinate; ade: mean distance over all scored positions; fde: mean distance at each
        node's last scored step; mpjpe: mean distance at the last horizon step (mean per-joint position error); and per step
        mse and distance.
        """
        squared, distance, count = (np.concatenate(part) for part in (self.squared, self.distance, self.count))
        steps = np.maximum(count.sum(0), 1)
        scored = count.sum(0) > 0
        per_step_mse = squared.sum(0) / steps / self.dim
        per_step_distance = distance.sum(0) / steps
        return {
            "mse": float(squared.sum() / max(count.sum(), 1) / self.dim),
            "ade": float(distance.sum() / max(count.sum(), 1)),
            "fde": float(np.concatenate(self.final).sum() / max(np.concatenate(self.nodes).sum(), 1)),
            "mpjpe": float(per_step_distance[-1]) if scored[-1] else None,
            "mse_per_step": [float(value) if known else None for value, known in zip(per_step_mse, scored, strict=True)],
            "distance_per_step": [
                float(value) if known else None for value, known in zip(per_step_distance, scored, strict=True)
            ],
            "windows": len(count),
            "positions": int(count.sum()),
        }


def _per_window(values: Float, windows: WindowBatch) -> Float:
    sums = np.zeros((len(windows), *values.shape[1:]))
    np.add.at(sums, windows.window_of_node, values)
    return sums
