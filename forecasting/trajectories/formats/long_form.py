"""Tables in long form, one row per node and time, to trajectories; shared by every format that keeps rows."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.formats._table_notes import FieldNote, TableNotes
from forecasting.trajectories.formats.base import ReadOptions
from forecasting.trajectories.trajectory import Field, Source, Trajectory

logger = logging.getLogger(__name__)
Int = NDArray[np.int64]
MAX_EMPTY_GRID = 100_000_000
"""Entries (frames x nodes) above which a scene must fill at least one in a thousand."""


@dataclass(frozen=True)
class LongTable:
    """A table that is being read.

    Attributes:
        path: for messages and scene names.
        format: name of the format.
        layout: which column holds what.
        options: what the user says.
        place: row number in the file (from 0) -> where a person finds it, for instance ``line 12``.
    """

    path: Path
    format: str
    layout: Layout
    options: ReadOptions
    place: Callable[[int], str]

    def scenes(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Trajectory]:
        """Pivot rows to scenes, one scene in memory at a time.

        Rows of one scene stand together; inside a scene their order does not matter.

        Raises:
            DataError: if a scene is scattered, or a row cannot stand; names the row.
        """
        pending: list[pa.RecordBatch] = []
        current, seen, first, row = "", set[str](), 0, 0
        for batch in batches:
            for name, start, stop in self._runs(batch, row):
                if pending and name != current:
                    yield self._pivot(current, pending, first)
                    pending = []
                if not pending:
                    if name in seen:
                        raise DataError(
                            f"{self.path}: scene '{name}' goes on at {self.place(row + start)} after another one "
                            "began; sort the rows by scene"
                        )
                    seen.add(name)
                    current, first = name, row + start
                pending.append(batch.slice(start, stop - start))
            row += batch.num_rows
        if not pending:
            raise DataError(f"{self.path}: the table has no rows")
        yield self._pivot(current, pending, first)

    def _runs(self, batch: pa.RecordBatch, row: int) -> Iterator[tuple[str, int, int]]:
        """(scene, first, last + 1) of the rows of the batch that stand together."""
        if not batch.num_rows:
            return
        if not self.layout.scene:
            yield self.path.stem, 0, batch.num_rows
            return
        column = _encoded(batch.column(self.layout.scene))
        codes = _codes(column)
        if column.null_count:
            raise DataError(f"{self.path}: {self.place(row + int(np.flatnonzero(codes < 0)[0]))} has no scene")
        edges = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]]).tolist()
        for start, stop in pairwise(edges):
            name = str(column.dictionary[int(codes[start])])
            if not name:
                raise DataError(f"{self.path}: {self.place(row + start)} has no scene")
            yield name, start, stop

    def _pivot(self, scene: str, batches: list[pa.RecordBatch], first: int) -> Trajectory:
        layout = self.layout
        times, frame = self._clock(batches, first)
        names, node = _ranked(_joined(batches, layout.node))
        nameless = (node < 0) | (node == _place_of_empty(names))
        if nameless.any():
            row = first + int(np.argmax(nameless))
            raise DataError(f"{self.path}: {self.place(row)} has no node in column '{layout.node}'; name it or remove it")
        grid = self._grid(frame, node, len(times), len(names), first)
        positions = grid.scatter(_numbers(batches, layout.axes))
        if layout.scaled:
            positions = layout.unit.from_file(positions)
        valid = observed(positions)
        self._warn_of_parts(scene, positions, valid)
        positions[~valid] = np.nan
        edges, edge_types = layout.notes.edges_of(scene, len(names), self.path)
        options: dict[str, Any] = {"rate": layout.rate} if layout.rate else {}
        if grid.duplicates:
            options["duplicate_rows"] = [[f, n, self.place(first + row)] for f, n, row in grid.duplicates]
        return Trajectory(
            scene=scene,
            time=times,
            positions=positions,
            valid=valid,
            node_ids=_ids(names, layout.notes),
            node_types=self._types(batches, node, len(names), first),
            unit=layout.unit,
            frame=layout.frame,
            edges=edges,
            edge_types=edge_types,
            fields={name: self._field(name, note, batches, grid, first) for name, note in layout.fields.items()},
            source=Source(str(self.path), self.format, options),
            partition=layout.notes.partitions.get(scene, ""),
        )

    def _warn_of_parts(self, scene: str, positions: NDArray[np.float64], valid: NDArray[np.bool_]) -> None:
        parts = np.count_nonzero(~np.isnan(positions[~valid]).all(axis=1))
        if parts:
            logger.warning(
                "%s: scene '%s' has %d entries with some coordinates only, taken as missing; in a plane: --columns z=-",
                self.path,
                scene,
                parts,
            )

    def _clock(self, batches: list[pa.RecordBatch], first: int) -> tuple[NDArray[np.float64], Int]:
        encoded = _encoded(pa.array(_numbers(batches, (self.layout.clock,))[:, 0]))
        times, rank = np.unique(encoded.dictionary.to_numpy(zero_copy_only=False), return_inverse=True)
        frame = rank[_codes(encoded)]
        if not np.isfinite(times).all():
            row = first + int(np.argmax(~np.isfinite(times[frame])))
            raise DataError(f"{self.path}: {self.place(row)} has no finite time in column '{self.layout.clock}'; remove the row")
        return (times / self.layout.rate if self.layout.rate else times), frame

    def _grid(self, frame: Int, node: Int, steps: int, nodes: int, first: int) -> "Grid":
        if steps * nodes > MAX_EMPTY_GRID and steps * nodes > 1000 * len(frame):
            raise DataError(
                f"{self.path}: {len(frame)} rows would lie in {steps} frames x {nodes} nodes, nearly all empty; split "
                "them into scenes with a column 'scene'"
            )
        grid = Grid(frame, node, steps, nodes)
        if grid.duplicates and self.options.on_error == "fail":
            at_frame, at_node, row = grid.duplicates[0]
            raise DataError(
                f"{self.path}: {self.place(first + row)} repeats node number {at_node} of frame number {at_frame} "
                f"(check duplicate_node, {len(grid.duplicates)} such rows); remove one of the rows, or read with "
                "--on-error mask or drop"
            )
        return grid

    def _types(self, batches: list[pa.RecordBatch], node: Int, nodes: int, first: int) -> NDArray[np.str_]:
        if not self.layout.type:
            return np.full(nodes, self.options.node_type or "node")
        names, code = _ranked(_joined(batches, self.layout.type))
        of_node = np.zeros(nodes, dtype=np.int64)
        of_node[node[::-1]] = code[::-1]
        changed = of_node[node] != code
        if changed.any():
            row = int(np.argmax(changed))
            raise DataError(
                f"{self.path}: {self.place(first + row)} gives a node another type than before; types do not change "
                "in time: correct the row, or leave types out with --columns type=-"
            )
        texts = np.array([*map(str, names.to_pylist()), ""], dtype=str)
        return texts[of_node]

    def _field(self, name: str, note: FieldNote, batches: list[pa.RecordBatch], grid: "Grid", first: int) -> Field:
        values = _numbers(batches, note.columns)
        if self.layout.scaled and name == "velocity" and name not in self.layout.notes.fields:
            values = self.layout.unit.from_file(values)
        if note.per_frame:
            return Field(grid.scatter(values), note.irreps, note.unit, note.translates)
        constant = np.full((grid.nodes, values.shape[1]), np.nan)
        constant[grid.node[::-1]] = values[::-1]
        changed = ~((constant[grid.node] == values) | np.isnan(values)).all(axis=1)
        if changed.any():
            place = self.place(first + int(np.argmax(changed)))
            raise DataError(f"{self.path}: {place} changes field '{name}', which the table notes as constant in time")
        return Field(constant, note.irreps, note.unit, note.translates)


class Grid:
    """Where each row of a scene goes in an array of frames x nodes.

    Attributes:
        node: (rows,) number of each row's node.
        duplicates: (frame, node, row) of rows for an entry that an earlier row has; such entries stay empty.
    """

    def __init__(self, frame: Int, node: Int, steps: int, nodes: int) -> None:
        self.node, self.steps, self.nodes = node, steps, nodes
        flat = frame * nodes + node
        self._flat: Int | None = flat
        self._refused: Int = flat[:0]
        self.duplicates: list[tuple[int, int, int]] = []
        if len(flat) == steps * nodes and (np.diff(flat) == 1).all():
            self._flat = None
            return
        seen = np.zeros(steps * nodes, dtype=bool)
        seen[flat] = True
        if np.count_nonzero(seen) < len(flat):
            _, earliest, inverse = np.unique(flat, return_index=True, return_inverse=True)
            rows = np.flatnonzero(earliest[inverse] != np.arange(len(flat)))
            self._refused = np.unique(flat[rows])
            self.duplicates = [(int(frame[row]), int(node[row]), int(row)) for row in rows]

    def scatter(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, C) -> (T, N, C), NaN where there is no row or more than one."""
        shape = (self.steps, self.nodes, values.shape[1])
        if self._flat is None:
            return values.reshape(shape)
        out = np.full((self.steps * self.nodes, values.shape[1]), np.nan)
        out[self._flat] = values
        out[self._refused] = np.nan
        return out.reshape(shape)


