"""Tables in long form, one row per node and time, to trajectories; shared by every format that keeps rows."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.background import read_ahead, with_last
from forecasting.errors import DataError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._external_sort import SceneSort
from forecasting.trajectories.formats._grid import Grid, codes, encoded, ranked
from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.formats._table_notes import FieldNote, TableNotes
from forecasting.trajectories.formats._text_ids import text_ids
from forecasting.trajectories.formats._whole_scenes import taken_apart
from forecasting.trajectories.formats.base import ReadOptions, ScatteredRowsError, TooLargeError
from forecasting.trajectories.name_set import NameSet
from forecasting.trajectories.scene_block import Scenes, one_by_one, runs
from forecasting.trajectories.trajectory import Field, Source, Trajectory

logger = logging.getLogger(__name__)
MAX_EMPTY_GRID = 100_000_000
"""Entries (frames x nodes) above which a scene must fill at least one in a thousand."""
FEW_ROWS = 2048
"""Rows of a scene, in the mean, up to which it pays to look at the scenes of a batch all at once."""


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
        """Pivot rows to scenes; see `blocks`."""
        return one_by_one(self.blocks(batches))

    def blocks(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Scenes]:
        """Pivot rows to scenes, with those of one batch and one scene in memory; small scenes that are whole come many at once.

        Rows of one scene stand together, unless `ReadOptions.unsorted` says that they are to be sorted first; inside a
        scene their order does not matter.

        Raises:
            ScatteredRowsError: if rows of a scene stand apart.
            DataError: if a row cannot stand; names the row.
        """
        if not (self.options.unsorted and self.layout.scene):
            yield from self._pivoted(read_ahead(batches))
            return
        with SceneSort(read_ahead(batches), self.layout.scene) as ordered:
            table = replace(self, place=lambda row: self.place(ordered.original_row(row)))
            yield from table._pivoted(read_ahead(ordered.batches()))

    def _pivoted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Scenes]:
        pending: list[pa.RecordBatch] = []
        name, seen, first, row = "", NameSet(), 0, 0
        for batch, last in with_last(batch for batch in batches if batch.num_rows):
            names, starts = self._runs(batch, row)
            goes_on = bool(pending) and names[0] == name
            if goes_on:
                pending.append(batch.slice(0, starts[1]))
                self._limit(name, row + starts[1] - first)
            if pending and (not goes_on or len(names) > 1 or last):
                yield self._pivot(name, pending, first)
                pending = []
            begun = 1 if goes_on else 0
            again = seen.add_new(names[begun:])
            if again is not None:
                raise ScatteredRowsError(
                    f"{self.path}: scene '{names[begun + again]}' goes on at {self.place(row + starts[begun + again])} after "
                    "another one began; sort the rows by scene, or read with --unsorted"
                )
            ended = len(names) if last else len(names) - 1
            if ended > begun:
                yield from self._inside(batch, names[begun:ended], starts[begun : ended + 1], row)
            if ended >= begun and not last:
                name, first, pending = names[-1], row + starts[-2], [batch.slice(starts[-2])]
                self._limit(name, starts[-1] - starts[-2])
            row += batch.num_rows
        if not row:
            raise DataError(f"{self.path}: the table has no rows")

    def _inside(self, batch: pa.RecordBatch, names: list[str], starts: list[int], row: int) -> Iterator[Scenes]:
        """Scenes that begin and end in one batch, whose first row has the number `row` in the file."""
        for name, start, stop in zip(names, starts[:-1], starts[1:], strict=True):
            self._limit(name, stop - start)
        rows = batch.slice(starts[0], starts[-1] - starts[0])
        made = None
        if self.layout.scene and rows.num_rows <= FEW_ROWS * len(names):
            options = {"rate": self.layout.rate} if self.layout.rate else {}
            source = Source(str(self.path), self.format, options)
            edges = np.array(starts) - starts[0]
            made = taken_apart(rows, names, edges, self.layout, self.options.node_type, source)
        for begin, end, whole in runs(np.zeros(len(names), dtype=bool) if made is None else made[1]):
            if made is not None and whole:
                yield made[0].part(begin, end)
                continue
            for index in range(begin, end):
                start, stop = starts[index], starts[index + 1]
                yield self._pivot(names[index], [batch.slice(start, stop - start)], row + start)

    def _limit(self, name: str, rows: int) -> None:
        if self.options.entries is not None and rows > self.options.entries:
            raise TooLargeError(f"{self.path}: scene '{name}' has more rows than the {self.options.entries} entries taken")

    def _runs(self, batch: pa.RecordBatch, row: int) -> tuple[list[str], list[int]]:
        """The scenes of the batch in order, and the first row of each; then the number of rows."""
        if not self.layout.scene:
            return [self.path.stem], [0, batch.num_rows]
        column = encoded(batch.column(self.layout.scene))
        code = codes(column)
        if column.null_count:
            raise DataError(f"{self.path}: {self.place(row + int(np.flatnonzero(code < 0)[0]))} has no scene")
        starts = np.concatenate([[0], np.flatnonzero(code[1:] != code[:-1]) + 1])
        names = list(map(str, column.dictionary.take(pa.array(code[starts])).to_pylist()))
        if not all(names):
            raise DataError(f"{self.path}: {self.place(row + int(starts[names.index('')]))} has no scene")
        return names, [*starts.tolist(), len(code)]

    def _pivot(self, scene: str, batches: list[pa.RecordBatch], first: int) -> Trajectory:
        layout = self.layout
        grid = Grid.of(_numbers(batches, (layout.clock,))[:, 0], _joined(batches, layout.node))
        self._check(grid, first)
        times, names = grid.times / layout.rate if layout.rate else grid.times, grid.names
        positions = grid.scatter(_numbers(batches, layout.axes))
        if layout.scaled:
            positions = layout.unit.from_file(positions)
        valid = observed(positions)
        if not valid.all():
            self._warn_of_parts(scene, positions, valid)
            positions[~valid] = np.nan
        node_ids = _ids(names, layout.notes)
        edges, edge_types = layout.notes.edges_of(scene, node_ids, self.path)
        options: dict[str, Any] = {"rate": layout.rate} if layout.rate else {}
        if grid.duplicates:
            options["duplicate_rows"] = [[f, n, self.place(first + row)] for f, n, row in grid.duplicates]
        return Trajectory(
            scene=scene,
            time=times,
            positions=positions,
            valid=valid,
            node_ids=node_ids,
            node_types=self._types(batches, grid, first),
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

    def _check(self, grid: Grid, first: int) -> None:
        """Refuse rows without a time or node, entries that two rows claim, and scenes that are nearly all holes."""
        if not np.isfinite(grid.times).all():
            row = first + int(np.argmax(~np.isfinite(grid.times[grid.frame])))
            raise DataError(f"{self.path}: {self.place(row)} has no finite time in column '{self.layout.clock}'; remove the row")
        if (nameless := grid.nameless) is not None:
            row = first + nameless
            raise DataError(f"{self.path}: {self.place(row)} has no node in column '{self.layout.node}'; name it or remove it")
        (steps, nodes), rows = grid.shape, grid.rows
        if self.options.entries is not None and steps * nodes > self.options.entries:
            raise TooLargeError(
                f"{self.path}: {rows} rows lie in {steps} frames × {nodes} nodes, more than the "
                f"{self.options.entries} entries that are taken"
            )
        if steps * nodes > MAX_EMPTY_GRID and steps * nodes > 1000 * rows:
            raise DataError(
                f"{self.path}: {rows} rows would lie in {steps} frames x {nodes} nodes, nearly all empty; split "
                "them into scenes with a column 'scene'"
            )
        if grid.duplicates and self.options.on_error == "fail":
            at_frame, at_node, row = grid.duplicates[0]
            raise DataError(
                f"{self.path}: {self.place(first + row)} repeats node number {at_node} of frame number {at_frame} "
                f"(check duplicate_node, {len(grid.duplicates)} such rows); remove one of the rows, or read with "
                "--on-error mask or drop"
            )

    def _types(self, batches: list[pa.RecordBatch], grid: Grid, first: int) -> NDArray[np.str_]:
        nodes, node = grid.shape[1], grid.node
        if not self.layout.type:
            return np.full(nodes, self.options.node_type or "node")
        names, code = ranked(_joined(batches, self.layout.type))
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

    def _field(self, name: str, note: FieldNote, batches: list[pa.RecordBatch], grid: Grid, first: int) -> Field:
        values = _numbers(batches, note.columns)
        if self.layout.scaled and name == "velocity" and name not in self.layout.notes.fields:
            values = self.layout.unit.from_file(values)
        if note.per_frame:
            return Field(grid.scatter(values), note.irreps, note.unit, note.translates)
        constant = np.full((grid.shape[1], values.shape[1]), np.nan)
        constant[grid.node[::-1]] = values[::-1]
        changed = ~((constant[grid.node] == values) | np.isnan(values)).all(axis=1)
        if changed.any():
            place = self.place(first + int(np.argmax(changed)))
            raise DataError(f"{self.path}: {place} changes field '{name}', which the table notes as constant in time")
        return Field(constant, note.irreps, note.unit, note.translates)


def _numbers(batches: list[pa.RecordBatch], columns: tuple[str, ...]) -> NDArray[np.float64]:
    """(rows, columns) float64, NaN where a cell is empty; each column lies in one piece of memory."""
    out = np.empty((len(columns), sum(batch.num_rows for batch in batches)))
    row = 0
    for batch in batches:
        for index, name in enumerate(columns):
            out[index, row : row + batch.num_rows] = batch.column(name).to_numpy(zero_copy_only=False)
        row += batch.num_rows
    return out.T


def _joined(batches: list[pa.RecordBatch], name: str) -> pa.Array:
    if len(batches) == 1:
        return batches[0].column(name)
    return pa.chunked_array([batch.column(name) for batch in batches]).unify_dictionaries().combine_chunks()


def _ids(names: pa.Array, notes: TableNotes) -> NDArray[Any]:
    if pa.types.is_integer(names.type) and notes.node_ids != "text":
        return names.to_numpy(zero_copy_only=False).astype(np.int64)
    if pa.types.is_floating(names.type):
        numbers: NDArray[np.float64] = names.to_numpy(zero_copy_only=False)
        return numbers.astype(np.int64) if (numbers == np.rint(numbers)).all() else numbers.astype(str)
    return text_ids(tuple(map(str, names.to_pylist())), notes.node_ids != "text")
