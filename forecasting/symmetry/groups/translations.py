"""Translations alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
