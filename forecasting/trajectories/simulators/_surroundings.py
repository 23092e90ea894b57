"""What acts on every body beside the others: gravity, traps, a magnetic field and drag."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry.groups import LinearGroup
from forecasting.trajectories.simulators._parameters import direction, finite
from forecasting.trajectories.simulators._truth import group
from forecasting.trajectories.simulators.conserved import masses

Float = NDArray[np.float64]
CUBIC_PART = {"C_inf_v": "C_4v", "C_inf_h": "C_4h", "D_inf_h": "D_4h", "SO(2)": "C_4"}


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Accelerations −g n, −k (x·n) n, q B v × n, −c Σ_i x_i³ e_i and −β v.

    Attributes:
        axis: (3,) unit vector n.
        gravity: g; trap: k; field: B; cubic: c; drag: β [1/s].
    """

    axis: Float
    gravity: float = 0.0
    trap: float = 0.0
    field: float = 0.0
    cubic: float = 0.0
    drag: float = 0.0

    @classmethod
    def of(cls, axis: Any, **strengths: Any) -> "Surroundings":
        """From what a user wrote.

        Raises:
            UsageError: if a strength is no finite number, or the axis no direction.
        """
        return cls(direction(axis), **{name: finite(name, value) for name, value in strengths.items()})

    @property
    def has_axis(self) -> bool:
        """Whether anything acts that knows the axis."""
        return bool(self.gravity or self.trap or self.field)

    @property
    def symmetry(self) -> str:
        """The largest group of a world that is otherwise symmetric under O(3) and translations."""
        return self.symmetry_within(octahedral=False)

    def symmetry_within(self, *, octahedral: bool) -> str:
        """The largest group of a world that is otherwise symmetric under O(3), or O_h alone, and translations."""
        shifts = "no translations" if self.cubic else "translations across it" if self.trap else "translations"
        octahedral = octahedral or bool(self.cubic)
        if not self.has_axis:
            return f"{'O_h' if octahedral else 'O(3)'}, {shifts}"
        polar, axial = bool(self.gravity), bool(self.field)
        about = {(True, True): "SO(2)", (True, False): "C_inf_v", (False, True): "C_inf_h", (False, False): "D_inf_h"}[
            polar, axial
        ]
        if octahedral and np.sort(np.abs(self.axis))[1] < 1e-12:
            about = CUBIC_PART[about]
        elif octahedral:
            about = f"what O_h shares with {about}"
        return f"{about} about the axis, {shifts}"

    @property
    def groups(self) -> list[LinearGroup]:
        """The largest subgroup of O(3) that each of the accelerations keeps."""
        kept = {"C∞v": self.gravity, "D∞h": self.trap, "C∞h": self.field}
        about = [group(name, self.axis) for name, strength in kept.items() if strength]
        return about + [group("O_h")] * bool(self.cubic)

    @property
    def freedoms(self) -> dict[str, bool]:
        """What is kept beside subgroups of O(3), as `truth` takes it, where bodies themselves keep all of it."""
        return {
            "along": not (self.trap or self.cubic),
            "across": not self.cubic,
            "reversal": not (self.field or self.drag),
            "scale": not (self.gravity or self.cubic),
        }

    def potential(self, positions: Float, fields: Mapping[str, Float]) -> Float:
        """(...,) energy of bodies at positions (..., N, 3); a magnetic field does no work."""
        height = positions @ self.axis
        each = self.gravity * height + self.trap * height**2 / 2 + self.cubic * (positions**4).sum(-1) / 4
        return (masses(fields, positions) * each).sum(-1)

    @property
    def kept_momentum(self) -> Float | None:
        """(3, 3) projection on the part of the momentum of all bodies that is conserved, None if no part is."""
        along = np.outer(self.axis, self.axis)
        kept = np.eye(3) - along if self.gravity or self.trap else np.eye(3)
        kept = kept @ along if self.field else kept
        return None if self.cubic or self.drag or np.abs(kept).max() < 1e-12 else kept

    @property
    def kept_angular_momentum(self) -> Float | None:
        """(3, 3) projection on the part of the angular momentum about the origin that is conserved, None if no part is."""
        if self.cubic or self.drag or self.field:
            return None
        return np.outer(self.axis, self.axis) if self.has_axis else np.eye(3)

    def push(self, x: Float, v: Float, step: float) -> None:
        """Change the velocities (N, 3, S) in place over a time step [s], by what depends on positions x (N, 3, S)."""
        if self.gravity:
            v += np.tile((-self.gravity * step * self.axis)[:, None], (1, v.shape[2]))
        if self.trap:
            v -= (self.trap * step) * np.einsum("c,ncs->ns", self.axis, x)[:, None] * self.axis[:, None]
        if self.cubic:
            v -= (self.cubic * step) * x * x * x

    def turn(self, v: Float, charges: Float, step: float) -> None:
        """Change the velocities (N, 3, S) in place over a time step [s], by what depends on them; charges: (N, S).

        Turns about the axis and factors can change places, so this is exact for any step.
        """
        if self.field:
            angle = (self.field * step) * charges[:, None]
            along = np.einsum("c,ncs->ns", self.axis, v)[:, None] * self.axis[:, None]
            across = np.cross(v, self.axis, axisa=1, axisc=1)
            v += np.sin(angle) * across + (np.cos(angle) - 1) * (v - along)
        if self.drag:
            v *= np.exp(-self.drag * step)
