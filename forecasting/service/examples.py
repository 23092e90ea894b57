"""Scenes to try a service with: those that lie beside a package, else simulated ones that fit, else made-up ones."""

import re
from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Any

from forecasting.errors import ForecastingError
from forecasting.inference.scenes import SceneGroup
from forecasting.packages.package import EXAMPLES
from forecasting.service.made_up import made_up
from forecasting.service.problems import Problem
from forecasting.service.scenes import plain_scene
from forecasting.service.shelf import Served, Shelf
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.reading import read_trajectories
from forecasting.trajectories.simulators import SIMULATORS
from forecasting.trajectories.simulators.base import build_simulator
from forecasting.trajectories.trajectory import Trajectory

COUNT = 3
"""Of each package, where they do not lie beside it."""
MOST = 12
SEED = 2024
SIMULATED = "velocity"
"""A field that every simulated world has."""
_ODD = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, eq=False)
class Example:
    """A scene that fits a package.

    Attributes:
        name: of its own among all; title: for people; served: the package; scene: itself; format: it was read from.
    """

    name: str
    title: str
    served: Served
    scene: Trajectory
    format: str

    def plain(self) -> dict[str, Any]:
        """As a line of the list."""
        frames, nodes = self.scene.valid.shape
        return {
            "name": self.name,
            "title": self.title,
            "package": self.served.address,
            "nodes": nodes,
            "frames": frames,
        }


class Examples:
    """The examples of every package, found when the first is asked for.

    Args:
        shelf: of packages.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    @cached_property
    def _all(self) -> dict[str, Example]:
        found = dict[str, Example]()
        for served in self.shelf.served:
            for title, scene in _beside(served) or _simulated(served) or _made_up(served):
                name = _free(_name(scene, served), found)
                found[name] = Example(name, title, served, scene, scene.source.format)
        return found

    def plain(self) -> dict[str, Any]:
        """The list."""
        return {"examples": [one.plain() for one in self._all.values()]}

    def find(self, name: str) -> dict[str, Any]:
        """One of them, as `POST /read` answers.

        Raises:
            Problem: 404 if there is none.
        """
        one = self._all.get(name)
        if one is None:
            raise Problem(404, f"there is no example '{name[:100]}'; GET /examples lists them")
        return {"format": one.format, "scenes": [plain_scene(one.scene, one.served.package)], "findings": []}


def _name(scene: Trajectory, served: Served) -> str:
    """After the scene's file, else after the package."""
    return _ODD.sub("-", Path(scene.source.path).stem or served.name).strip(".") or "example"


def _free(name: str, taken: Container[str]) -> str:
    """The name, with the first number behind it that makes it one of its own."""
    return next(one for number in count(1) if (one := name if number == 1 else f"{name}-{number}") not in taken)


def _beside(served: Served) -> list[tuple[str, Trajectory]]:
    """Scenes of the files in the folder `examples` of the package."""
    folder = served.folder / EXAMPLES
    if not folder.is_dir():
        return []
    options = ReadOptions(fallback_unit=served.package.unit, fallback_up=served.package.frame.up)
    try:
        return [(scene.scene, scene) for scene in islice(read_trajectories(folder, options), MOST) if _fits(scene, served)]
    except ForecastingError:
        return []


def _simulated(served: Served) -> list[tuple[str, Trajectory]]:
    """The first scenes of the first simulated world that has what the package was trained with."""
    if SIMULATED not in served.package.fields:
        return []
    for name in SIMULATORS.names():
        world = build_simulator(name, {})
        (first,) = world.scenes(1, SEED)
        if set(first.fields) == set(served.package.fields) and _fits(first, served):
            return [(f"{name}, simulated", scene) for scene in world.scenes(COUNT, SEED)]
    return []


def _made_up(served: Served) -> list[tuple[str, Trajectory]]:
    return [("made-up curves", made_up(served.package, seed)) for seed in range(COUNT)]


def _fits(scene: Trajectory, served: Served) -> bool:
    """Whether the package can forecast the scene and there is a truth behind the forecast."""
    window = served.package.window
    try:
        SceneGroup.of([scene], served.package, len(served.predictor.builder.topology.extra_types))
    except ForecastingError:
        return False
    return len(scene.time) > window.past + window.future
