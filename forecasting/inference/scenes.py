"""Scenes as the model wants them, and the way back to the numbers of the file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, UsageError
from forecasting.inference.labels import Labels
from forecasting.packages.package import Package
from forecasting.symmetry.transforms import Orthogonal, rotation_about
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
    """Scenes of one dimension, unit, frame, kind of node id and set of fields, together until they fill a batch.

    Attributes:
        scenes: as they were read.
        rows: the same in the package's unit and frame, as flat arrays.
        factor: package units per unit of the scenes.
        turn: from the scenes' frame to the package's, None where they agree.
    """

    scenes: tuple[Trajectory, ...]
    rows: MemoryMap
    factor: float
    turn: Orthogonal | None

    @classmethod
    def of(cls, scenes: Sequence[Trajectory], package: Package, extra_types: int) -> "SceneGroup":
        """Check and convert scenes that stand in one group.

        Args:
            scenes: at least one; package: what they are for; extra_types: edge types that the topology adds to the data's own.

        Raises:
            DataError: if a scene lacks a field or has a node type that the model does not know, or another frame rate.
            UsageError: if its unit or frame cannot be converted.
        """
        for scene in scenes:
            _check(scene, package)
        factor, turn = _conversion(scenes[0], package)
        known = package.schema
        inner = [_known_only(scene, package) for scene in scenes]
        if factor != 1.0 or scenes[0].unit.name != package.unit:
            inner = [scene.in_unit(package.unit) for scene in inner]
        if turn is not None:
            inner = [scene.transformed(turn) for scene in inner]
        own_edges = known.edge_types[: len(known.edge_types) - extra_types]
        rows = rows_of(inner, known.node_types, own_edges)
        several = np.array([len(scene.time) > 1 for scene in scenes])
        check_rates(lambda index: _where(scenes[index]), rows.dt, several, package)
        return cls(tuple(scenes), rows, factor, turn)

    def where(self, scene: int) -> str:
        """File and name of a scene, for messages."""
        return _where(self.scenes[scene])

    def back(self, positions: Float) -> Float:
        """(..., D) in the package's unit and frame -> numbers of the file."""
        if self.turn is not None:
            positions = Orthogonal(self.turn.matrix.T).act(positions, "1o", translates=True)
        return self.scenes[0].unit.to_file(positions / self.factor)

    @cached_property
    def way_back(self) -> Float:
        """(D, D) the matrix of `back`, for columns of coordinates."""
        return self.back(np.eye(self.scenes[0].dim)).T

    @property
    def members(self) -> Int:
        """(S,) numbers of the scenes."""
        return np.arange(len(self.scenes))

    @property
    def unit(self) -> Unit:
        """Of the files."""
        return self.scenes[0].unit

    @property
    def frame(self) -> Frame:
        """Of the files."""
        return self.scenes[0].frame

    def name(self, scene: int) -> str:
        """Of scene number `scene`."""
        return self.scenes[scene].scene

    def source(self, scene: int) -> Source:
        """Where it came from."""
        return self.scenes[scene].source

    def labels(self, member: Int) -> tuple[Labels, Labels]:
        """Ids and types of nodes as in the files; nodes are counted through all scenes."""
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


def _where(scene: Trajectory) -> str:
    return f"{scene.source.path or 'input'}: scene '{scene.scene}'"


def _check(scene: Trajectory, package: Package) -> None:
    known = package.schema
    if scene.dim != known.dim:
        raise DataError(f"{_where(scene)} has {scene.dim} coordinates; the model was trained on {known.dim}")
    missing = sorted(set(package.fields) - set(scene.fields))
    if missing:
        raise DataError(f"{_where(scene)} lacks the field '{missing[0]}', which the model was trained with; add it to the file")
    if unknown := sorted(set(_types(scene, known.node_types).tolist()) - set(known.node_types)):
        raise DataError(f"{_where(scene)} has nodes of type '{unknown[0]}'; the model knows {', '.join(known.node_types)}")
    if len(scene.time) == 1 and package.window.history > 1:
        raise DataError(f"{_where(scene)} has a single frame; the model needs a history of {package.window.history}")


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


def _known_only(scene: Trajectory, package: Package) -> Trajectory:
    """The scene with types that the model knows, and without connections of types that it does not know."""
    types = _types(scene, package.schema.node_types)
    if not np.array_equal(types, scene.node_types):
        scene = replace(scene, node_types=types)
    known = np.isin(scene.edge_types, package.schema.edge_types) if len(scene.edges) else np.ones(0, dtype=bool)
    if known.all():
        return scene
    return replace(scene, edges=scene.edges[known], edge_types=scene.edge_types[known])


def _types(scene: Trajectory, known: Sequence[str]) -> NDArray[np.str_]:
    """(N,) the scene's own types; the only type known; or, for a model to which every node id is a type, the ids."""
    if len(known) == 1:
        return np.full(len(scene.node_ids), known[0])
    ids = scene.node_ids.astype(str)
    return ids if not np.isin(scene.node_types, known).all() and np.isin(ids, known).all() else scene.node_types


def _conversion(scene: Trajectory, package: Package) -> tuple[float, Orthogonal | None]:
    try:
        factor = conversion(scene.unit.name, package.unit)
    except UsageError as error:
        raise UsageError(f"{_where(scene)} is in {scene.unit.name}, the model in {package.unit}: {error}") from None
    if scene.frame.handedness != package.frame.handedness:
        raise UsageError(
            f"{_where(scene)} has a {scene.frame.handedness}-handed frame, the model a {package.frame.handedness}-handed one"
        )
    if scene.frame.up in (package.frame.up, "none") or package.frame.up == "none":
        return factor, None
    return factor, Orthogonal(_between(scene.frame.up_vector, package.frame.up_vector), "up axis")


def _between(source: Float | None, target: Float | None) -> Float:
    """(3, 3) rotation that takes one axis direction to another."""
    if source is None or target is None:
        return np.eye(3)
    axis = np.cross(source, target)
    if not axis.any():
        axis = np.roll(source, 1)
        return np.eye(3) if source @ target > 0 else rotation_about(axis, np.pi)
    return rotation_about(axis, np.pi / 2)
