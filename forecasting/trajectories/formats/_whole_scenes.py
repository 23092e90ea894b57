"""Tables in long form whose scenes are whole (every node in every frame, frame by frame), taken apart all at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.trajectories.formats._grid import codes, encoded
from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.trajectory import Field, Source, Trajectory

Int = NDArray[np.int64]
Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WholeScenes:
    """A table of S scenes; scene s has the rows ``starts[s] … starts[s + 1]``, ``nodes[s]`` for each of its frames.

    Attributes:
        names: (S,) of the scenes; starts: (S + 1,) first row of each; nodes: (S,) nodes of each.
        table: the rows; layout: what its columns mean.
        time: (R,) [s]; positions: (R, D) and seen: (R,); ids, types: (R,) of the nodes.
    """

    names: list[str]
    starts: Int
    nodes: Int
    table: pa.RecordBatch
    layout: Layout
    time: Float
    positions: Float
    seen: NDArray[np.bool_]
    ids: NDArray[np.int64] | NDArray[np.str_]
    types: NDArray[np.str_]

    @classmethod
    def of(cls, table: pa.RecordBatch, layout: Layout, node_type: str) -> "WholeScenes | None":
        """The scenes, or None where a row is missing, out of order, or odd in any way, so that rows must be looked at one by one.

        Args:
            table: with the columns of the layout; node_type: of nodes where there is no column of types.
        """
        if (
            not layout.scene
            or layout.rate
            or not table.num_rows
            or any(table.column(name).null_count for name in _labels(layout))
        ):
            return None
        scenes = encoded(table.column(layout.scene))
        scene = codes(scenes)
        starts = _runs(scene)
        clock = _number(table, layout.clock)
        frames = np.union1d(starts, np.flatnonzero(clock[1:] != clock[:-1]) + 1)
        counts = np.diff(np.searchsorted(frames, [*starts, len(scene)]))
        ends = np.append(starts, len(scene))
        nodes = np.diff(ends) // counts
        lengths = np.diff(frames, append=len(scene))
        later = ~np.isin(frames, starts)
        whole = np.isfinite(clock).all() and (lengths == np.repeat(nodes, counts)).all()
        if not (
            whole and len(np.unique(scene[starts])) == len(starts) and (clock[frames[later]] > clock[frames[later] - 1]).all()
        ):
            return None
        of_row = np.repeat(nodes, np.diff(ends))
        row = np.flatnonzero(np.arange(len(scene)) - np.repeat(starts, np.diff(ends)) >= of_row)
        before = row - of_row[row]
        labels = [codes(encoded(table.column(name))) for name in (layout.node, layout.type) if name]
        if any((label[row] != label[before]).any() for label in labels):
            return None
        first = np.setdiff1d(np.arange(len(scene)), row)
        key = scene[first].astype(np.int64) * (int(labels[0].max()) + 1) + labels[0][first]
        places = np.stack([_number(table, name) for name in layout.axes], axis=1)
        known = ~np.isnan(places)
        names = scenes.dictionary.to_pylist()
        if len(np.unique(key)) < len(key) or (known.any(axis=1) != known.all(axis=1)).any() or not all(names):
            return None
        return cls(
            [str(names[each]) for each in scene[starts]],
            *(ends, nodes, table, layout, clock, places, known[:, 0]),
            *(_texts_or_integers(table.column(layout.node)), _types(table, layout, node_type)),
        )

    def scenes(self, path: Path, format: str) -> Iterator[Trajectory]:
        """One after the other.

        Args:
            path: for messages; format: name of it.
        """
        layout, ends = self.layout, self.starts.tolist()
        columns = {
            name: (note, np.stack([_number(self.table, column) for column in note.columns], axis=1))
            for name, note in layout.fields.items()
        }
        positions = layout.unit.from_file(self.positions) if layout.scaled else self.positions
        for index, (name, nodes) in enumerate(zip(self.names, self.nodes.tolist(), strict=True)):
            rows, once = slice(ends[index], ends[index + 1]), slice(ends[index], ends[index] + nodes)
            frames = (rows.stop - rows.start) // nodes
            ids = self.ids[once]
            edges, edge_types = layout.notes.edges_of(name, ids, path)
            fields = {}
            for key, (note, values) in columns.items():
                mine = values[rows].reshape(frames, nodes, -1) if note.per_frame else values[once]
                fields[key] = Field(mine, note.irreps, note.unit, note.translates)
            yield Trajectory(
                scene=name,
                time=self.time[rows.start : rows.stop : nodes],
                positions=positions[rows].reshape(frames, nodes, -1),
                valid=self.seen[rows].reshape(frames, nodes),
                node_ids=ids,
                node_types=self.types[once],
                unit=layout.unit,
                frame=layout.frame,
                edges=edges,
                edge_types=edge_types,
                fields=fields,
                source=Source(str(path), format),
                partition=layout.notes.partitions.get(name, ""),
            )

    def constant(self) -> bool:
        """Whether the fields that are noted as constant in time are so, and a velocity needs no other unit."""
        layout = self.layout
        if layout.scaled and "velocity" in layout.fields and "velocity" not in layout.notes.fields:
            return False
        sizes = np.diff(self.starts)
        once = np.repeat(self.starts[:-1], sizes) + (np.arange(sizes.sum()) - np.repeat(self.starts[:-1], sizes)) % np.repeat(
            self.nodes, sizes
        )
        return all(
            np.array_equal(values, values[once], equal_nan=True)
            for note in layout.fields.values()
            if not note.per_frame
            for values in (_number(self.table, column) for column in note.columns)
        )


def _labels(layout: Layout) -> list[str]:
    return [name for name in (layout.scene, layout.node, layout.type) if name]


def _runs(code: Int) -> Int:
    """First row of every run of equal codes."""
    return np.concatenate([[0], np.flatnonzero(code[1:] != code[:-1]) + 1])


def _number(table: pa.RecordBatch, name: str) -> Float:
    """A column as float64, NaN where a cell is empty."""
    found: Float = table.column(name).to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return found


def _texts_or_integers(column: pa.Array) -> NDArray[np.int64] | NDArray[np.str_]:
    if pa.types.is_integer(column.type):
        return column.to_numpy(zero_copy_only=False).astype(np.int64)
    given = encoded(column)
    return np.array(given.dictionary.to_pylist(), dtype=str)[codes(given)]


def _types(table: pa.RecordBatch, layout: Layout, node_type: str) -> NDArray[np.str_]:
    if not layout.type:
        return np.full(table.num_rows, node_type or "node")
    given = encoded(table.column(layout.type))
    return np.array(list(map(str, given.dictionary.to_pylist())), dtype=str)[codes(given)]
