"""The contract of a group, and the table of groups."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.registry import Registry
from forecasting.symmetry._representations import axial_vectors
from forecasting.symmetry.groups._rotations import about, angles, random_rotations, rotations_up_to

Array = NDArray[np.float64]

TOLERANCE = 1e-9
LARGEST_COMPONENTS = 1000
PLANE_NORMAL = np.array([0.0, 0.0, 1.0])


class LinearGroup(ABC):
    """A closed subgroup of O(3), acting on column vectors x -> g x, and the translations that come with it.

    A group says what generates it, as Lie algebra and as single elements; everything else follows. A subclass is a frozen
    dataclass (equal groups share their projectors), lives in a module of `forecasting.symmetry.groups` or behind an entry point
    ``forecasting.groups``, and is registered once with ``GROUPS.register("C_n")``. Its constructor may take ``order`` (an
    integer, written ``C_4``) and one line as a tuple of three floats: ``direction`` (z on planar data if none is written) or
    ``normal``, written ``C_4(z)`` or ``C_4(0.1,0.2,0.97)``.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What `parse_group` reads as this group."""

    @abstractmethod
    def generators(self) -> Array:
        """(n, 3, 3) antisymmetric basis of the Lie algebra, n = 0, 1 or 3; each turns by 1 rad per unit."""

    @abstractmethod
    def discrete(self) -> Array:
        """(m, 3, 3) elements that generate the group together with its identity component."""

    def shifts(self) -> Array:
        """(k, 3) orthonormal basis of the translations that belong to the group; none unless it says so."""
        return np.zeros((0, 3))

    @property
    def axis(self) -> Array | None:
        """(3,) unit vector about which the group turns, if there is exactly one."""
        turns = axial_vectors(self.generators())
        return turns[0] / np.linalg.norm(turns[0]) if len(turns) == 1 else None

    def components(self) -> Array:
        """(m, 3, 3) one element of every connected component, the identity first; all elements of a finite group.

        Raises:
            UsageError: if the elements of `discrete` generate no closed group.
        """
        return _components(self)

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """(count, 3, 3) elements, uniform by Haar measure (of the linear part)."""
        components, turns = self.components(), axial_vectors(self.generators())
        chosen = components[rng.integers(len(components), size=count)]
        if len(turns) == 0:
            return chosen
        connected = random_rotations(rng, count) if len(turns) > 1 else about(turns[0], rng.uniform(0, 2 * np.pi, size=count))
        return chosen @ connected

    def quadrature(self, degree: int) -> tuple[Array, Array]:
        """Elements (q, 3, 3) and weights (q,) summing to 1 that integrate polynomials of this degree in g exactly."""
        components, turns = self.components(), axial_vectors(self.generators())
        connected, weights = np.eye(3)[None], np.ones(1)
        if len(turns) == 1:
            connected, weights = about(turns[0], angles(degree)), np.full(degree + 1, 1 / (degree + 1))
        if len(turns) > 1:
            connected, weights = rotations_up_to(degree)
        elements = np.einsum("cij,rjk->crik", components, connected).reshape(-1, 3, 3)
        return elements, np.tile(weights, len(components)) / len(components)

    def has(self, matrix: Array) -> bool:
        """Whether the orthogonal matrix (3, 3) belongs to the group, to 1e-9."""
        return any(_is_connected(self, component.T @ matrix) for component in self.components())

    def contains(self, other: "LinearGroup") -> bool:
        """Whether every element of `other`, its translations too, belongs to this group."""
        algebra = _spans(self.generators().reshape(-1, 9), other.generators().reshape(-1, 9))
        return algebra and _spans(self.shifts(), other.shifts()) and all(self.has(element) for element in other.discrete())

    def for_dimension(self, dim: int) -> "LinearGroup":
        """The group itself, if it can act on data of `dim` dimensions: on planar data, only if it leaves z alone.

        Raises:
            UsageError: if it cannot.
        """
        if dim == 2 and not self._is_planar():
            raise UsageError(
                f"{self.name} does not keep planar data in their plane: for two dimensions name T(2), O(2), SO(2), C_4(z), "
                "mirror(x) or another mirror whose plane holds z (a half-turn about a line of the plane is that mirror)"
            )
        return self

    def __str__(self) -> str:
        return self.name

    def _is_planar(self) -> bool:
        kept = all(np.abs(element @ PLANE_NORMAL - PLANE_NORMAL).max() < TOLERANCE for element in self.discrete())
        return kept and not np.abs(self.generators() @ PLANE_NORMAL).any() and not np.abs(self.shifts() @ PLANE_NORMAL).any()


@lru_cache(maxsize=256)
def _components(group: LinearGroup) -> Array:
    found = [np.eye(3)]
    for element in found:
        for generator in group.discrete():
            product = element @ generator
            if not any(_is_connected(group, known.T @ product) for known in found):
                found.append(product)
        if len(found) > LARGEST_COMPONENTS:
            raise UsageError(f"the elements of {group.name} generate more than {LARGEST_COMPONENTS} components; are they exact?")
    components = np.stack(found)
    components.setflags(write=False)
    return components


def _is_connected(group: LinearGroup, matrix: Array) -> bool:
    """Whether the orthogonal matrix belongs to the identity component."""
    turns = axial_vectors(group.generators())
    if len(turns) == 0:
        return bool(np.abs(matrix - np.eye(3)).max() < TOLERANCE)
    proper = np.linalg.det(matrix) > 0
    return bool(proper and (len(turns) > 1 or np.abs(matrix @ turns[0] - turns[0]).max() < TOLERANCE))


def _spans(basis: Array, vectors: Array) -> bool:
    if not len(vectors):
        return True
    if not len(basis):
        return False
    left = vectors.T - basis.T @ np.linalg.lstsq(basis.T, vectors.T, rcond=None)[0]
    return bool(np.abs(left).max() < TOLERANCE)


GROUPS: Registry[Callable[..., LinearGroup]] = Registry("group", "forecasting.symmetry.groups", "forecasting.groups")
