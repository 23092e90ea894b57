"""Rotation matrices by Euler angles about the coordinate axes, in any order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def turn(matrices: NDArray[np.float64], axis: int, angles: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Multiply rotations from the right by a rotation about one of their own axes.

    Args:
        matrices: (..., 3, 3).
        axis: 0, 1 or 2 for x, y or z.
        angles: (...) [rad].

    Returns:
        (..., 3, 3) ``matrices @ R(axis, angles)``.
    """
    first, second = (axis + 1) % 3, (axis + 2) % 3
    cosine, sine = np.cos(angles)[..., None], np.sin(angles)[..., None]
    turned = np.empty_like(matrices)
    turned[..., axis] = matrices[..., axis]
    turned[..., first] = cosine * matrices[..., first] + sine * matrices[..., second]
    turned[..., second] = cosine * matrices[..., second] - sine * matrices[..., first]
    return turned


def euler(axes: Sequence[int], angles: Sequence[float]) -> NDArray[np.float64]:
    """(3, 3) product from left to right of rotations about `axes` (0, 1, 2) by `angles` [rad]."""
    matrix = np.eye(3)
    for axis, angle in zip(axes, angles, strict=True):
        matrix = turn(matrix, axis, np.float64(angle))
    return matrix
