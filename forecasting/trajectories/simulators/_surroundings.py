"""What acts on every body beside the others: gravity, a trap, a magnetic field, all about one axis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Accelerations −g n, −k (x·n) n and q B v × n.

    Attributes:
        axis: (3,) unit vector n.
        gravity: g; trap: k; field: B.
    """

    axis: Float
    gravity: float = 0.0
    trap: float = 0.0
    field: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything acts."""
        return bool(self.gravity or self.trap or self.field)

    @property
    def symmetry(self) -> str:
        """The largest group of a world that is otherwise symmetric under O(3) and translations."""
        if not self:
            return "O(3), translations"
        polar, axial = bool(self.gravity), bool(self.field)
        group = {(True, True): "SO(2)", (True, False): "C_inf_v", (False, True): "C_inf_h", (False, False): "D_inf_h"}[
            polar, axial
        ]
        return f"{group} about the axis, translations{' across it' if self.trap else ''}"

    def kick(self, x: Float, v: Float, charges: Float, step: float) -> None:
        """Change the velocities (N, 3, S) in place over a time step.

        Args:
            x: (N, 3, S) positions; v: (N, 3, S); charges: (N, S); step: [s].
        """
        if self.gravity:
            v += np.tile((-self.gravity * step * self.axis)[:, None], (1, v.shape[2]))
        if self.trap:
            v -= (self.trap * step) * np.einsum("c,ncs->ns", self.axis, x)[:, None] * self.axis[:, None]
        if self.field:
            turn = (self.field * step) * charges[:, None]
            along = np.einsum("c,ncs->ns", self.axis, v)[:, None] * self.axis[:, None]
            across = np.cross(v, self.axis, axisa=1, axisc=1)
            v += np.sin(turn) * across + (np.cos(turn) - 1) * (v - along)
