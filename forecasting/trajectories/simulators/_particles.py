"""What simulators of numbered points share: scenes as trajectories, and motion from any state."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.trajectories.simulators._streams import stream
from forecasting.trajectories.simulators.base import Simulator
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory
from forecasting.trajectories.units import Unit

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class State:
    """S scenes at one moment.

    Attributes:
        positions, velocities: (S, N, 3).
        scalars: field -> (S, N), each a 0e.
    """

    positions: Float
    velocities: Float
    scalars: Mapping[str, Float]


class Particles(Simulator):
    """N points whose scenes have positions, velocities and constant scalars.

    Attributes:
        points: N; frames: T; interval: [s] between frames.
        scalars: field -> its unit.
    """

    points: int
    frames: int
    interval: float
    scalars: Mapping[str, str]

    @property
    @abstractmethod
    def options(self) -> dict[str, object]:
        """The parameters as plain values, for the source of a scene."""

    @abstractmethod
    def draw(self, rng: np.random.RandomState, scenes: int) -> State:
        """The start of the next scenes, one after the other from the random stream."""

    @abstractmethod
    def motion(self, state: State, frames: int) -> tuple[Float, Float]:
        """Positions and velocities (S, T, N, 3) of the frames after a state."""

    @property
    def node_types(self) -> NDArray[np.str_]:
        """(N,) see `Trajectory`."""
        return np.full(self.points, "body")

    @property
    def edges(self) -> NDArray[np.int64]:
        """(E, 2) see `Trajectory`."""
        return np.zeros((0, 2), dtype=np.int64)

    @property
    def edge_type(self) -> str:
        """Of all edges."""
        return ""

    def continue_from(self, positions: Float, velocities: Float, fields: Mapping[str, Float], frames: int) -> tuple[Float, Float]:
        missing = sorted(set(self.scalars) - set(fields))
        if missing:
            raise UsageError(f"{self.name} goes on from a state with the fields {', '.join(self.scalars)}; missing: {missing[0]}")
        expected = (len(positions), self.points, 3)
        if not expected == positions.shape == velocities.shape:
            raise UsageError(
                f"{self.name} goes on from positions and velocities (scenes, {self.points}, 3), "
                f"found {positions.shape} and {velocities.shape}"
            )
        return self.motion(self.state(positions, velocities, fields), frames)

    def state(self, positions: Float, velocities: Float, fields: Mapping[str, Float]) -> State:
        """The state that has these fields (S, N, 1)."""
        return State(positions, velocities, {name: fields[name][..., 0] for name in self.scalars})

    def scenes(self, count: int, seed: int) -> Iterator[Trajectory]:
        index = 0
        for start, (positions, velocities) in stream(self.draw, self._followed, count, seed):
            for place in range(min(len(positions), count - index)):
                scalars = {name: values[place] for name, values in start.scalars.items()}
                yield self._scene(index, seed, positions[place], velocities[place], scalars)
                index += 1

    def _followed(self, start: State) -> tuple[State, tuple[Float, Float]]:
        return start, self.motion(start, self.frames)

    def _scene(self, index: int, seed: int, positions: Float, velocities: Float, scalars: Mapping[str, Float]) -> Trajectory:
        fields = {name: Field(values[:, None], "0e", self.scalars[name]) for name, values in scalars.items()}
        return Trajectory(
            scene=f"{index:06d}",
            time=self.interval * np.arange(1, self.frames + 1, dtype=np.float64),
            positions=positions,
            valid=np.ones(positions.shape[:2], dtype=bool),
            node_ids=np.arange(self.points),
            node_types=self.node_types,
            unit=Unit("unitless"),
            frame=Frame(),
            edges=self.edges,
            edge_types=np.full(len(self.edges), self.edge_type),
            fields={"velocity": Field(velocities, "1o", "unitless/s"), **fields},
            source=Source("", self.name, {"seed": seed, **self.options}),
        )
