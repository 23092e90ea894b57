"""The axis about which linear maps turn into themselves best: where what breaks the rotations points."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Chain
from forecasting.symmetry.transforms import parse_irreps

Array = NDArray[np.float64]
DIRECTIONS = 2000
ROUNDS = 60


@dataclass(frozen=True)
class PreferredAxis:
    """An axis n, as good as −n.

    Attributes:
        axis: (3,) unit vector.
        share: Σ |P_{SO(2)(n)} M|² / Σ |M|² over the parts of rank L ≥ 1: 1 where all that breaks the rotations leaves n alone.
        size: Σ |M|² over those parts.
    """

    axis: Array
    share: float
    size: float


def preferred_axis(maps: Iterable[tuple[str, str, Tensor]]) -> PreferredAxis:
    """The n with the largest SO(2)(n) share over several maps.

    A block between irreps l and l' is a sum of tensors W_L of rank L = |l'−l| … l'+l, and SO(2)(n) keeps of each the part along
    Y_L(n), so the share is Σ_L Y_L(n)ᵀ (Σ W_L W_Lᵀ) Y_L(n): small matrices, whatever the number of channels. SO(2) and not C∞v,
    which cannot hold what an axial vector such as a magnetic field breaks.

    Args:
        maps: (irreps_in, irreps_out, matrix (dim_out, dim_in)), the bias as a last input 0e.
    """
    grams: dict[int, Array] = {}
    for irreps_in, irreps_out, matrix in maps:
        for degree, gram in _grams(irreps_in, irreps_out, matrix.detach().double().cpu()).items():
            grams[degree] = grams.get(degree, np.zeros_like(gram)) + gram
    size = float(sum(np.trace(gram) for gram in grams.values()))
    if size == 0:
        return PreferredAxis(np.array([0.0, 0.0, 1.0]), 0.0, 0.0)
    axes = _sphere(DIRECTIONS)
    best = axes[np.argmax(_kept(grams, axes))]
    width = 0.1
    rng = np.random.default_rng(0)
    for _ in range(ROUNDS):
        near = best + width * rng.normal(size=(64, 3))
        near = np.concatenate([best[None], near / np.linalg.norm(near, axis=1, keepdims=True)])
        chosen = int(np.argmax(_kept(grams, near)))
        best, width = near[chosen], width * (0.7 if chosen == 0 else 1.0)
    return PreferredAxis(best, float(_kept(grams, best[None])[0]) / size, size)


def preferred_line(maps: Iterable[tuple[str, str, Tensor]]) -> PreferredAxis:
    """The line of the plane z = 0 in which a mirror keeps most of what breaks O(2), over several maps (see `preferred_axis`)."""
    known, coarse = list(maps), np.arange(36) * np.pi / 36
    found = [_mirror_share(known, angle) for angle in coarse]
    best = float(coarse[int(np.argmax([kept for kept, _ in found]))])
    width = np.pi / 72
    while width > 1e-3:
        near = [best - width, best, best + width]
        best = near[int(np.argmax([_mirror_share(known, angle)[0] for angle in near]))]
        width /= 2
    kept, size = _mirror_share(known, best)
    return PreferredAxis(np.array([np.cos(best), np.sin(best), 0.0]), kept / size if size else 0.0, size)


def _mirror_share(maps: Iterable[tuple[str, str, Tensor]], angle: float) -> tuple[float, float]:
    """What the mirror in the line at this angle [rad] keeps of what breaks O(2), and all of that."""
    chain = [parse_group("C∞v(z)"), parse_group(f"mirror({-np.sin(angle):.12f},{np.cos(angle):.12f},0)")]
    squares = [Chain(chain, before, after).squared_norms(matrix.detach().double().cpu()) for before, after, matrix in maps]
    kept, rest = torch.stack(squares).sum(0)[1:].tolist()
    return kept, kept + rest


def _grams(irreps_in: str, irreps_out: str, matrix: Tensor) -> dict[int, Array]:
    """L ≥ 1 -> (2L+1, 2L+1) Σ W_L W_Lᵀ over all blocks and channels."""
    from e3nn import o3

    found: dict[int, Array] = {}
    row = 0
    for rows, high, _ in parse_irreps(irreps_out):
        column = 0
        for columns, low, _ in parse_irreps(irreps_in):
            wide, tall = columns * (2 * low + 1), rows * (2 * high + 1)
            block = matrix[row : row + tall, column : column + wide].reshape(rows, 2 * high + 1, columns, 2 * low + 1)
            for degree in range(max(abs(high - low), 1), high + low + 1):
                tensor = o3.wigner_3j(high, low, degree, dtype=torch.float64) * (2 * degree + 1) ** 0.5
                parts = torch.einsum("umvn,mnk->uvk", block, tensor).reshape(-1, 2 * degree + 1)
                found[degree] = found.get(degree, 0.0) + (parts.T @ parts).numpy()
            column += wide
        row += tall
    return found


def _kept(grams: dict[int, Array], axes: Array) -> Array:
    """(A,) what SO(2) about each of the axes (A, 3) keeps."""
    from e3nn import o3

    total = np.zeros(len(axes))
    for degree, gram in grams.items():
        waves = o3.spherical_harmonics(degree, torch.from_numpy(axes), normalize=True, normalization="norm").numpy()
        total += np.einsum("ai,ij,aj->a", waves, gram, waves)
    return total


def _sphere(count: int) -> Array:
    """(count, 3) even directions (a Fibonacci spiral)."""
    index = np.arange(count) + 0.5
    height, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1)