def _numbers(batches: list[pa.RecordBatch], columns: tuple[str, ...]) -> NDArray[np.float64]:
    """(rows, columns) float64, NaN where a cell is empty."""
    out = np.empty((sum(batch.num_rows for batch in batches), len(columns)))
    row = 0
    for batch in batches:
        for index, name in enumerate(columns):
            out[row : row + batch.num_rows, index] = batch.column(name).to_numpy(zero_copy_only=False)
        row += batch.num_rows
    return out


def _joined(batches: list[pa.RecordBatch], name: str) -> pa.Array:
    if len(batches) == 1:
        return batches[0].column(name)
    return pa.chunked_array([batch.column(name) for batch in batches]).unify_dictionaries().combine_chunks()


def _encoded(column: pa.Array) -> pa.DictionaryArray:
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _codes(column: pa.DictionaryArray) -> Int:
    indices = column.indices
    if indices.null_count:
        indices = indices.fill_null(-1)
    codes: Int = indices.to_numpy(zero_copy_only=False)
    return codes


def _ranked(column: pa.Array) -> tuple[pa.Array, Int]:
    """Different values in order of first appearance, and which of them each row has (-1 for none)."""
    encoded = _encoded(column)
    compact = encoded.indices.dictionary_encode()
    return encoded.dictionary.take(compact.dictionary), _codes(compact).astype(np.int64)


def _place_of_empty(names: pa.Array) -> int:
    texts = pa.types.is_string(names.type) or pa.types.is_large_string(names.type)
    return int(names.index("").as_py()) if texts else -1


def _ids(names: pa.Array, notes: TableNotes) -> NDArray[Any]:
    if pa.types.is_integer(names.type) and notes.node_ids != "text":
        ids: Int = names.to_numpy(zero_copy_only=False).astype(np.int64)
        return ids
    if pa.types.is_floating(names.type):
        numbers: NDArray[np.float64] = names.to_numpy(zero_copy_only=False)
        return numbers.astype(np.int64) if (numbers == np.rint(numbers)).all() else numbers.astype(str)
    texts = [str(name) for name in names.to_pylist()]
    if notes.node_ids != "text" and all(_is_integer(text) for text in texts):
        whole = [int(text.removesuffix(".0")) for text in texts]
        if len(set(whole)) == len(whole):
            return np.array(whole, dtype=np.int64)
    return np.array(texts, dtype=str)


def _is_integer(text: str) -> bool:
    whole = text.removesuffix(".0")
    return whole.lstrip("-").isdecimal() and whole.isascii() and str(int(whole)) == whole and len(whole) < 18
