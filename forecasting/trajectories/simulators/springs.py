"""Bodies joined by springs: a graph of bonds, as in a molecule or a mesh."""

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
STEP = 2e-3
SPEED = 0.5


@SIMULATORS.register("springs")
class Springs(Bodies):
    """Bodies of mass 1 joined by springs that pull or push by k (r − L); the springs are the edges of every scene.

    Integrated by Verlet's scheme with steps of 2e-3. Starts are normal: positions of width 1, velocities of width 0.5.

    Args:
        bodies: N; frames: T; sample_every: steps between frames.
        stiffness: k [1/s²]; length: L.
        density: share of the pairs that a spring joins; which ones is drawn once for the whole world.
        graph_seed: of that draw.
        gravity, axis, trap, field, cubic, drag: as of charged bodies, every charge being 1.
    """

    name: ClassVar[str] = "springs"
    summary: ClassVar[str] = "5 bodies joined by springs: symmetric under O(3)"
    scalars: Mapping[str, str] = {}
    edge_type = "spring"

    def __init__(
        self,
        bodies: int = 5,
        frames: int = 70,
        sample_every: int = 25,
        stiffness: float = 2.0,
        length: float = 1.0,
        density: float = 1.0,
        graph_seed: int = 0,
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
        self.stiffness, self.length = finite("stiffness", stiffness), within("length", length, 0)
        self.density, self.graph_seed = within("density", density, 0, 1), whole("graph_seed", graph_seed, 0)
        self.around = Surroundings.of(axis, gravity=gravity, trap=trap, field=field, cubic=cubic, drag=drag)
        pairs = all_pairs(self.points)
        joined = np.random.default_rng(self.graph_seed).permutation(len(pairs))[: round(self.density * len(pairs))]
        self.pairs = pairs[np.sort(joined)]

    @property
    def options(self) -> dict[str, object]:
        graph = {"density": self.density, "graph_seed": self.graph_seed}
        counts = {"bodies": self.points, "sample_every": self.sample_every}
        springs = {"stiffness": self.stiffness, "length": self.length}
        return {**counts, **springs, **graph, **vars(self.around), "axis": self.around.axis.tolist()}

    @property
    def edges(self) -> NDArray[np.int64]:
        return self.pairs

    @property
    def linear(self) -> bool:
        return self.length == 0 or not self.stiffness or not len(self.pairs)

    def draw(self, rng: np.random.RandomState, scenes: int) -> State:
        positions, velocities = np.moveaxis(rng.standard_normal((scenes, 2, self.points, 3)), 1, 0)
        return State(positions, SPEED * velocities, {})

    def kick(self, scalars: Mapping[str, Float], scenes: int) -> Kick:
        return pair_kick(PairForces(self.pairs, self.points, scenes, self._weigh), np.ones((self.points, scenes)), self.around)

    def potential(self, positions: Float, fields: Mapping[str, Float]) -> Float:
        return self.stiffness / 2 * ((distances(positions, self.pairs) - self.length) ** 2).sum(-1)

    def _weigh(self, distance2: Float, weight: Float) -> None:
        np.sqrt(distance2, out=weight)
        np.divide(self.stiffness * self.length, weight, out=weight)
        weight -= self.stiffness
