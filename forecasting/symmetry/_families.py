"""Families of maps between two irreps, sorted into components that belong to a family by themselves and those that mix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST_LINK = 1e-13


@dataclass(frozen=True)
class Families:
    """Spans of matrices [m', m] with n components in all; a family projects some of them to themselves or to nothing.

    Attributes:
        sizes: dimension of each family.
        alone: (families, n) 1 where a component that is linked to no other lies in a family, else 0.
        mixed: (k,) indices of the linked components.
        basis: (h, k) orthonormal rows on them, family after family.
        owner: (h, families) 1 where a row belongs to a family, else 0.
    """

    sizes: tuple[int, ...]
    alone: Array
    mixed: NDArray[np.intp]
    basis: Array
    owner: Array

    @classmethod
    def of(cls, bases: Sequence[Array]) -> "Families":
        """Those with these orthonormal columns (n, h)."""
        projectors = np.stack([basis @ basis.T for basis in bases])
        held = np.diagonal(projectors, axis1=1, axis2=2)
        links = np.abs(projectors - held[:, :, None] * np.eye(held.shape[1])).max(axis=(0, 1))
        mixed = np.flatnonzero(links > LARGEST_LINK)
        alone = np.rint(held)
        alone[:, mixed] = 0
        rows = [_rows(projector[np.ix_(mixed, mixed)]) for projector in projectors]
        owner = np.repeat(np.eye(len(bases)), [len(part) for part in rows], axis=0)
        return cls(tuple(basis.shape[1] for basis in bases), alone, mixed, np.concatenate(rows), owner)


def _rows(projector: Array) -> Array:
    """(h, k) orthonormal rows that span the range of an orthogonal projector (k, k)."""
    values, vectors = np.linalg.eigh(projector)
    return np.ascontiguousarray(vectors[:, values > 0.5].T)
