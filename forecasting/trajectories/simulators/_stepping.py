"""Two ways to step bodies through time that keep every symmetry of the forces, to round-off.

Arrays have the scenes last, (N, 3, S), so that each operation runs over all of them; frames come out as (S, T, N, 3).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Kick = Callable[[Float, Float, float], None]
"""Changes the velocities v (N, 3, S) in place over a time step [s] at positions x (N, 3, S): kick(x, v, step)."""
Stepping = Callable[[Float, Float, Kick, float, int, int], tuple[Float, Float]]
"""What `staggered` and `centred` are."""


def staggered(x: Float, v: Float, kick: Kick, step: float, steps: int, every: int) -> tuple[Float, Float]:
    """Kick, then drift and kick over and over; velocities belong half a step before their positions.

    A frame is what is there before a kick, so that going on from a frame is the same motion. Reversed velocities lead back the
    same way if they are first kicked once.

    Args:
        x, v: (N, 3, S) at the start; changed in place.
        kick: see `Kick`.
        step: [s].
        steps: number of kicks, at least one more than `every`.
        every: steps between frames.

    Returns:
        Positions and velocities (S, T, N, 3), T = (steps − 1) // every; the start is not among them.
    """
    positions, velocities = _room(x, (steps - 1) // every)
    drift = np.empty_like(x)
    for index in range(steps):
        if index:
            np.multiply(v, step, out=drift)
            x += drift
            if index % every == 0:
                positions[:, index // every - 1] = x.transpose(2, 0, 1)
                velocities[:, index // every - 1] = v.transpose(2, 0, 1)
        kick(x, v, step)
    return positions, velocities


def centred(x: Float, v: Float, kick: Kick, step: float, steps: int, every: int) -> tuple[Float, Float]:
    """Half a kick, drift, half a kick (Verlet's velocity form); velocities belong to their positions.

    Where kicks depend on positions alone, reversed velocities lead back the same way to round-off. Arguments and results are
    those of `staggered`.
    """
    frames = (steps - 1) // every
    positions, velocities = _room(x, frames)
    drift = np.empty_like(x)
    for frame in range(frames):
        kick(x, v, step / 2)
        for left in reversed(range(every)):
            np.multiply(v, step, out=drift)
            x += drift
            kick(x, v, step if left else step / 2)
        positions[:, frame], velocities[:, frame] = x.transpose(2, 0, 1), v.transpose(2, 0, 1)
    return positions, velocities


def _room(x: Float, frames: int) -> tuple[Float, Float]:
    bodies, _, scenes = x.shape
    positions, velocities = np.empty((2, scenes, frames, bodies, 3))
    return positions, velocities
