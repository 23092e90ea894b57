"""Couplings of three irreps of the rotations, and spherical harmonics made of them, exact to float64 in e3nn's basis."""

from functools import lru_cache, reduce
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.symmetry._representations import degree_generators

Array = NDArray[np.float64]
Path = tuple[int, int, int]

_TINY = 1e-12  # directions of vectors shorter than its root fade out, so that their gradients stay finite
_SMALL = 1e-9


def paths(before: int, attribute: int, after: int, odd: bool) -> list[Path]:
    """The ways (l, l_a, l') in which features of degree l ≤ `before` and attributes l_a ≤ `attribute` make degree l' = `after`.

    Features and attributes have the parity (−1)^l, so mirrors allow l + l_a + l' even only; `odd` allows the others (cross
    products), for SO(3).
    """
    found = product(range(before + 1), range(attribute + 1))
    allowed = [(b, a) for b, a in found if abs(b - a) <= after <= b + a and (odd or (b + a + after) % 2 == 0)]
    return [(b, a, after) for b, a in allowed]


@lru_cache(maxsize=256)
def coupling(first: int, second: int, third: int) -> Array:
    """(2l₁+1, 2l₂+1, 2l₃+1) the invariant tensor of three degrees, with Σ C² = 2l₃ + 1 and its first nonzero entry positive.

    With components of unit variance and Σ_m a_m² = 2l₂ + 1, the components Σ C x a have unit variance too.

    Raises:
        ValueError: if the degrees break the triangle rule.
    """
    if not abs(first - second) <= third <= first + second:
        raise ValueError(f"degrees {first}, {second} and {third} do not couple")
    sizes = [2 * degree + 1 for degree in (first, second, third)]
    turns = np.zeros((3, int(np.prod(sizes)), int(np.prod(sizes))))
    for place, degree in enumerate((first, second, third)):
        for axis, generator in enumerate(degree_generators(degree)):
            factors = [generator if place == other else np.eye(size) for other, size in enumerate(sizes)]
            turns[axis] += reduce(np.kron, factors)
    _, vectors = np.linalg.eigh(-sum(turn @ turn for turn in turns))
    found: Array = vectors[:, 0] * np.sqrt(sizes[2])
    found[np.abs(found) < _SMALL] = 0
    found *= np.sign(found[np.flatnonzero(found)[0]])
    found = found.reshape(sizes)
    found.setflags(write=False)
    return found


@lru_cache(maxsize=16)
def _raising(degree: int) -> Array:
    """(2l−1, 3, 2l+1) with Y_l = Σ C Y_{l−1} Y_1, where |Y_l|² = 2l + 1 for unit vectors and Y_l is positive along y."""
    bare = coupling(degree - 1, 1, degree)
    below, one = (_polar(other) for other in (degree - 1, 1))
    found: Array = bare * np.sqrt(2 * degree + 1) / np.einsum("abc,a,b->c", bare, below, one)[degree]
    return found


def _polar(degree: int) -> Array:
    along: Array = np.zeros(2 * degree + 1)
    along[degree] = np.sqrt(2 * degree + 1)
    return along


def harmonics(vectors: Tensor, degree: int) -> Tensor:
    """(…, (degree + 1)²) [0e+1o+2e+…] real spherical harmonics of the directions of `vectors` (…, 3) [1o].

    Their norm is e3nn's "component": |Y_l|² = 2l + 1. Degrees from 1 on vanish for the vector 0.
    """
    direction = vectors / (vectors.square().sum(-1, keepdim=True) + _TINY).sqrt()
    parts = [torch.ones_like(direction[..., :1])]
    if degree >= 1:
        parts.append(direction * 3**0.5)
    for each in range(2, degree + 1):
        raising = torch.from_numpy(_raising(each)).to(direction)
        pairs = (parts[-1].unsqueeze(-1) * parts[1].unsqueeze(-2)).flatten(-2)
        parts.append(pairs @ raising.flatten(0, 1))
    return torch.cat(parts, dim=-1)
