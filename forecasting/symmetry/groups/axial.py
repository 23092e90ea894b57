"""The groups that turn freely about one axis."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry._representations import cross_matrices
from forecasting.symmetry.groups._directions import Direction, format_direction, perpendicular, unit_vector
from forecasting.symmetry.groups.base import GROUPS, LinearGroup
from forecasting.symmetry.transforms import mirror

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Axial(LinearGroup):
    """Turns freely about `direction`; subclasses add single elements.

    Args:
        direction: of the axis, of any length; n and −n are the same axis.
    """

    direction: Direction

    @property
    @abstractmethod
    def symbol(self) -> str:
        """Name without the axis."""

    @property
    def name(self) -> str:
        return f"{self.symbol}({format_direction(self.direction)})"

    def generators(self) -> Array:
        return cross_matrices(unit_vector(self.direction)[None])

    def discrete(self) -> Array:
        return np.zeros((0, 3, 3))

    def _mirror_along(self) -> Array:
        """A mirror whose plane holds the axis."""
        return mirror(perpendicular(unit_vector(self.direction)))

    def _mirror_across(self) -> Array:
        """The mirror whose plane is at right angles to the axis."""
        return mirror(unit_vector(self.direction))


@GROUPS.register("SO(2)")
class AxialRotations(Axial):
    """The rotations about one axis: a preferred direction with a sense of rotation."""

    symbol = "SO(2)"


@GROUPS.register("O(2)")
@GROUPS.register("C∞v")
class AxialMirrors(Axial):
    """The rotations about one axis and the mirrors that hold it: gravity. In the plane (about z) this is O(2)."""

    symbol = "C∞v"

    def discrete(self) -> Array:
        return self._mirror_along()[None]


@GROUPS.register("C∞h")
class AxialInversion(Axial):
    """The rotations about one axis and the mirror across it: a magnetic field."""

    symbol = "C∞h"

    def discrete(self) -> Array:
        return self._mirror_across()[None]


@GROUPS.register("D∞")
class AxialHalfTurns(Axial):
    """The rotations about one axis and the half-turns that turn it round: a twisted line."""

    symbol = "D∞"

    def discrete(self) -> Array:
        return (self._mirror_along() @ self._mirror_across())[None]


@GROUPS.register("D∞h")
class AxialEverything(Axial):
    """Everything that keeps a line: D∞ and the inversion."""

    symbol = "D∞h"

    def discrete(self) -> Array:
        return np.stack([self._mirror_along(), self._mirror_across()])
