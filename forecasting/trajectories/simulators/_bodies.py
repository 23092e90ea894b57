"""Bodies in free space that act on each other, with surroundings that act on all of them."""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry.groups import LinearGroup
from forecasting.trajectories.simulators._particles import Particles, State
from forecasting.trajectories.simulators._stepping import Kick, Stepping, centred
from forecasting.trajectories.simulators._surroundings import Surroundings
from forecasting.trajectories.simulators._truth import group, truth
from forecasting.trajectories.simulators.conserved import Conserved, angular_momentum_within, kinetic, momentum_within

Float = NDArray[np.float64]


class Bodies(Particles):
    """N bodies whose forces on each other keep translations, O(3) or a part of it, and time reversal.

    Attributes:
        around: what else acts.
        step: [s] of the integration; sample_every: steps between frames.
        stepping: the integrator.
    """

    around: Surroundings
    step: float
    sample_every: int
    stepping: Stepping = staticmethod(centred)

    @abstractmethod
    def kick(self, scalars: Mapping[str, Float], scenes: int) -> Kick:
        """How forces and surroundings change velocities in S scenes with these scalars (S, N)."""

    @abstractmethod
    def potential(self, positions: Float, fields: Mapping[str, Float]) -> Float:
        """(...,) energy of the bodies at positions (..., N, 3) by what they do to each other."""

    @property
    def group(self) -> LinearGroup:
        """The largest subgroup of O(3) that the forces between bodies keep."""
        return group("O(3)")

    @property
    def linear(self) -> bool:
        """Whether the forces between bodies are proportional to their distances, which keeps scale."""
        return self.points == 1

    @property
    def provided(self) -> str:
        """When energy and momenta are conserved, beside what the surroundings say."""
        return ""

    @property
    def axis(self) -> Float | None:
        return self.around.axis if self.around.has_axis else None

    @property
    def symmetry(self) -> str:
        return self.around.symmetry

    @property
    def truth(self) -> Mapping[str, bool]:
        freedoms = self.around.freedoms
        freedoms["scale"] = freedoms["scale"] and self.linear
        return truth([self.group, *self.around.groups], self.around.axis, **freedoms)

    @property
    def conserved(self) -> Conserved:
        linear, turning = self.around.kept_momentum, self.around.kept_angular_momentum
        return Conserved(
            energy=None if self.around.drag else self._energy,
            momentum=None if linear is None else momentum_within(linear),
            angular_momentum=None if turning is None else angular_momentum_within(turning),
            provided=self.provided,
        )

    def motion(self, state: State, frames: int) -> tuple[Float, Float]:
        return self.follow(state, self.kick(state.scalars, len(state.positions)), frames * self.sample_every + 1)

    def follow(self, state: State, kick: Kick, steps: int) -> tuple[Float, Float]:
        """Positions and velocities (S, T, N, 3) of the frames within a number of kicks."""
        x, v = (part.transpose(1, 2, 0).copy(order="C") for part in (state.positions, state.velocities))
        return self.stepping(x, v, kick, self.step, steps, self.sample_every)

    def _energy(self, positions: Float, velocities: Float, fields: Mapping[str, Float]) -> Float:
        still = self.potential(positions, fields) + self.around.potential(positions, fields)
        return kinetic(positions, velocities, fields) + still
