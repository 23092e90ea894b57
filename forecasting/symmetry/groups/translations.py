"""Translations alone: all of them, or those along or across a line."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry.groups._directions import Direction, format_direction, perpendicular, unit_vector
from forecasting.symmetry.groups.base import GROUPS
from forecasting.symmetry.groups.finite import Identity

Array = NDArray[np.float64]


@GROUPS.register("T(3)")
@dataclass(frozen=True)
class Translations(Identity):
    """All translations."""

    @property
    def name(self) -> str:
        return "T(3)"

    def shifts(self) -> Array:
        return np.eye(3)


@GROUPS.register("T(2)")
@dataclass(frozen=True)
class PlanarTranslations(Identity):
    """The translations along x and y."""

    @property
    def name(self) -> str:
        return "T(2)"

    def shifts(self) -> Array:
        return np.eye(3)[:2]


@dataclass(frozen=True)
class LineTranslations(Identity):
    """Translations that a line sets apart; subclasses say which.

    Args:
        direction: of the line, of any length.
    """

    direction: Direction
    symbol: ClassVar[str]

    @property
    def name(self) -> str:
        return f"{self.symbol}({format_direction(self.direction)})"


@GROUPS.register("T∥")
class AlongTranslations(LineTranslations):
    """The translations along one line: what a trap across it keeps."""

    symbol = "T∥"

    def shifts(self) -> Array:
        return unit_vector(self.direction)[None]


@GROUPS.register("T⊥")
class AcrossTranslations(LineTranslations):
    """The translations at right angles to one line: what a trap along it keeps."""

    symbol = "T⊥"

    def shifts(self) -> Array:
        axis = unit_vector(self.direction)
        first = perpendicular(axis)
        return np.stack([first, np.cross(axis, first)])
