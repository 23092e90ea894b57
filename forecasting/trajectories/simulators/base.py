"""The contract of a simulator, and the table of simulators."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from forecasting.errors import UsageError
from forecasting.plain import call
from forecasting.registry import Registry
from forecasting.trajectories.trajectory import Trajectory

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
