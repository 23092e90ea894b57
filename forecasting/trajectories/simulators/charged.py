"""Charged bodies: the n-body benchmark of EGNN and its successors, as published and with its symmetry mended.

The published program clips each coordinate of a force at ±100, which only the octahedral group O_h respects; clipping the
length of the force instead gives a world that is symmetric under all of O(3).
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.trajectories.simulators._surroundings import Surroundings
from forecasting.trajectories.simulators.base import SIMULATORS, Simulator, checked_seed
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory
from forecasting.trajectories.units import Unit

Float = NDArray[np.float64]
STEP = 1e-3
LARGEST_FORCE = 100.0
SPEED = 0.5
WALL = 5.0
BLOCK = 1024


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


class _Charged(Simulator):
    """Bodies with charges ±1 that repel or attract by q_i q_j / r², in free space.

    Integration as published: a full first kick, then drift and kick with steps of 1e-3; every `sample_every`-th state is kept,
    the initial one is not.

    Args:
        bodies: N; steps: integration steps; sample_every: steps between frames.
        gravity: constant acceleration along −`axis`, added after the clip, as the others are.
        trap: k of the acceleration −k (x·n) n towards the plane through the origin across `axis`.
        field: B of the acceleration q B v × n, a magnetic field along `axis`.
        axis: (3,) direction n; any length.
    """

    def __init__(
        self,
        bodies: int = 5,
        steps: int = 5000,
        sample_every: int = 100,
        gravity: float = 0.0,
        axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
        trap: float = 0.0,
        field: float = 0.0,
    ) -> None:
        self.bodies, self.steps = _whole("bodies", bodies), _whole("steps", steps)
        self.sample_every = _whole("sample_every", sample_every)
        if steps <= sample_every:
            raise UsageError(f"charged bodies: no frame is reached, need steps > sample_every, found {steps} and {sample_every}")
        self.frames = (steps - 1) // sample_every
        self.around = Surroundings(_direction(axis), _finite("gravity", gravity), _finite("trap", trap), _finite("field", field))

    def clip(self, force: Float, norm: Float) -> None:
        """Limit the forces (N, 3, S) in place; `norm` (N, 1, S) is scratch space."""
        raise NotImplementedError

    def runs(self, count: int, seed: int) -> ChargedRuns:
        """The first `count` scenes as arrays."""
        blocks = list(self._blocks(count, seed))
        parts = [np.concatenate(part) for part in zip(*blocks, strict=True)]
        return ChargedRuns(*(part[:count] for part in parts))

    def scenes(self, count: int, seed: int) -> Iterator[Trajectory]:
        time = STEP * self.sample_every * np.arange(1, self.frames + 1, dtype=np.float64)
        options: dict[str, object] = {"seed": seed, "bodies": self.bodies, "steps": self.steps, "sample_every": self.sample_every}
        options |= {**vars(self.around), "axis": self.around.axis.tolist()}
        index = 0
        for positions, velocities, charges, _ in self._blocks(count, seed):
            for position, velocity, charge in zip(positions, velocities, charges, strict=True):
                if index == count:
                    return
                yield Trajectory(
                    scene=f"{index:06d}",
                    time=time,
                    positions=position,
                    valid=np.ones(position.shape[:2], dtype=bool),
                    node_ids=np.arange(self.bodies),
                    node_types=np.full(self.bodies, "body"),
                    unit=Unit("unitless"),
                    frame=Frame(),
                    fields={
                        "velocity": Field(velocity, "1o", "unitless/s"),
                        "charge": Field(charge[:, None], "0e", "charge"),
                    },
                    source=Source("", self.name, options),
                )
                index += 1

    def _blocks(self, count: int, seed: int) -> Iterator[tuple[Float, Float, Float, NDArray[np.int64]]]:
        """Blocks of always the same size, so that results do not depend on how many are asked for; computed ahead."""
        rng = np.random.RandomState(checked_seed(seed))
        workers = os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            ahead: deque[Future[tuple[Float, Float, Float, NDArray[np.int64]]]] = deque()
            for _ in range(0, count, BLOCK):
                ahead.append(pool.submit(self._integrate, *self._draw(rng)))
                if len(ahead) > 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _draw(self, rng: np.random.RandomState) -> tuple[Float, Float, Float]:
        """Initial positions and velocities (S, 3, N) and charges (S, N), in the order of the published random stream.

        The published program also draws observation noise of size 0 for every frame; it is drawn here to keep the stream.
        """
        spread = (self.bodies / 5) ** (1 / 3)
        x, v = np.empty((2, BLOCK, 3, self.bodies))
        q = np.empty((BLOCK, self.bodies))
        unused = 2 * (self.steps // self.sample_every - 1) * 3 * self.bodies
        for scene in range(BLOCK):
            q[scene] = np.where(rng.random_sample(self.bodies) < 0.5, -1.0, 1.0)
            x[scene] = rng.standard_normal((3, self.bodies)) * spread
            v[scene] = rng.standard_normal((3, self.bodies))
            rng.standard_normal(unused)
        v *= SPEED / np.sqrt((v**2).sum(axis=1, keepdims=True))
        beyond = np.abs(x) > WALL
        x[beyond] = np.sign(x[beyond]) * 2 * WALL - x[beyond]
        v[beyond] = -np.sign(x[beyond]) * np.abs(v[beyond])
        return x, v, q

    def _integrate(self, x0: Float, v0: Float, charges: Float) -> tuple[Float, Float, Float, NDArray[np.int64]]:
        x = np.ascontiguousarray(x0.transpose(2, 1, 0))
        v = np.ascontiguousarray(v0.transpose(2, 1, 0))
        forces = _PairForces(charges.T)
        scratch = np.empty((self.bodies, 1, BLOCK))
        positions, velocities = np.empty((2, BLOCK, self.frames, self.bodies, 3))
        first_clipped = np.full(BLOCK, self.steps)
        for step in range(self.steps):
            if step:
                np.multiply(v, STEP, out=forces.drift)
                x += forces.drift
                if step % self.sample_every == 0 and step // self.sample_every <= self.frames:
                    positions[:, step // self.sample_every - 1] = x.transpose(2, 0, 1)
                    velocities[:, step // self.sample_every - 1] = v.transpose(2, 0, 1)
            force = forces.at(x)
            largest = np.maximum(force.max(axis=(0, 1)), -force.min(axis=(0, 1)))
            self._limit(force, scratch, largest, first_clipped, step)
            force *= STEP
            v += force
            if self.around:
                self.around.kick(x, v, charges.T, STEP)
        return positions, velocities, charges, first_clipped

    def _limit(self, force: Float, scratch: Float, largest: Float, first_clipped: NDArray[np.int64], step: int) -> None:
        """Clip where needed; no force is as long as 100 while no coordinate reaches 100/√3."""
        if largest.max() > LARGEST_FORCE / np.sqrt(3):
            before = force.copy()
            self.clip(force, scratch)
            changed = (before != force).any(axis=(0, 1))
            np.minimum(first_clipped, np.where(changed, step, self.steps), out=first_clipped)


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or value < 1:
        raise UsageError(f"charged bodies: {name} must be a whole number of at least 1, found {value!r}")
    return int(value)


def _finite(name: str, value: Any) -> float:
    if not isinstance(value, Real) or not np.isfinite(float(value)):
        raise UsageError(f"charged bodies: {name} must be a finite number, found {value!r}")
    return float(value)


def _direction(axis: Any) -> Float:
    """(3,) unit vector along `axis`."""
    numbers = np.asarray(axis)
    length = float(np.linalg.norm(numbers)) if numbers.shape == (3,) and numbers.dtype.kind in "iuf" else 0.0
    if not np.isfinite(length) or length == 0:
        raise UsageError(f"charged bodies: axis must be three numbers that are not all 0, found {axis!r}")
    return numbers / length


class _PairForces:
    """Forces of all pairs, without temporaries: differences and sums are products with the incidence matrix of the pairs."""

    def __init__(self, charges: Float) -> None:
        bodies, scenes = charges.shape
        first, second = np.triu_indices(bodies, 1)
        pairs = len(first)
        self.incidence = np.zeros((pairs, bodies))
        self.incidence[np.arange(pairs), first] = 1.0
        self.incidence[np.arange(pairs), second] = -1.0
        self.back = np.ascontiguousarray(self.incidence.T)
        self.products = charges[first] * charges[second]
        self.difference = np.empty((pairs, 3 * scenes))
        self.square = np.empty((pairs, 3, scenes))
        self.distance2, self.weight = np.empty((2, pairs, scenes))
        self.force = np.empty((bodies, 3 * scenes))
        self.drift = np.empty((bodies, 3, scenes))

    def at(self, x: Float) -> Float:
        """(N, 3, S) force on every body at positions x (N, 3, S)."""
        bodies, _, scenes = x.shape
        np.matmul(self.incidence, x.reshape(bodies, -1), out=self.difference)
        difference = self.difference.reshape(-1, 3, scenes)
        np.multiply(difference, difference, out=self.square)
        np.add(self.square[:, 0], self.square[:, 1], out=self.distance2)
        self.distance2 += self.square[:, 2]
        np.sqrt(self.distance2, out=self.weight)
        self.weight *= self.distance2
        np.divide(self.products, self.weight, out=self.weight)
        difference *= self.weight[:, None]
        np.matmul(self.back, self.difference, out=self.force)
        return self.force.reshape(bodies, 3, scenes)


@SIMULATORS.register("nbody_charged")
class PublishedCharged(_Charged):
    """The world as published: every coordinate of a force is clipped at ±100 (symmetry O_h)."""

    name: ClassVar[str] = "nbody_charged"
    summary: ClassVar[str] = "5 charged bodies exactly as published (force clipped per coordinate: symmetric under O_h)"

    @property
    def symmetry(self) -> str:
        if not self.around:
            return "O_h, translations"
        aligned = np.sort(np.abs(self.around.axis))[1] < 1e-12
        if aligned and not (self.around.trap or self.around.field):
            return "C_4v about the axis, translations"
        return f"what O_h shares with {self.around.symmetry}"

    def clip(self, force: Float, norm: Float) -> None:
        np.clip(force, -LARGEST_FORCE, LARGEST_FORCE, out=force)


@SIMULATORS.register("nbody_charged_clean")
class CleanCharged(_Charged):
    """The same bodies with the length of a force clipped at 100 (symmetry O(3))."""

    name: ClassVar[str] = "nbody_charged_clean"
    summary: ClassVar[str] = "5 charged bodies, force clipped by its length: symmetric under O(3)"

    @property
    def symmetry(self) -> str:
        return self.around.symmetry

    def clip(self, force: Float, norm: Float) -> None:
        np.sqrt(np.square(force).sum(axis=1, keepdims=True), out=norm)
        np.maximum(norm, LARGEST_FORCE, out=norm)
        np.divide(LARGEST_FORCE, norm, out=norm)
        force *= norm
