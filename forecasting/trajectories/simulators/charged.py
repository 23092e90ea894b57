"""Charged bodies: the n-body benchmark of EGNN and its successors, as published and with its symmetry mended.

The published program clips each coordinate of a force at ±100, which only the octahedral group O_h respects; clipping the
length of the force instead gives a world that is symmetric under all of O(3).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.symmetry.groups import LinearGroup
from forecasting.trajectories.simulators._bodies import Bodies
from forecasting.trajectories.simulators._pair_forces import PairForces, all_pairs, distances
from forecasting.trajectories.simulators._parameters import whole
from forecasting.trajectories.simulators._particles import State
from forecasting.trajectories.simulators._stepping import Kick, staggered
from forecasting.trajectories.simulators._streams import stream
from forecasting.trajectories.simulators._surroundings import Surroundings
from forecasting.trajectories.simulators._truth import group
from forecasting.trajectories.simulators.base import SIMULATORS

Float = NDArray[np.float64]
STEP = 1e-3
LARGEST_FORCE = 100.0
SPEED = 0.5
WALL = 5.0


@dataclass(frozen=True, eq=False)
class ChargedRuns:
    """S simulated scenes.

    Attributes:
        positions, velocities: (S, T, N, 3).
        charges: (S, N) ±1.
        first_clipped: (S,) first integration step at which a force was clipped; the number of steps where none was.
    """

    positions: Float
    velocities: Float
    charges: Float
    first_clipped: NDArray[np.int64]


class _Charged(Bodies):
    """Bodies with charges ±1 that repel or attract by q_i q_j / r², in free space.

    Integration as published: a full first kick, then drift and kick with steps of 1e-3; every `sample_every`-th state is kept,
    the initial one is not.

    Args:
        bodies: N; steps: integration steps; sample_every: steps between frames.
        gravity: constant acceleration along −`axis`, added after the clip, as the others are.
        axis: (3,) direction n; any length.
        trap: k of the acceleration −k (x·n) n towards the plane through the origin across `axis`.
        field: B of the acceleration q B v × n, a magnetic field along `axis`.
        cubic: c of the acceleration −c Σ_i x_i³ e_i towards the origin, in the shape of a cube along x, y, z.
        drag: β of the acceleration −β v.
    """

    stepping = staticmethod(staggered)
    scalars: Mapping[str, str] = {"charge": "charge"}

    def __init__(
        self,
        bodies: int = 5,
        steps: int = 5000,
        sample_every: int = 100,
        gravity: float = 0.0,
        axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
        trap: float = 0.0,
        field: float = 0.0,
        cubic: float = 0.0,
        drag: float = 0.0,
    ) -> None:
        self.points, self.steps = whole("bodies", bodies), whole("steps", steps)
        self.sample_every, self.step = whole("sample_every", sample_every), STEP
        if steps <= sample_every:
            raise UsageError(f"charged bodies: no frame is reached, need steps > sample_every, found {steps} and {sample_every}")
        self.frames, self.interval = (steps - 1) // sample_every, STEP * sample_every
        self.around = Surroundings.of(axis, gravity=gravity, trap=trap, field=field, cubic=cubic, drag=drag)

    @property
    def options(self) -> dict[str, object]:
        counts = {"bodies": self.points, "steps": self.steps, "sample_every": self.sample_every}
        return {**counts, **vars(self.around), "axis": self.around.axis.tolist()}

    @property
    def provided(self) -> str:
        return "" if self.points == 1 else f"while no force on a body reaches {LARGEST_FORCE:g}, where it is clipped"

    def clip(self, force: Float, norm: Float) -> None:
        """Limit the forces (N, 3, S) in place; `norm` (N, 1, S) is scratch space."""
        raise NotImplementedError

    def runs(self, count: int, seed: int) -> ChargedRuns:
        """The first `count` scenes as arrays."""
        blocks = list(stream(self._draw, lambda start: self._integrate(*start), count, seed))
        parts = [np.concatenate(part) for part in zip(*blocks, strict=True)]
        return ChargedRuns(*(part[:count] for part in parts))

    def draw(self, rng: np.random.RandomState, scenes: int) -> State:
        return _state(*self._draw(rng, scenes))

    def kick(self, scalars: Mapping[str, Float], scenes: int) -> Kick:
        return _ClippedKick(scalars["charge"].T, self.around, self.clip)

    def potential(self, positions: Float, fields: Mapping[str, Float]) -> Float:
        pairs = all_pairs(self.points)
        charges = fields["charge"][..., 0]
        return (charges[..., pairs[:, 0]] * charges[..., pairs[:, 1]] / distances(positions, pairs)).sum(-1)

    def turned_back(self, positions: Float, velocities: Float, fields: Mapping[str, Float]) -> Float:
        state = self.state(positions, velocities, fields)
        x, v = (part.transpose(1, 2, 0).copy(order="C") for part in (state.positions, state.velocities))
        self.kick(state.scalars, len(state.positions))(x, v, STEP)
        return -v.transpose(2, 0, 1)

    def _draw(self, rng: np.random.RandomState, scenes: int) -> tuple[Float, Float, Float]:
        """Initial positions and velocities (S, 3, N) and charges (S, N), in the order of the published random stream.

        The published program also draws observation noise of size 0 for every frame; it is drawn here to keep the stream.
        """
        spread = (self.points / 5) ** (1 / 3)
        x, v = np.empty((2, scenes, 3, self.points))
        q = np.empty((scenes, self.points))
        unused = 2 * (self.steps // self.sample_every - 1) * 3 * self.points
        for scene in range(scenes):
            q[scene] = np.where(rng.random_sample(self.points) < 0.5, -1.0, 1.0)
            x[scene] = rng.standard_normal((3, self.points)) * spread
            v[scene] = rng.standard_normal((3, self.points))
            rng.standard_normal(unused)
        v *= SPEED / np.sqrt((v**2).sum(axis=1, keepdims=True))
        beyond = np.abs(x) > WALL
        x[beyond] = np.sign(x[beyond]) * 2 * WALL - x[beyond]
        v[beyond] = -np.sign(x[beyond]) * np.abs(v[beyond])
        return x, v, q

    def _integrate(self, x0: Float, v0: Float, charges: Float) -> tuple[Float, Float, Float, NDArray[np.int64]]:
        """Positions, velocities, charges and the first clipped steps of scenes that start so, see `_draw` and `ChargedRuns`."""
        kick = _ClippedKick(charges.T, self.around, self.clip)
        positions, velocities = self.follow(_state(x0, v0, charges), kick, self.steps)
        return positions, velocities, charges, np.minimum(kick.first_clipped, self.steps)


def _state(x: Float, v: Float, charges: Float) -> State:
    return State(x.transpose(0, 2, 1), v.transpose(0, 2, 1), {"charge": charges})


class _ClippedKick:
    """Kicks by forces q_i q_j / r² that are clipped, then by the surroundings.

    Attributes:
        first_clipped: (S,) first kick at which a force was clipped, a huge number so far where none was.
    """

    def __init__(self, charges: Float, around: Surroundings, clip: Callable[[Float, Float], None]) -> None:
        bodies, scenes = charges.shape
        pairs = all_pairs(bodies)
        self.charges, self.around, self.clip = charges, around, clip
        self.products = charges[pairs[:, 0]] * charges[pairs[:, 1]]
        self.forces = PairForces(pairs, bodies, scenes, self._weigh)
        self.scratch = np.empty((bodies, 1, scenes))
        self.kicks, self.first_clipped = 0, np.full(scenes, np.iinfo(np.int64).max)

    def __call__(self, x: Float, v: Float, step: float) -> None:
        force = self.forces.at(x)
        self._limit(force)
        force *= step
        v += force
        self.around.push(x, v, step)
        self.around.turn(v, self.charges, step)
        self.kicks += 1

    def _weigh(self, distance2: Float, weight: Float) -> None:
        np.sqrt(distance2, out=weight)
        weight *= distance2
        np.divide(self.products, weight, out=weight)

    def _limit(self, force: Float) -> None:
        """Clip where needed; no force is as long as 100 while no coordinate reaches 100/√3."""
        if max(force.max(), -force.min()) > LARGEST_FORCE / np.sqrt(3):
            before = force.copy()
            self.clip(force, self.scratch)
            changed = (before != force).any(axis=(0, 1))
            self.first_clipped[changed] = np.minimum(self.first_clipped[changed], self.kicks)


@SIMULATORS.register("nbody_charged")
class PublishedCharged(_Charged):
    """The world as published: every coordinate of a force is clipped at ±100 (symmetry O_h)."""

    name: ClassVar[str] = "nbody_charged"
    summary: ClassVar[str] = "5 charged bodies exactly as published (force clipped per coordinate: symmetric under O_h)"

    @property
    def symmetry(self) -> str:
        return self.around.symmetry_within(octahedral=self.points > 1)

    @property
    def group(self) -> LinearGroup:
        return group("O_h" if self.points > 1 else "O(3)")

    def clip(self, force: Float, norm: Float) -> None:
        np.clip(force, -LARGEST_FORCE, LARGEST_FORCE, out=force)


@SIMULATORS.register("nbody_charged_clean")
class CleanCharged(_Charged):
    """The same bodies with the length of a force clipped at 100 (symmetry O(3))."""

    name: ClassVar[str] = "nbody_charged_clean"
    summary: ClassVar[str] = "5 charged bodies, force clipped by its length: symmetric under O(3)"

    def clip(self, force: Float, norm: Float) -> None:
        np.sqrt(np.square(force).sum(axis=1, keepdims=True), out=norm)
        np.maximum(norm, LARGEST_FORCE, out=norm)
        np.divide(LARGEST_FORCE, norm, out=norm)
        force *= norm
