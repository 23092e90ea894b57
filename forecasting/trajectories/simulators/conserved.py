"""Quantities that the motion of a world does not change, to see how far a forecast drifts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Quantity = Callable[[Float, Float, Mapping[str, Float]], Float]


@dataclass(frozen=True)
class Conserved:
    """What a world conserves, as functions of positions (..., N, 3), velocities (..., N, 3) and fields.

    The fields are arrays by name, (N, C) or (..., N, C), as in the scenes of the world. Units are those of the world, with mass 1
    where bodies have no field ``mass``. A quantity that is not conserved is None.

    Attributes:
        energy: (...,).
        momentum: (..., 3); where forces along an axis change it, the part that they leave.
        angular_momentum: (..., 3) about the origin; about an axis alone where forces leave only that part.
        provided: when it holds, in words; empty where it always does.
    """

    energy: Quantity | None = None
    momentum: Quantity | None = None
    angular_momentum: Quantity | None = None
    provided: str = ""


def masses(fields: Mapping[str, Float], positions: Float) -> Float:
    """(..., N) masses of the bodies: the field ``mass``, or 1."""
    return fields["mass"][..., 0] if "mass" in fields else np.ones(positions.shape[-2])


def kinetic(positions: Float, velocities: Float, fields: Mapping[str, Float]) -> Float:
    """(...,) half the masses times the squared speeds."""
    return (masses(fields, positions) * (velocities**2).sum(-1)).sum(-1) / 2


def momentum_within(kept: Float) -> Quantity:
    """The momentum, projected by `kept` (3, 3)."""

    def momentum(positions: Float, velocities: Float, fields: Mapping[str, Float]) -> Float:
        return (masses(fields, positions)[..., None] * velocities).sum(-2) @ kept

    return momentum


def angular_momentum_within(kept: Float) -> Quantity:
    """The angular momentum about the origin, projected by `kept` (3, 3)."""

    def angular_momentum(positions: Float, velocities: Float, fields: Mapping[str, Float]) -> Float:
        return (masses(fields, positions)[..., None] * np.cross(positions, velocities)).sum(-2) @ kept

    return angular_momentum
