"""Exact orthonormal bases of the equivariant maps between two irreps, for any closed subgroup of O(3)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import NumericalError
from forecasting.symmetry._representations import degree_generators, irrep_generators, irrep_matrices
from forecasting.symmetry.groups.base import LinearGroup

Array = NDArray[np.float64]
Irrep = tuple[int, int]

LARGEST_NULL, SMALLEST_RANGE = 1e-11, 1e-5


@lru_cache(maxsize=4096)
def nested_parts(groups: tuple[LinearGroup, ...], source: Irrep, target: Irrep) -> tuple[Array, ...]:
    """Orthonormal bases (n, h_k) that together span all matrices: Hom of the first group, then what each next one adds.

    Args:
        groups: G_0 ⊃ G_1 ⊃ …; what the identity adds to the last comes last.
        source, target: irreps (l, parity).

    Raises:
        NumericalError: if the equivariant maps of a group do not hold those of the group before it.
    """
    parts: list[Array] = []
    for group in groups:
        basis = _basis(group, source, target)
        known = np.concatenate(parts, axis=1) if parts else np.zeros((len(basis), 0))
        parts.append(basis @ _null_space(known.T @ basis))
        if known.shape[1] + parts[-1].shape[1] != basis.shape[1]:
            raise NumericalError(f"the maps {source} -> {target} equivariant under {group} do not hold those of the larger group")
    parts.append(_null_space(np.concatenate(parts, axis=1).T))
    return tuple(_frozen(part) for part in parts)


@lru_cache(maxsize=512)
def rank_parts(source: Irrep, target: Irrep) -> dict[int, Array]:
    """L -> orthonormal basis (n, 2L+1) of the matrices [m', m] that turn as a tensor of rank L = |l'−l| … l'+l.

    They are the eigenspaces of the Casimir operator, minus the sum of the squared generators, with eigenvalues L(L+1).
    """
    turns = [_commutator(after, before) for after, before in zip(*map(degree_generators, (target[0], source[0])), strict=True)]
    values, vectors = np.linalg.eigh(-sum(turn @ turn for turn in turns))
    ranks = np.rint((np.sqrt(1 + 4 * np.maximum(values, 0)) - 1) / 2).astype(int)
    return {int(rank): _frozen(vectors[:, ranks == rank]) for rank in np.unique(ranks)}


@lru_cache(maxsize=4096)
def _basis(group: LinearGroup, source: Irrep, target: Irrep) -> Array:
    """(n, h) orthonormal basis of Hom_G: the null space of X'M − MX for generators and D'MDᵀ − M for single elements."""
    lie, single = group.generators(), group.discrete()
    pairs = zip(irrep_generators(target[0], lie), irrep_generators(source[0], lie), strict=True)
    turned = zip(irrep_matrices(*target, single), irrep_matrices(*source, single), strict=True)
    size = (2 * target[0] + 1) * (2 * source[0] + 1)
    constraints = [_commutator(after, before) for after, before in pairs]
    constraints += [np.kron(after, before) - np.eye(size) for after, before in turned]
    return _frozen(_null_space(np.concatenate(constraints) if constraints else np.zeros((0, size))))


def _commutator(after: Array, before: Array) -> Array:
    """(n, n) matrix of M -> X'M − MX on vectors M[m', m]."""
    return np.kron(after, np.eye(len(before))) + np.kron(np.eye(len(after)), before)


def _null_space(matrix: Array) -> Array:
    """(n, h) orthonormal basis of the null space; refuses a matrix (r, n) whose rank is a matter of opinion."""
    _, found, vectors = np.linalg.svd(matrix, full_matrices=True)
    if np.any((found > LARGEST_NULL) & (found < SMALLEST_RANGE)):
        raise NumericalError("the elements of this group are too close to one another for exact projectors in float64")
    return vectors[int((found > LARGEST_NULL).sum()) :].T


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array
