"""Scenes as the model wants them, and the way back to the numbers of the file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, UsageError
from forecasting.inference.fields import known_fields
from forecasting.packages.package import Package
from forecasting.symmetry.transforms import Orthogonal, rotation_about
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.memory_map import MemoryMap, rows_of
from forecasting.trajectories.trajectory import Frame, Source, Trajectory
from forecasting.trajectories.units import Unit, conversion
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
CLOCK_MATCH = 0.01
NODES_PER_GROUP = 8192
ENTRIES_PER_GROUP = 1 << 20
"""Frames x nodes of the scenes that are held together; a larger scene is held alone."""


@dataclass(frozen=True, eq=False)
class SceneGroup:
    """Scenes of one dimension, unit, frame, kind of node id and set of fields, together until they fill a batch; see `Group`.

    Attributes:
        scenes: as they were read.
        rows: the same in the package's unit and frame, as flat arrays.
        back_to: the numbers of the file.
    """

    scenes: tuple[Trajectory, ...]
    rows: MemoryMap
    back_to: "WayBack"

    @classmethod
    def of(cls, scenes: Sequence[Trajectory], package: Package, extra_types: int) -> "SceneGroup":
        """Check and convert scenes that stand in one group.

        Args:
            scenes: at least one; package: what they are for; extra_types: edge types that the topology adds to the data's own.

        Raises:
            DataError: if a scene lacks a field or has a node type that the model does not know, or another frame rate.
            UsageError: if its unit or frame cannot be converted.
        """
        known = package.schema
        own_edges = known.edge_types[: len(known.edge_types) - extra_types]
        inner = [_known_only(scene, package, own_edges) for scene in scenes]
        factor, turn = conversion_of(scenes[0].unit, scenes[0].frame, package, _where(scenes[0]))
        if factor != 1.0 or scenes[0].unit.name != package.unit:
            inner = [scene.in_unit(package.unit) for scene in inner]
        if turn is not None:
            inner = [scene.transformed(turn) for scene in inner]
        rows = rows_of(inner, known.node_types, own_edges)
        several = np.array([len(scene.time) > 1 for scene in scenes])
        check_rates(lambda index: _where(scenes[index]), rows.dt, several, package)
        return cls(tuple(scenes), rows, WayBack(scenes[0].unit, factor, turn))

    def where(self, scene: int) -> str:
        """See `Group`."""
        return _where(self.scenes[scene])

    def back(self, positions: Float) -> Float:
        """See `Group`."""
        return self.back_to(positions)

    @cached_property
    def way_back(self) -> Float:
        """See `Group`."""
        return self.back_to.matrix(self.scenes[0].dim)

    @property
    def members(self) -> Int:
        """See `Group`."""
        return np.arange(len(self.scenes))

    @property
    def unit(self) -> Unit:
        """See `Group`."""
        return self.scenes[0].unit

    @property
    def frame(self) -> Frame:
        """See `Group`."""
        return self.scenes[0].frame

    def name(self, scene: int) -> str:
        """See `Group`."""
        return self.scenes[scene].scene

    def source(self, scene: int) -> Source:
        """See `Group`."""
        return self.scenes[scene].source

    def labels(self, member: Int) -> tuple[Labels, Labels]:
        """See `Group`."""
        return self._ids[member], self._types[member]

    @cached_property
    def _ids(self) -> Labels:
        return Labels.of([scene.node_ids for scene in self.scenes])

    @cached_property
    def _types(self) -> Labels:
        return Labels.of([scene.node_types for scene in self.scenes])


def scene_groups(scenes: Iterable[Trajectory]) -> Iterator[list[Trajectory]]:
    """Scenes in their order, those that can share a `SceneGroup` together."""
    group: list[Trajectory] = []
    kind: Any = None
    nodes = entries = 0
    for scene in scenes:
        fields = {name: (item.per_frame, item.values.shape[-1]) for name, item in scene.fields.items()}
        this = (scene.dim, scene.unit, scene.frame, scene.node_ids.dtype.kind in "iu", fields)
        if group and (this != kind or nodes >= NODES_PER_GROUP or entries + scene.valid.size > ENTRIES_PER_GROUP):
            yield group
            group, nodes, entries = [], 0, 0
        group.append(scene)
        kind, nodes, entries = this, nodes + len(scene.node_ids), entries + scene.valid.size
    if group:
        yield group


@dataclass(frozen=True)
class WayBack:
    """From the package's unit and frame to the numbers of a file.

    Attributes:
        unit: of the file; factor: package units per unit of the file.
        turn: from the file's frame to the package's, None where they agree.
    """

    unit: Unit
    factor: float
    turn: Orthogonal | None

    def __call__(self, positions: Float) -> Float:
        """(..., D) -> the same shape."""
        if self.turn is not None:
            positions = Orthogonal(self.turn.matrix.T).act(positions, "1o", translates=True)
        return self.unit.to_file(positions / self.factor)

    def matrix(self, dim: int) -> Float:
        """(D, D) of the same, for columns of coordinates."""
        return self(np.eye(dim)).T


def where(source: Source, name: str) -> str:
    """File and name of a scene, for messages."""
    return f"{source.path or 'input'}: scene '{name}'"


def _where(scene: Trajectory) -> str:
    return where(scene.source, scene.scene)


def check_rates(where: Callable[[int], str], dt: Float, several: NDArray[np.bool_], package: Package) -> None:
    """Refuse scenes of another frame rate than the model's.

    Args:
        where: file and name of the scene at an index, for the message.
        dt: (S,) [s] median steps; several: (S,) whether the scene has more than one frame.

    Raises:
        DataError: names the first.
    """
    wrong = several & (np.abs(dt - package.dt) > CLOCK_MATCH * package.dt)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"{where(first)} has {1 / dt[first]:.6g} frames/s; the model was trained at {1 / package.dt:.6g}. Say the "
            "true rate with --rate, or bring the file to the model's rate with `forecast ingest --resample`"
        )


def _known_only(scene: Trajectory, package: Package, edge_types: Sequence[str]) -> Trajectory:
    """The scene with types and fields as the model knows them, and connections of `edge_types` only."""
    known = package.schema
    if scene.dim != known.dim:
        raise DataError(f"{_where(scene)} has {scene.dim} coordinates; the model was trained on {known.dim}")
    fields = known_fields(scene, package.fields, _where(scene))
    types = _types(scene, known.node_types)
    if len(scene.time) == 1 and package.window.history > 1:
        raise DataError(f"{_where(scene)} has a single frame; the model needs a history of {package.window.history}")
    changed: dict[str, Any] = {}
    if types is not scene.node_types:
        changed["node_types"] = types
    if fields != scene.fields:
        changed["fields"] = fields
    if not set(scene.edge_types.tolist()) <= set(edge_types):
        kept = np.isin(scene.edge_types, list(edge_types))
        changed |= {"edges": scene.edges[kept], "edge_types": scene.edge_types[kept]}
    return replace(scene, **changed) if changed else scene


def _types(scene: Trajectory, known: Sequence[str]) -> NDArray[np.str_]:
    """(N,) the scene's own types; the only type known; or, for a model to which every node id is a type, the ids.

    Raises:
        DataError: if none of these will do.
    """
    unknown = set(scene.node_types.tolist()).difference(known)
    if not unknown:
        return scene.node_types
    if len(known) == 1:
        return np.full(len(scene.node_ids), known[0])
    ids = scene.node_ids.astype(str)
    if set(ids.tolist()) <= set(known):
        return ids
    raise DataError(f"{_where(scene)} has nodes of type '{min(unknown)}'; the model knows {', '.join(known)}")


def conversion_of(unit: Unit, frame: Frame, package: Package, said: str) -> tuple[float, Orthogonal | None]:
    """Package units per unit of a file, and the turn from its frame to the package's, None where they agree.

    Args:
        unit, frame: of the file; said: which scene, for messages.

    Raises:
        UsageError: if one cannot be converted.
    """
    try:
        factor = conversion(unit.name, package.unit)
    except UsageError as error:
        raise UsageError(f"{said} is in {unit.name}, the model in {package.unit}: {error}") from None
    if frame.handedness != package.frame.handedness:
        raise UsageError(f"{said} has a {frame.handedness}-handed frame, the model a {package.frame.handedness}-handed one")
    if frame.up in (package.frame.up, "none") or package.frame.up == "none":
        return factor, None
    return factor, Orthogonal(_between(frame.up_vector, package.frame.up_vector), "up axis")


def _between(source: Float | None, target: Float | None) -> Float:
    """(3, 3) rotation that takes one axis direction to another."""
    if source is None or target is None:
        return np.eye(3)
    axis = np.cross(source, target)
    if not axis.any():
        axis = np.roll(source, 1)
        return np.eye(3) if source @ target > 0 else rotation_about(axis, np.pi)
    return rotation_about(axis, np.pi / 2)
