"""What a format needs to know of a forecast to write it."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.trajectory import Frame, Source, Trajectory
from forecasting.trajectories.units import Unit


class Future(Protocol):
    """Future positions of N nodes of one scene under K hypotheses, H steps long, in the numbers of the file it came from."""

    @property
    def scene(self) -> str:
        """Name of the scene."""

    @property
    def anchor_time(self) -> float:
        """[s] time of the last frame seen."""

    @property
    def time(self) -> NDArray[np.float64]:
        """(H,) [s] times of the forecast."""

    @property
    def positions(self) -> NDArray[np.float64]:
        """(N, K, H, D) [unit, frame, 1o] in the numbers of the file."""

    @property
    def weights(self) -> NDArray[np.float64]:
        """(K,) probability of each hypothesis."""

    @property
    def node_ids(self) -> NDArray[Any]:
        """(N,) integers or strings, as in the file."""

    @property
    def node_types(self) -> NDArray[np.str_]:
        """(N,) strings."""

    @property
    def unit(self) -> Unit:
        """Of the positions in memory; its `per_axis` is what a number of the file means."""

    @property
    def frame(self) -> Frame:
        """Coordinate frame."""

    @property
    def source(self) -> Source:
        """Where the scene came from."""


def future_scenes(forecasts: Iterable[Future]) -> Iterator[Trajectory]:
    """Every hypothesis of every forecast as a scene of its own, for formats that know scenes only.

    The first forecast of a scene keeps its name, later ones get ``@TIME`` (of the last frame seen, in seconds); where there
    are several hypotheses, ``/hypothesis-K`` is added. Fields and connections are not forecast, and left out.
    """
    taken: set[str] = set()
    for forecast in forecasts:
        name = forecast.scene if forecast.scene not in taken else f"{forecast.scene}@{forecast.anchor_time:.9g}"
        taken.add(forecast.scene)
        count = forecast.positions.shape[1]
        for hypothesis in range(count):
            positions = forecast.unit.from_file(forecast.positions[:, hypothesis].transpose(1, 0, 2))
            yield Trajectory(
                scene=name if count == 1 else f"{name}/hypothesis-{hypothesis}",
                time=forecast.time,
                positions=positions,
                valid=observed(positions),
                node_ids=forecast.node_ids,
                node_types=forecast.node_types,
                unit=forecast.unit,
                frame=forecast.frame,
                source=forecast.source,
            )


def require_planar_metres(scene: str, dim: int, unit: Unit, format: str) -> None:
    """Refuse what a format of planar coordinates in metres cannot hold.

    Raises:
        UsageError: if there are not two coordinates, or their numbers are not metres; says what to do.
    """
    if dim != 2:
        raise UsageError(f"scene '{scene}' has {dim} coordinates; {format} holds x and y only: write parquet instead")
    if unit != Unit("m"):
        raise UsageError(
            f"scene '{scene}' has coordinates in {unit}; {format} holds metres only: convert them first, or read them with "
            "--unit m if they are metres"
        )
