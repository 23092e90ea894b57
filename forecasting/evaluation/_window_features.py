"""What a moment looks like in numbers: typed means and second moments of its nodes' positions, velocities, accelerations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation._motion import Motion

Float = NDArray[np.float64]

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class Scales:
    """Lengths of which everything is measured: median over nodes, of the data as they are.

    Attributes:
        position [unit], velocity [unit/s], acceleration [unit/s²].
    """

    position: float
    velocity: float
    acceleration: float

    @classmethod
    def of(cls, motion: Motion) -> "Scales":
        """Measure them; 1 where all is 0."""
        return cls(_usual(motion.position), _usual(motion.velocity), _usual(motion.acceleration))


def window_features(motion: Motion, scales: Scales) -> Float:
    """(W, F) means of velocity and acceleration (1o each) and the six 3×3 second moments among position, velocity, acceleration.

    Each vector and matrix A is pressed to A / (1 + |A|), which keeps its direction and bounds outliers, so that moved moments
    have moved features.
    """
    x = [
        motion.position / scales.position,
        motion.velocity / scales.velocity,
        motion.acceleration / scales.acceleration,
    ]
    count = np.bincount(motion.window, minlength=len(motion.scene))[:, None]
    parts = [_sums(motion, values) / count for values in x[1:]]
    parts += [_sums(motion, (x[a][:, :, None] * x[b][:, None, :]).reshape(-1, 9)) / count for a, b in PAIRS]
    return np.concatenate([part / (1 + np.linalg.norm(part, axis=1, keepdims=True)) for part in parts], axis=1)


def _usual(values: Float) -> float:
    length = np.linalg.norm(values, axis=1)
    return float(np.median(length[length > 0])) if length.any() else 1.0


def _sums(motion: Motion, values: Float) -> Float:
    """(W, C) sums over each moment's nodes."""
    starts = np.searchsorted(motion.window, np.arange(len(motion.scene)))
    return np.add.reduceat(values, starts, axis=0)
