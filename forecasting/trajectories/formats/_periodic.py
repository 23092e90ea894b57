"""Continuous motion out of positions that a periodic box has wrapped."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK = 1 << 20
"""Entries (frames x nodes) that are unwrapped at a time."""


def unwrap(positions: Array, valid: NDArray[np.bool_], cells: Array, periodic: NDArray[np.bool_]) -> None:
    """Follow every node through the walls of the box, in place.

    Each node takes the nearest image to where it was last seen, by its fractional coordinates; every position changes by
    whole lattice vectors of its own frame, so one that never crosses a wall stays as it is to the last bit. A node must
    move less than half a cell along each lattice vector between two frames in which it is seen. Where the box changes in
    time, fractional coordinates are compared, so a box that only swells moves nothing through a wall.

    Args:
        positions: (T, N, 3) [any length]; overwritten.
        valid: (T, N) entries that count.
        cells: (T, 3, 3) or (1, 3, 3) lattice vectors, one per row, in the same unit. Zero vectors span nothing.
        periodic: (T, 3) or (1, 3) whether the box repeats along each vector.
    """
    steps, nodes, _ = positions.shape
    repeats = periodic & (cells != 0).any(axis=2)
    if not repeats.any() or steps < 2:
        return
    inverse = np.linalg.pinv(cells)
    width = max(1, BLOCK // steps)
    for start in range(0, nodes, width):
        block = positions[:, start : start + width]
        with np.errstate(invalid="ignore", over="ignore"):
            fractional = block @ inverse
        images = crossings(fractional, valid[:, start : start + width] & np.isfinite(fractional).all(axis=2))
        images *= repeats[:, None]
        moved = images.any(axis=2)
        block[moved] -= (images @ cells)[moved]


def crossings(fractional: Array, seen: NDArray[np.bool_]) -> Array:
    """(T, N, 3) whole cells to subtract from fractional coordinates so that each node goes on where it was last seen.

    Args:
        fractional: (T, N, 3) coordinates in units of the lattice vectors.
        seen: (T, N) entries that count; the others get 0.
    """
    if seen.all() and not np.rint(np.diff(fractional, axis=0)).any():
        return np.zeros_like(fractional)
    index = np.arange(len(fractional))[:, None]
    last = np.maximum.accumulate(np.where(seen, index, -1), axis=0)
    before = np.vstack([np.full((1, seen.shape[1]), -1), last[:-1]])
    frame, node = np.nonzero(seen & (before >= 0))
    jumps = np.zeros_like(fractional)
    jumps[frame, node] = np.rint(fractional[frame, node] - fractional[before[frame, node], node])
    images: Array = np.cumsum(jumps, axis=0)
    images[~seen] = 0.0
    return images


def cell_of(lengths: Array, angles: Array) -> Array:
    """(..., 3, 3) lattice vectors as rows, the first along x and the second in the xy plane.

    Args:
        lengths: (..., 3) of the vectors.
        angles: (..., 3) [degrees] between the second and third, first and third, first and second vector.
    """
    cosines = np.where(angles == 90.0, 0.0, np.cos(np.radians(angles)))
    alpha, beta, gamma = np.moveaxis(cosines, -1, 0)
    sine = np.sqrt(1.0 - gamma**2)
    tilt = (alpha - beta * gamma) / sine
    zero, one = np.zeros_like(alpha), np.ones_like(alpha)
    rows = [[one, zero, zero], [gamma, sine, zero], [beta, tilt, np.sqrt(1.0 - beta**2 - tilt**2)]]
    unit = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    cell: Array = lengths[..., None] * unit
    return cell
