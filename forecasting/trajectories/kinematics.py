"""Derivatives that look back only."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]


def backward_velocity(position: Float, valid: Bool, step_time: Float) -> tuple[Float, Bool]:
    """Velocity at each frame from that frame and the one before it.

    Args:
        position: (M, T, D) [unit] history, oldest first.
        valid: (M, T).
        step_time: (M,) [s] time between two history frames.

    Returns:
        (M, V, D) [unit/s] with V = max(T − 1, 1): the velocity at frames 1 … T − 1, and its validity (M, V). With T = 1
        nothing is known: one velocity of 0, not valid.
    """
    nodes, frames, dim = position.shape
    if frames == 1:
        return np.zeros((nodes, 1, dim)), np.zeros((nodes, 1), dtype=bool)
    known = valid[:, 1:] & valid[:, :-1]
    velocity = (position[:, 1:] - position[:, :-1]) / step_time[:, None, None]
    return velocity * known[..., None], known
