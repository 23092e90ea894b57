"""Bodies that attract each other by Newton's law, softened so that near ones do not fly apart."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.simulators._bodies import Bodies
from forecasting.trajectories.simulators._pair_forces import PairForces, all_pairs, distances, pair_kick
from forecasting.trajectories.simulators._parameters import finite, whole, within
from forecasting.trajectories.simulators._particles import State
from forecasting.trajectories.simulators._stepping import Kick
from forecasting.trajectories.simulators._surroundings import Surroundings
from forecasting.trajectories.simulators.base import SIMULATORS

Float = NDArray[np.float64]
STEP = 1e-3
SPEED = 0.5
SPREAD_OF_MASSES = 0.4


@SIMULATORS.register("nbody_gravity")
class AttractingBodies(Bodies):
    """Bodies whose pull on each other is G m_i m_j r / (r² + ε²)^(3/2) (Plummer's softening); masses are a field.

    Integrated by Verlet's scheme with steps of 1e-3. Starts are normal: positions of width 1, velocities of width 0.5, masses
    log-normal about 1.

    Args:
        bodies: N; frames: T; sample_every: steps between frames.
        strength: G; softening: ε, a length.
        gravity, axis, trap, field, cubic, drag: accelerations as of charged bodies, every body turning alike in a field.
    """

    name: ClassVar[str] = "nbody_gravity"
    summary: ClassVar[str] = "5 bodies of different mass that attract each other (Newton's law): symmetric under O(3)"
    scalars: Mapping[str, str] = {"mass": "mass"}

    def __init__(
        self,
        bodies: int = 5,
        frames: int = 70,
        sample_every: int = 40,
        strength: float = 1.0,
        softening: float = 0.2,
        gravity: float = 0.0,
        axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
        trap: float = 0.0,
        field: float = 0.0,
        cubic: float = 0.0,
        drag: float = 0.0,
    ) -> None:
        self.points, self.frames = whole("bodies", bodies), whole("frames", frames)
        self.sample_every, self.step = whole("sample_every", sample_every), STEP
        self.interval = STEP * sample_every
        self.strength, self.softening = finite("strength", strength), within("softening", softening, 1e-3)
        self.around = Surroundings.of(axis, gravity=gravity, trap=trap, field=field, cubic=cubic, drag=drag)

    @property
    def options(self) -> dict[str, object]:
        own = {"bodies": self.points, "sample_every": self.sample_every, "strength": self.strength, "softening": self.softening}
        return {**own, **vars(self.around), "axis": self.around.axis.tolist()}

    @property
    def linear(self) -> bool:
        return self.points == 1 or not self.strength

    def draw(self, rng: np.random.RandomState, scenes: int) -> State:
        numbers = rng.standard_normal((scenes, self.points, 7))
        masses = np.exp(SPREAD_OF_MASSES * numbers[..., 6])
        return State(numbers[..., :3], SPEED * numbers[..., 3:6], {"mass": masses})

    def kick(self, scalars: Mapping[str, Float], scenes: int) -> Kick:
        masses, pairs = np.ascontiguousarray(scalars["mass"].T), all_pairs(self.points)
        products = -self.strength * masses[pairs[:, 0]] * masses[pairs[:, 1]]
        softening2 = self.softening**2

        def weigh(distance2: Float, weight: Float) -> None:
            distance2 += softening2
            np.sqrt(distance2, out=weight)
            weight *= distance2
            np.divide(products, weight, out=weight)

        return pair_kick(PairForces(pairs, self.points, scenes, weigh), masses, self.around)

    def potential(self, positions: Float, fields: Mapping[str, Float]) -> Float:
        pairs, masses = all_pairs(self.points), fields["mass"][..., 0]
        products = masses[..., pairs[:, 0]] * masses[..., pairs[:, 1]]
        return -self.strength * (products / np.sqrt(distances(positions, pairs) ** 2 + self.softening**2)).sum(-1)
