"""The groups of all rotations, with and without the inversion, and their translations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry._representations import cross_matrices
from forecasting.symmetry.groups.base import GROUPS, LinearGroup

Array = NDArray[np.float64]


@GROUPS.register("SO(3)")
@dataclass(frozen=True)
class Rotations(LinearGroup):
    """All rotations."""

    @property
    def name(self) -> str:
        return "SO(3)"

    def generators(self) -> Array:
        return cross_matrices(np.eye(3))

    def discrete(self) -> Array:
        return np.zeros((0, 3, 3))


@GROUPS.register("O(3)")
@dataclass(frozen=True)
class RotationsAndReflections(Rotations):
    """All rotations and rotation-reflections."""

    @property
    def name(self) -> str:
        return "O(3)"

    def discrete(self) -> Array:
        return -np.eye(3)[None]


@GROUPS.register("SE(3)")
@dataclass(frozen=True)
class RigidMotions(Rotations):
    """All rotations and translations."""

    @property
    def name(self) -> str:
        return "SE(3)"

    def shifts(self) -> Array:
        return np.eye(3)


@GROUPS.register("E(3)")
@dataclass(frozen=True)
class Isometries(RotationsAndReflections):
    """All rotations, rotation-reflections and translations."""

    @property
    def name(self) -> str:
        return "E(3)"

    def shifts(self) -> Array:
        return np.eye(3)
