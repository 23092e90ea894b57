"""Central forces between pairs of bodies, for many scenes at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.simulators._stepping import Kick
from forecasting.trajectories.simulators._surroundings import Surroundings

Float = NDArray[np.float64]
Weigh = Callable[[Float, Float], None]
"""Fills its second argument with the force by distance of each pair (P, S), from the squared distances (P, S)."""


def all_pairs(bodies: int) -> NDArray[np.int64]:
    """(P, 2) every pair of bodies once."""
    return np.stack(np.triu_indices(bodies, 1), axis=1)


def distances(positions: Float, pairs: NDArray[np.int64]) -> Float:
    """(..., P) distances of pairs (P, 2) at positions (..., N, 3)."""
    return np.linalg.norm(positions[..., pairs[:, 0], :] - positions[..., pairs[:, 1], :], axis=-1)


class PairForces:
    """Forces of all pairs, without temporaries: differences and sums are products with the incidence matrix of the pairs.

    Args:
        pairs: (P, 2) bodies; bodies: N; scenes: S.
        weigh: see `Weigh`; positive numbers push the two bodies apart.
    """

    def __init__(self, pairs: NDArray[np.int64], bodies: int, scenes: int, weigh: Weigh) -> None:
        count, self.weigh = len(pairs), weigh
        self.incidence = np.zeros((count, bodies))
        self.incidence[np.arange(count), pairs[:, 0]] = 1.0
        self.incidence[np.arange(count), pairs[:, 1]] = -1.0
        self.back = np.ascontiguousarray(self.incidence.T)
        self.difference = np.empty((count, 3 * scenes))
        self.square = np.empty((count, 3, scenes))
        self.distance2, self.weight = np.empty((2, count, scenes))
        self.force = np.empty((bodies, 3 * scenes))

    def at(self, x: Float) -> Float:
        """(N, 3, S) force on every body at positions x (N, 3, S); the next call overwrites it."""
        bodies, _, scenes = x.shape
        np.matmul(self.incidence, x.reshape(bodies, -1), out=self.difference)
        difference = self.difference.reshape(-1, 3, scenes)
        np.multiply(difference, difference, out=self.square)
        np.add(self.square[:, 0], self.square[:, 1], out=self.distance2)
        self.distance2 += self.square[:, 2]
        self.weigh(self.distance2, self.weight)
        difference *= self.weight[:, None]
        np.matmul(self.back, self.difference, out=self.force)
        return self.force.reshape(bodies, 3, scenes)


def pair_kick(forces: PairForces, masses: Float, around: Surroundings) -> Kick:
    """Kicks by the forces between bodies of these masses (N, S) and by what else acts, a magnetic field as on charges 1.

    What depends on velocities stands between two halves of the rest (Boris's scheme), which keeps `centred` of second order.
    """
    inverse, charges = 1 / masses[:, None], np.ones_like(masses)

    def kick(x: Float, v: Float, step: float) -> None:
        change = forces.at(x)
        change *= inverse * (step / 2)
        around.push(x, change, step / 2)
        v += change
        around.turn(v, charges, step)
        v += change

    return kick
