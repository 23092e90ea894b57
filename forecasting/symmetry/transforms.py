"""Transforms of a scene, each acting on every field by the irreps that the field declares."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError

Array = NDArray[np.float64]


class Transform(Protocol):
    """Anything that can act on typed values."""

    @property
    def name(self) -> str:
        """What to call it in tables."""
        ...

    def act(self, values: Array, irreps: str, *, translates: bool = False) -> Array:
        """Transform `values`.

        Args:
            values: (..., C) components of the irreps; for planar data (D = 2) a ``1o`` field has its x and y only.
            irreps: e3nn notation, for instance ``1o`` or ``2x0e+1x1o``.
            translates: whether translations act on the field (positions: yes, velocities: no).
        """
        ...


@dataclass(frozen=True)
class Orthogonal:
    """A rotation or rotation-reflection x -> R x.

    Args:
        matrix: (3, 3) orthogonal, acting on column vectors (x, y, z).
        name: what to call it in tables.
    """

    matrix: Array
    name: str = "orthogonal"

    def act(self, values: Array, irreps: str, *, translates: bool = False) -> Array:
        """Multiply each irrep by its representation matrix; see `Transform.act`."""
        parts, offset, planar = [], 0, _is_planar(values, irreps)
        for count, degree, parity in parse_irreps(irreps):
            size = 2 if planar else 2 * degree + 1
            for _ in range(count):
                block = values[..., offset : offset + size]
                parts.append(self._block(block, degree, parity))
                offset += size
        return np.concatenate(parts, axis=-1)

    def _block(self, block: Array, degree: int, parity: int) -> Array:
        determinant = 1.0 if np.linalg.det(self.matrix) > 0 else -1.0
        if degree == 0:
            return block * (1.0 if parity == 1 else determinant)
        if block.shape[-1] == 2:
            if np.abs(self.matrix[2, :2]).max() > 1e-12:
                raise UsageError(f"{self.name} leaves the plane: planar data turn about z and mirror in lines only")
            return block @ self.matrix[:2, :2].T
        if degree == 1:
            return block @ self.matrix.T * (1.0 if parity == -1 else determinant)
        return block @ wigner_d(degree, self.matrix * determinant).T * (1.0 if parity == 1 or determinant > 0 else -1.0)


@dataclass(frozen=True)
class Translation:
    """A shift x -> x + t of every field on which translations act.

    Args:
        offset: (3,) [unit of the data].
    """

    offset: Array
    name: str = "translation"

    def act(self, values: Array, irreps: str, *, translates: bool = False) -> Array:
        """Add the offset to positions, leave everything else; see `Transform.act`."""
        return values + self.offset[: values.shape[-1]] if translates else values


def parse_irreps(irreps: str) -> list[tuple[int, int, int]]:
    """Read e3nn notation as (multiplicity, degree l, parity +1 or -1) triples, without importing e3nn.

    Raises:
        UsageError: if a term is not of the form ``3x1o`` or ``1o``.
    """
    return list(_triples(irreps))


@lru_cache(maxsize=1024)
def _triples(irreps: str) -> tuple[tuple[int, int, int], ...]:
    triples = []
    for term in irreps.replace(" ", "").split("+"):
        count, _, irrep = term.rpartition("x")
        if len(irrep) < 2 or irrep[-1] not in "eo" or not irrep[:-1].isdigit() or not (count or "1").isdigit():
            raise UsageError(f"'{irreps}' are not irreps; write for instance 1o (a vector), 0e (a scalar) or 2x0e+1x1o")
        triples.append((int(count or 1), int(irrep[:-1]), 1 if irrep[-1] == "e" else -1))
    return tuple(triples)


def irreps_dim(irreps: str, dim: int = 3) -> int:
    """Number of components of the irreps in `dim` dimensions (in the plane a 1o has two)."""
    if dim == 2:
        bad = [degree for _, degree, _ in parse_irreps(irreps) if degree > 1]
        if bad:
            raise UsageError(f"planar data hold scalars and vectors only, found '{irreps}'")
        return sum(count * (2 if degree else 1) for count, degree, _ in parse_irreps(irreps))
    return sum(count * (2 * degree + 1) for count, degree, _ in parse_irreps(irreps))


def rotation_about(axis: Array, angle: float) -> Array:
    """(3, 3) right-handed rotation by `angle` [rad] about the unit vector along `axis` (3,) (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def random_rotation(rng: np.random.Generator) -> Array:
    """(3, 3) Haar-uniform rotation: a unit quaternion with normal components."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def mirror(normal: Array) -> Array:
    """(3, 3) reflection in the plane through the origin with this normal (3,)."""
    unit = normal / np.linalg.norm(normal)
    return np.eye(3) - 2 * np.outer(unit, unit)


def wigner_d(degree: int, rotation: Array) -> Array:
    """(2l+1, 2l+1) matrix of a proper rotation on degree-l components in e3nn's basis."""
    return _wigner_d(degree, rotation.tobytes())


@lru_cache(maxsize=256)
def _wigner_d(degree: int, rotation: bytes) -> Array:
    import torch
    from e3nn import o3

    matrix = torch.from_numpy(np.frombuffer(rotation, dtype=np.float64).reshape(3, 3).copy())
    return o3.Irrep(degree, 1).D_from_matrix(matrix).to(torch.float64).numpy()


def _is_planar(values: Array, irreps: str) -> bool:
    size = values.shape[-1]
    if size == irreps_dim(irreps):
        return False
    terms = parse_irreps(irreps)
    if all(degree <= 1 for _, degree, _ in terms) and size == irreps_dim(irreps, 2):
        return True
    raise UsageError(f"values with {size} components cannot hold the irreps '{irreps}'")
