"""Real representations of O(3) in e3nn's basis, exact to float64 and without torch.

The matrices are those of e3nn (real spherical harmonics, polar axis y, 1o in the order x, y, z), built here because e3nn computes
them in float32 unless the default dtype of the process is float64.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry.transforms import parse_irreps

Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def degree_generators(degree: int) -> Array:
    """(3, 2l+1, 2l+1) antisymmetric matrices of the rotations about x, y and z on degree-l components; [X_x, X_y] = X_z."""
    m = np.arange(-degree, degree + 1)
    raising = np.diag(-np.sqrt(degree * (degree + 1) - m[:-1] * (m[:-1] + 1)), -1)
    lowering = np.diag(np.sqrt(degree * (degree + 1) - m[1:] * (m[1:] - 1)), 1)
    spherical = np.stack([0.5 * (raising + lowering), np.diag(1j * m), -0.5j * (raising - lowering)])
    change = _real_to_complex(degree)
    real: Array = np.ascontiguousarray((change.conj().T @ spherical @ change).real)
    real.setflags(write=False)
    return real


def degree_matrices(degree: int, matrices: Array) -> Array:
    """(n, 2l+1, 2l+1) of orthogonal matrices (n, 3, 3) on degree-l components of even parity (the inversion acts as +1)."""
    proper = matrices * np.sign(np.linalg.det(matrices))[:, None, None]
    turns = np.einsum("na,aij->nij", _rotation_vectors(proper), degree_generators(degree))
    values, vectors = np.linalg.eigh(1j * turns)
    turned: Array = ((vectors * np.exp(-1j * values)[:, None, :]) @ vectors.conj().swapaxes(-1, -2)).real
    return turned


def irrep_matrices(degree: int, parity: int, matrices: Array) -> Array:
    """(n, 2l+1, 2l+1) of orthogonal matrices (n, 3, 3) on an irrep; `parity` is how the inversion acts, +1 or −1."""
    sign = 1.0 if parity == 1 else np.sign(np.linalg.det(matrices))[:, None, None]
    return degree_matrices(degree, matrices) * sign


def irrep_generators(degree: int, generators: Array) -> Array:
    """(n, 2l+1, 2l+1) of antisymmetric matrices (n, 3, 3) on degree-l components."""
    return np.einsum("na,aij->nij", axial_vectors(generators), degree_generators(degree))


def irreps_matrices(irreps: str, matrices: Array) -> Array:
    """(n, d, d) block diagonal matrices of orthogonal matrices (n, 3, 3) on irreps of dimension d."""
    return _block_diagonal(irreps, [irrep_matrices(degree, p, matrices) for _, degree, p in parse_irreps(irreps)], len(matrices))


def irreps_generators(irreps: str, generators: Array) -> Array:
    """(n, d, d) block diagonal matrices of antisymmetric matrices (n, 3, 3) on irreps of dimension d."""
    return _block_diagonal(
        irreps, [irrep_generators(degree, generators) for _, degree, _ in parse_irreps(irreps)], len(generators)
    )


def axial_vectors(generators: Array) -> Array:
    """(n, 3) vectors a of antisymmetric matrices (n, 3, 3): A x = a × x."""
    return np.stack([generators[:, 2, 1], generators[:, 0, 2], generators[:, 1, 0]], axis=-1)


def cross_matrices(vectors: Array) -> Array:
    """(n, 3, 3) antisymmetric matrices of vectors (n, 3): A x = a × x; the inverse of `axial_vectors`."""
    return np.einsum("na,aij->nij", vectors, degree_generators(1))


def _block_diagonal(irreps: str, blocks: list[Array], count: int) -> Array:
    counts = [number for number, _, _ in parse_irreps(irreps)]
    size = sum(number * block.shape[-1] for number, block in zip(counts, blocks, strict=True))
    found, offset = np.zeros((count, size, size)), 0
    for number, block in zip(counts, blocks, strict=True):
        for _ in range(number):
            rows = slice(offset, offset + block.shape[-1])
            found[:, rows, rows] = block
            offset = rows.stop
    return found


def _rotation_vectors(rotations: Array) -> Array:
    """(n, 3) axis times angle of proper rotations, by the quaternion of largest pivot (Shepperd 1978): exact at every angle."""
    diagonal, trace = np.diagonal(rotations, axis1=1, axis2=2), np.trace(rotations, axis1=1, axis2=2)
    outer = np.empty((len(rotations), 4, 4))
    outer[:, 0, 0] = 1 + trace
    outer[:, 0, 1:] = outer[:, 1:, 0] = axial_vectors(rotations - rotations.swapaxes(1, 2))
    outer[:, 1:, 1:] = rotations + rotations.swapaxes(1, 2)
    outer[:, [1, 2, 3], [1, 2, 3]] = 1 - trace[:, None] + 2 * diagonal
    pivot = np.einsum("nii->ni", outer).argmax(axis=1)
    quaternion = np.take_along_axis(outer, pivot[:, None, None], axis=1)[:, 0]
    quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True) * np.where(quaternion[:, :1] < 0, -1.0, 1.0)
    sine = np.linalg.norm(quaternion[:, 1:], axis=1)
    angle = 2 * np.arctan2(sine, quaternion[:, 0])
    return quaternion[:, 1:] * np.divide(angle, sine, out=np.full_like(sine, 2.0), where=sine > 0)[:, None]


def _real_to_complex(degree: int) -> NDArray[np.complex128]:
    change = np.zeros((2 * degree + 1, 2 * degree + 1), dtype=np.complex128)
    change[degree, degree] = 1
    for m in range(1, degree + 1):
        change[degree - m, degree + m] = 1 / np.sqrt(2)
        change[degree - m, degree - m] = -1j / np.sqrt(2)
        change[degree + m, degree + m] = (-1) ** m / np.sqrt(2)
        change[degree + m, degree - m] = 1j * (-1) ** m / np.sqrt(2)
    return (-1j) ** degree * change
