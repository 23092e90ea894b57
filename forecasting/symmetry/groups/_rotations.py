"""Many rotations at once: random, about an axis, and at the nodes of exact quadratures."""

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry._representations import cross_matrices
from forecasting.symmetry.transforms import random_rotation

Array = NDArray[np.float64]


def about(axis: Array, turns: Array) -> Array:
    """(n, 3, 3) rotations about the unit vector `axis` (3,) by `turns` (n,) [rad]."""
    cross = cross_matrices(axis[None])[0]
    sine, cosine = np.sin(turns)[:, None, None], np.cos(turns)[:, None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def angles(degree: int) -> Array:
    """(degree + 1,) angles [rad] whose mean integrates trigonometric polynomials of this degree exactly."""
    return 2 * np.pi * np.arange(degree + 1) / (degree + 1)


def random_rotations(rng: np.random.Generator, count: int) -> Array:
    """(count, 3, 3) Haar-uniform rotations."""
    return np.array([random_rotation(rng) for _ in range(count)]).reshape(count, 3, 3)


def rotations_up_to(degree: int) -> tuple[Array, Array]:
    """Rotations (q, 3, 3) and weights (q,) that integrate polynomials of this degree exactly (Euler angles z, y, z)."""
    cosines, gauss = np.polynomial.legendre.leggauss(degree // 2 + 1)
    around = about(np.array([0.0, 0.0, 1.0]), angles(degree))
    tilted = about(np.array([0.0, 1.0, 0.0]), np.arccos(cosines))
    rotations = np.einsum("aij,bjk,ckl->abcil", around, tilted, around)
    weights = np.broadcast_to(gauss[:, None] / 2 / len(around) ** 2, rotations.shape[:3])
    return rotations.reshape(-1, 3, 3), weights.reshape(-1)
