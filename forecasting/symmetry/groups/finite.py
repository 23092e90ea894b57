"""Finite groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.symmetry.groups._directions import Direction, format_direction, unit_vector
from forecasting.symmetry.groups._rotations import about
from forecasting.symmetry.groups.base import GROUPS, LARGEST_COMPONENTS, LinearGroup
from forecasting.symmetry.transforms import mirror

Array = NDArray[np.float64]


@GROUPS.register("identity")
@dataclass(frozen=True)
class Identity(LinearGroup):
    """The group of the identity alone: no symmetry."""

    @property
    def name(self) -> str:
        return "identity"

    def generators(self) -> Array:
        return np.zeros((0, 3, 3))

    def discrete(self) -> Array:
        return np.zeros((0, 3, 3))


@GROUPS.register("inversion")
@dataclass(frozen=True)
class Inversion(Identity):
    """The identity and x -> −x."""

    @property
    def name(self) -> str:
        return "inversion"

    def discrete(self) -> Array:
        return -np.eye(3)[None]


@GROUPS.register("mirror")
@dataclass(frozen=True)
class Mirror(Identity):
    """The identity and one reflection.

    Args:
        normal: of the mirror's plane, of any length.
    """

    normal: Direction

    @property
    def name(self) -> str:
        return f"mirror({format_direction(self.normal)})"

    def discrete(self) -> Array:
        return mirror(unit_vector(self.normal))[None]


@GROUPS.register("C_n")
@dataclass(frozen=True)
class Cyclic(Identity):
    """The rotations about one axis by multiples of 360°/n.

    Args:
        order: n.
        direction: of the axis, of any length.
    """

    order: int
    direction: Direction

    def __post_init__(self) -> None:
        if not 1 <= self.order <= LARGEST_COMPONENTS:
            raise UsageError(f"C_{self.order}: the order must be from 1 to {LARGEST_COMPONENTS}")

    @property
    def name(self) -> str:
        return f"C_{self.order}({format_direction(self.direction)})"

    @property
    def axis(self) -> Array:
        return unit_vector(self.direction)

    def discrete(self) -> Array:
        return about(self.axis, np.array([2 * np.pi / self.order]))


@GROUPS.register("O")
@dataclass(frozen=True)
class Octahedral(Identity):
    """The 24 rotations of a cube with faces along x, y and z."""

    @property
    def name(self) -> str:
        return "O"

    def discrete(self) -> Array:
        quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        third = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        return np.stack([quarter, third])


@GROUPS.register("O_h")
@dataclass(frozen=True)
class OctahedralMirrors(Octahedral):
    """The 48 rotations and reflections of a cube with faces along x, y and z."""

    @property
    def name(self) -> str:
        return "O_h"

    def discrete(self) -> Array:
        return np.concatenate([super().discrete(), -np.eye(3)[None]])
