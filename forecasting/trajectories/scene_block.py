"""Many scenes of one table as arrays, each a `Trajectory` when it is asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry.transforms import Transform
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory
from forecasting.trajectories.units import Unit

Int = NDArray[np.int64]
Float = NDArray[np.float64]
Flags = NDArray[np.bool_]
Edges = tuple[NDArray[np.int64], NDArray[np.str_]]


@dataclass(frozen=True, eq=False)
class SceneBlock:
    """S scenes with a row for every node in every frame, frame by frame, nodes always in one order; clocks go forward.

    Scene s has the rows ``starts[s] … starts[s + 1]``, ``nodes[s]`` of them for each frame.

    Attributes:
        names: (S,) of the scenes.
        starts: (S + 1,); nodes: (S,) N of each.
        time: (R,) [s]; positions: (R, D) [unit, frame, 1o]; valid: (R,) whether the node was observed.
        node_ids, node_types: of R rows.
        fields: by name, with values (R, C); those in `constant` are the same in every frame.
        unit, frame, source: of all scenes; partitions: scene -> partition, where it has one.
        connected: names of scenes with edges; edges_of: name and (N,) ids of such a scene -> its edges and their types.
    """

    names: Sequence[str]
    starts: Int
    nodes: Int
    time: Float
    positions: Float
    valid: Flags
    node_ids: Labels
    node_types: Labels
    fields: Mapping[str, Field]
    constant: frozenset[str]
    unit: Unit
    frame: Frame
    source: Source
    partitions: Mapping[str, str] = field(default_factory=dict)
    connected: frozenset[str] = frozenset()
    edges_of: Callable[[str, NDArray[Any]], Edges] | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, scene: int) -> Trajectory:
        if not 0 <= scene < len(self):
            raise IndexError(f"there are {len(self)} scenes, not {scene}")
        first, last, nodes = int(self.starts[scene]), int(self.starts[scene + 1]), int(self.nodes[scene])
        rows, once, shape = slice(first, last), slice(first, first + nodes), ((last - first) // nodes, nodes)
        fields = {}
        for name, item in self.fields.items():
            mine = item.values[once] if name in self.constant else item.values[rows].reshape(*shape, -1)
            fields[name] = replace(item, values=mine)
        edges, edge_types = self.edges(scene)
        return Trajectory(
            scene=self.names[scene],
            time=self.time[first:last:nodes],
            positions=self.positions[rows].reshape(*shape, -1),
            valid=self.valid[rows].reshape(shape),
            node_ids=_values(self.node_ids[once]),
            node_types=_values(self.node_types[once]),
            unit=self.unit,
            frame=self.frame,
            edges=edges,
            edge_types=edge_types,
            fields=fields,
            source=replace(self.source),
            partition=self.partitions.get(self.names[scene], ""),
        )

    def __iter__(self) -> Iterator[Trajectory]:
        return map(self.__getitem__, range(len(self)))

    def part(self, first: int, last: int) -> "SceneBlock":
        """The scenes from number `first` until before `last`."""
        if (first, last) == (0, len(self)):
            return self
        rows = slice(int(self.starts[first]), int(self.starts[last]))
        return replace(
            self,
            names=self.names[first:last],
            starts=self.starts[first : last + 1] - self.starts[first],
            nodes=self.nodes[first:last],
            time=self.time[rows],
            positions=self.positions[rows],
            valid=self.valid[rows],
            node_ids=self.node_ids[rows],
            node_types=self.node_types[rows],
            fields={name: replace(item, values=item.values[rows]) for name, item in self.fields.items()},
        )

    @property
    def dim(self) -> int:
        """D: 2 or 3."""
        return self.positions.shape[1]

    @property
    def sizes(self) -> Int:
        """(S,) rows of each scene: frames × nodes."""
        return np.diff(self.starts)

    @property
    def frames(self) -> Int:
        """(S,) T of each scene."""
        return self.sizes // self.nodes

    @cached_property
    def scene_of_row(self) -> Int:
        """(R,) scene of each row."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def place(self) -> Int:
        """(R,) number of each row in its scene."""
        return np.arange(len(self.time)) - self.starts[:-1][self.scene_of_row]

    @cached_property
    def first_frames(self) -> Int:
        """Rows of the nodes of every scene in its first frame, scene by scene."""
        return np.flatnonzero(self.place < self.nodes[self.scene_of_row])

    @cached_property
    def node_of_row(self) -> Int:
        """(R,) node of each row, counted through all scenes."""
        nodes = self.nodes[self.scene_of_row]
        return (np.cumsum(self.nodes) - self.nodes)[self.scene_of_row] + self.place % nodes

    @cached_property
    def dt(self) -> Float:
        """(S,) [s] median time between the frames of each scene, as `Trajectory.dt`; 0 for a single frame."""
        frame = self.place % self.nodes[self.scene_of_row] == 0
        time, scene = self.time[frame], self.scene_of_row[frame]
        inside = scene[1:] == scene[:-1]
        steps, owner = (time[1:] - time[:-1])[inside], scene[1:][inside]
        ordered = steps[np.lexsort((steps, owner))]
        count = self.frames - 1
        first = np.cumsum(count) - count
        several = count > 0
        low = np.where(several, first + (count - 1) // 2, 0)
        high = np.where(several, first + count // 2, 0)
        found: Float = np.zeros(len(self))
        found[several] = (ordered[high[several]] + ordered[low[several]]) / 2
        return found

    def edges(self, scene: int) -> Edges:
        """(E, 2) node indices and (E,) types of the connections of a scene."""
        name = self.names[scene]
        if self.edges_of is None or name not in self.connected:
            return np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype="<U1")
        first = int(self.starts[scene])
        return self.edges_of(name, _values(self.node_ids[first : first + int(self.nodes[scene])]))

    @cached_property
    def edge_counts(self) -> Int:
        """(S,) connections of each scene."""
        if not self.connected:
            return np.zeros(len(self), dtype=np.int64)
        return np.array([len(self.edges(scene)[1]) for scene in range(len(self))])

    def in_unit(self, name: str) -> "SceneBlock":
        """See `Trajectory.in_unit`."""
        return self._as_one(lambda rows: rows.in_unit(name))

    def transformed(self, transform: Transform) -> "SceneBlock":
        """See `Trajectory.transformed`."""
        return self._as_one(lambda rows: rows.transformed(transform))

    def _as_one(self, change: Callable[[Trajectory], Trajectory]) -> "SceneBlock":
        """The block after a change that treats every position alike, made to all rows as if they were nodes of one frame."""
        rows = len(self.time)
        fields = {name: replace(item, values=item.values[None]) for name, item in self.fields.items()}
        whole = Trajectory(
            scene="",
            time=np.zeros(1),
            positions=self.positions[None],
            valid=self.valid[None],
            node_ids=np.arange(rows),
            node_types=np.full(rows, ""),
            unit=self.unit,
            frame=self.frame,
            fields=fields,
        )
        made = change(whole)
        return replace(
            self,
            positions=made.positions[0],
            fields={name: replace(item, values=item.values[0]) for name, item in made.fields.items()},
            unit=made.unit,
            frame=made.frame,
        )


def _values(labels: Labels) -> NDArray[Any]:
    """The labels, texts no wider than they need be."""
    values = labels.values
    return np.array(values.tolist(), dtype=str) if values.dtype.kind == "U" else values


Scenes: TypeAlias = Trajectory | SceneBlock
"""One scene, or many."""


def one_by_one(items: Iterable[Scenes]) -> Iterator[Trajectory]:
    """Every scene by itself."""
    for item in items:
        if isinstance(item, SceneBlock):
            yield from item
        else:
            yield item


def runs(flags: Flags) -> Iterator[tuple[int, int, bool]]:
    """(first, last + 1, flag) of neighbours with one flag."""
    changes = np.flatnonzero(flags[1:] != flags[:-1]) + 1
    edges = [0, *changes.tolist(), len(flags)]
    for first, last in pairwise(edges):
        if last > first:
            yield first, last, bool(flags[first])
