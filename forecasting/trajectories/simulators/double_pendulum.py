"""The double pendulum in space: two bobs on rigid rods that swing in every direction."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.trajectories.simulators._parameters import direction, finite, whole
from forecasting.trajectories.simulators._particles import Particles, State
from forecasting.trajectories.simulators._truth import group, truth
from forecasting.trajectories.simulators.base import SIMULATORS
from forecasting.trajectories.simulators.conserved import Conserved, angular_momentum_within, kinetic, masses

Float = NDArray[np.float64]
STEP = 1e-3
SHORTEST, LONGEST = 0.5, 1.5
SPEED = 1.0
RIGID = 1e-3
SPREAD_OF_MASSES = 0.4


@SIMULATORS.register("double_pendulum")
class DoublePendulum(Particles):
    """A bob on a rod that turns freely about the origin, and a second bob on a rod that turns freely about the first.

    Rods have no mass; their lengths (from 0.5 to 1.5) and the masses differ from scene to scene. Positions are Cartesian; the
    tensions of the rods follow from lengths that do not change (Lagrange's multipliers), and from a state of any lengths the
    motion goes on with those. Integrated by Runge and Kutta's fourth-order scheme with steps of 1e-3. The pivot at the origin
    breaks all translations; turns about the axis and mirrors that hold it are kept.

    Args:
        frames: T; sample_every: steps between frames.
        gravity: g [1/s²], acceleration along −`axis`.
        axis: (3,) direction n; any length.
        drag: β of the acceleration −β v.
    """

    name: ClassVar[str] = "double_pendulum"
    summary: ClassVar[str] = "two bobs on rigid rods hung from the origin: turns about the axis and mirrors, no translations"
    scalars: Mapping[str, str] = {"mass": "mass"}
    points = 2
    edge_type = "rod"

    def __init__(
        self,
        frames: int = 70,
        sample_every: int = 40,
        gravity: float = 9.81,
        axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
        drag: float = 0.0,
    ) -> None:
        self.frames, self.sample_every = whole("frames", frames), whole("sample_every", sample_every)
        self.interval = STEP * sample_every
        self.gravity, self.direction, self.drag = finite("gravity", gravity), direction(axis), finite("drag", drag)

    @property
    def options(self) -> dict[str, object]:
        own = {"sample_every": self.sample_every, "gravity": self.gravity, "drag": self.drag}
        return {**own, "axis": self.direction.tolist()}

    @property
    def node_types(self) -> NDArray[np.str_]:
        return np.full(2, "bob")

    @property
    def edges(self) -> NDArray[np.int64]:
        return np.array([[0, 1]])

    @property
    def axis(self) -> Float | None:
        return self.direction if self.gravity else None

    @property
    def symmetry(self) -> str:
        return f"{'C_inf_v about the axis' if self.gravity else 'O(3)'}, no translations"

    @property
    def truth(self) -> Mapping[str, bool]:
        forces = [group("C∞v", self.direction) if self.gravity else group("O(3)")]
        return truth(forces, self.direction, along=False, across=False, reversal=not self.drag, scale=not self.gravity)

    @property
    def conserved(self) -> Conserved:
        if self.drag:
            return Conserved()
        turning = np.outer(self.direction, self.direction) if self.gravity else np.eye(3)
        return Conserved(energy=self._energy, angular_momentum=angular_momentum_within(turning))

    def draw(self, rng: np.random.RandomState, scenes: int) -> State:
        numbers = rng.standard_normal((scenes, 2, 9))
        rods = numbers[..., :3] / np.linalg.norm(numbers[..., :3], axis=-1, keepdims=True)
        across = SPEED * np.cross(rods, numbers[..., 3:6])
        evenly = np.arctan2(numbers[..., 7], numbers[..., 6])[..., None] / (2 * np.pi) + 0.5
        rods *= SHORTEST + (LONGEST - SHORTEST) * evenly
        weights = np.exp(SPREAD_OF_MASSES * numbers[..., 8])
        return State(np.cumsum(rods, axis=1), np.cumsum(across, axis=1), {"mass": weights})

    def continue_from(self, positions: Float, velocities: Float, fields: Mapping[str, Float], frames: int) -> tuple[Float, Float]:
        """See `Simulator.continue_from`.

        Raises:
            UsageError: if the velocities would stretch a rod, as after a translation; such a state is not of this world.
        """
        rods, turns = (np.diff(part, axis=1, prepend=0) for part in (positions, velocities))
        speeds = np.maximum(np.linalg.norm(turns, axis=-1), 1.0)
        stretch = np.abs((rods * turns).sum(-1)) / (np.linalg.norm(rods, axis=-1) * speeds)
        if not (stretch < RIGID).all():
            scene, rod = np.unravel_index(np.nanargmax(stretch), stretch.shape)
            raise UsageError(
                f"scene {scene} is no double pendulum hung from the origin: its velocities stretch rod {rod + 1}; "
                "give positions and velocities of a frame, turned or mirrored about the origin at most"
            )
        return super().continue_from(positions, velocities, fields, frames)

    def motion(self, state: State, frames: int) -> tuple[Float, Float]:
        x, v = (part.transpose(1, 2, 0).copy(order="C") for part in (state.positions, state.velocities))
        weights = state.scalars["mass"].T
        out = np.empty((2, x.shape[2], frames, 2, 3))
        for frame in range(frames):
            for _ in range(self.sample_every):
                x, v = self._stepped(x, v, weights)
            out[:, :, frame] = x.transpose(2, 0, 1), v.transpose(2, 0, 1)
        return out[0], out[1]

    def _stepped(self, x: Float, v: Float, weights: Float) -> tuple[Float, Float]:
        """Positions and velocities (2, 3, S) after a step."""
        half = STEP / 2
        a1 = self._acceleration(x, v, weights)
        v2 = v + half * a1
        a2 = self._acceleration(x + half * v, v2, weights)
        v3 = v + half * a2
        a3 = self._acceleration(x + half * v2, v3, weights)
        v4 = v + STEP * a3
        a4 = self._acceleration(x + STEP * v3, v4, weights)
        return x + STEP / 6 * (v + 2 * (v2 + v3) + v4), v + STEP / 6 * (a1 + 2 * (a2 + a3) + a4)

    def _acceleration(self, x: Float, v: Float, weights: Float) -> Float:
        """(2, 3, S) of bobs at x that move with v (2, 3, S): with rods r₁ = x₁, r₂ = x₂ − x₁, both r·r̈ + ṙ² must be 0."""
        free = -self.gravity * self.direction[:, None] - self.drag * v
        rods, turns, pushes = np.stack([x[0], x[1] - x[0]]), np.stack([v[0], v[1] - v[0]]), np.stack([free[0], free[1] - free[0]])
        needs = (turns * turns + rods * pushes).sum(1)
        squares, product = (rods * rods).sum(1), (rods[0] * rods[1]).sum(0)
        light1, light2 = 1 / weights
        a, b, c = squares[0] * light1, -product * light1, squares[1] * (light1 + light2)
        determinant = a * c - b * b
        pull1 = (c * needs[0] - b * needs[1]) / determinant
        pull2 = (a * needs[1] - b * needs[0]) / determinant
        free[0] += light1 * (pull2 * rods[1] - pull1 * rods[0])
        free[1] -= light2 * pull2 * rods[1]
        return free

    def _energy(self, positions: Float, velocities: Float, fields: Mapping[str, Float]) -> Float:
        heights = masses(fields, positions) * (positions @ self.direction)
        return kinetic(positions, velocities, fields) + self.gravity * heights.sum(-1)
