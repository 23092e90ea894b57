"""The contract of a simulator, and the table of simulators."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.plain import call
from forecasting.registry import Registry
from forecasting.trajectories.simulators.conserved import Conserved
from forecasting.trajectories.trajectory import Trajectory

Float = NDArray[np.float64]
PARTITIONS = ("train", "validation", "test")


class Simulator(ABC):
    """A seeded world whose true symmetry is known; its constructor takes the parameters as plain keyword arguments.

    Attributes:
        name: as in ``forecast simulate NAME``.
        summary: one line for ``--help``.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    @property
    @abstractmethod
    def symmetry(self) -> str:
        """The true symmetry group of the motion, with translations, in the notation of the docs."""

    @property
    @abstractmethod
    def truth(self) -> Mapping[str, bool]:
        """Group -> whether the motion keeps it, or breaks it.

        The names are O(3), SO(3), D∞h(n), C∞h(n), C∞v(n), SO(2)(n), inversion, O_h (about x, y, z), all of them about the
        origin; translations, translations along n, translations across n; time reversal (reversed velocities lead back the
        same way); scale (positions and velocities times a number, at the same times). n is `axis`, or any direction where
        that is None.
        """

    @property
    def axis(self) -> Float | None:
        """(3,) unit vector n of the world, None where nothing in it knows a direction."""
        return None

    @property
    def conserved(self) -> Conserved:
        """What the motion does not change; nothing unless the world says so."""
        return Conserved()

    @abstractmethod
    def continue_from(self, positions: Float, velocities: Float, fields: Mapping[str, Float], frames: int) -> tuple[Float, Float]:
        """The motion that follows from any state; from a frame of a scene, the frames that come after it.

        Args:
            positions, velocities: (S, N, 3) of S scenes.
            fields: name -> (S, N, C), the other fields that scenes of this world have.
            frames: T.

        Returns:
            Positions and velocities (S, T, N, 3) of the frames after the state.
        """

    def turned_back(self, positions: Float, velocities: Float, fields: Mapping[str, Float]) -> Float:
        """(S, N, 3) velocities that lead back where the motion is the same backward in time: −v, if they belong to `positions`.

        Worlds whose velocities belong to a moment beside that of the positions say here what −v is at the other side of it.
        """
        return -velocities

    @abstractmethod
    def scenes(self, count: int, seed: int) -> Iterator[Trajectory]:
        """The first `count` scenes of the stream that `seed` starts; asking for more never changes the first ones."""

    def partitioned(self, counts: Mapping[str, int], seed: int) -> Iterator[Trajectory]:
        """One stream of scenes, marked train, validation and test in this order.

        Args:
            counts: partition -> number of scenes.
            seed: of the stream.

        Raises:
            UsageError: if no scene is asked for, a number is negative or belongs to no partition, or the seed is out of range.
        """
        for name, number in counts.items():
            if name not in PARTITIONS or number < 0:
                raise UsageError(f"cannot simulate {number} scenes for '{name}'; give {', '.join(PARTITIONS)} numbers from 0 on")
        marks = [name for name in PARTITIONS for _ in range(counts.get(name, 0))]
        if not marks:
            raise UsageError("ask for at least one scene (--train, --validation, --test)")
        for mark, scene in zip(marks, self.scenes(len(marks), seed), strict=True):
            yield replace(scene, partition=mark)


def checked_seed(seed: int) -> int:
    """The seed, if a stream can start from it.

    Raises:
        UsageError: if it is not from 0 to 2**32 − 1.
    """
    if not 0 <= seed < 1 << 32:
        raise UsageError(f"the seed must be from 0 to {(1 << 32) - 1}, found {seed}")
    return seed


SIMULATORS: Registry[type[Simulator]] = Registry("simulator", "forecasting.trajectories.simulators", "forecasting.simulators")


def build_simulator(name: str, parameters: Mapping[str, Any]) -> Simulator:
    """Make the simulator called `name`.

    Raises:
        UsageError: if there is none or it has no such parameter; names the nearest.
    """
    return call(SIMULATORS[name], parameters, f"simulator '{name}'")
