"""Frames of an xyz file to one scene."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.symmetry.transforms import irreps_dim
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._extxyz_comment import (
    NOTES_KEY,
    PLAIN,
    Column,
    Comment,
    FieldNote,
    Notes,
    number,
    parse_properties,
)
from forecasting.trajectories.formats._extxyz_rows import Names, Places, RowError, parse_rows
from forecasting.trajectories.formats._periodic import unwrap
from forecasting.trajectories.formats.base import ReadOptions
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory

BLOCK = 4 << 20
MAX_NUMBERS = 256
MAX_EMPTY = 100_000_000
"""Entries (frames x nodes) above which a scene must fill at least one in a thousand."""

NODE = "node"
IDS = ("id", "ids")
NAMES_OF_VELOCITY_AND_TIME = {"velocity": "file_velocity", "time": "file_time"}
"""What a `Trajectory` means by these names has a unit, and a file's own column or number has not."""

COLOURS = ("color", "colour", "rgb")
AXIAL = ("magmoms", "magmom", "spins", "spin", "torque", "torques", "angular_momentum")
Int = NDArray[np.int64]


class SceneBuilder:
    """Collects the frames of one scene; holds numbers, not text.

    Args:
        path, name: of the file and the format.
        options: what the user says.
        line: of the first frame's count, from 1.
        comment, body: of the first frame, which decides what the columns and fields are.

    Raises:
        DataError: if the comment contradicts itself.
        UsageError: if the user must say the unit.
    """

    def __init__(self, path: Path, name: str, options: ReadOptions, line: int, comment: Comment, body: bytes) -> None:
        self.path, self.name, self.options, self.first_line = path, name, options, line
        try:
            self.columns = parse_properties(comment.properties) if comment.properties else _plain_columns(body)
            self.notes = Notes.from_text(comment.values[NOTES_KEY]) if NOTES_KEY in comment.values else None
        except ValueError as error:
            raise DataError(f"{path}: line {line + 1}: {error}") from None
        self.kinds = {column.name: column for column in self.columns}
        if self.notes and not options.unit:
            self.unit = self.notes.file_unit
        else:
            self.unit = options.resolve_unit(path, self.notes.dim if self.notes else 3, self._declared_unit(comment))
        self.frame = options.resolve_frame(path, 3, self.notes.up if self.notes else "none")
        self.properties = comment.properties
        self.numbers: dict[str, list[float]] = {key: [] for key in self._numbers_of(comment)}
        self.times: list[float] = []
        self.lines: list[int] = []
        self.counts: list[int] = []
        self.cells: list[NDArray[np.float64]] = []
        self.periodic: list[tuple[bool, ...]] = []
        self.rows: dict[str, Growing] = {}
        self.species, self.names = Names(), Names()
        self.pending: list[bytes] = []
        self.parsed = self.size = 0

    def add(self, line: int, count: int, comment: Comment, body: bytes) -> None:
        """Take a further frame; see the class for what is kept."""
        if comment.properties != self.properties:
            raise DataError(
                f"{self.path}: line {line + 1} has the columns {comment.properties or 'of plain xyz'}, the frames before it "
                f"{self.properties or 'those of plain xyz'}; frames of one file have the same columns: split the file"
            )
        if count != (self.counts[0] if self.counts else count) and not self._id_column:
            raise DataError(
                f"{self.path}: line {line} counts {count} atoms, the frames before it {self.counts[0]}; without a column "
                "'id' nothing says which is which: split the file by molecule"
            )
        if not count and NODE not in self.kinds:
            raise DataError(f"{self.path}: line {line} counts no atoms; remove the frame")
        if len(self.counts) == 1 and self.notes is None:
            self.options.resolve_rate(self.path)
        for key, series in self.numbers.items():
            value = number(comment.values.get(key, ""))
            series.append(np.nan if value is None else value)
        if self.notes:
            self.times.append(self._own_time(line, comment))
        self.lines.append(line)
        self.counts.append(count)
        self.cells.append(comment.cell)
        self.periodic.append(comment.periodic)
        self.pending.append(body)
        self.size += len(body)
        if self.size > BLOCK:
            self._parse()

    def finish(self) -> Trajectory:
        """The scene."""
        self._parse()
        steps = len(self.counts)
        frame = np.repeat(np.arange(steps), self.counts)
        node, ids = self._nodes()
        places = self._placing(frame, node, len(ids))
        types = self._types(places) if self.notes is None else np.array(self.notes.types, dtype=str)
        positions = self._values(places, "pos")
        unwrap(positions, observed(positions), *self._box())
        dim = self.notes.dim if self.notes else 3
        positions = np.ascontiguousarray(positions[..., :dim])
        if self.notes is None or self.options.unit:
            positions = self.unit.from_file(positions)
        valid = observed(positions)
        positions[~valid] = np.nan
        rate = None if self.notes or steps == 1 else self.options.resolve_rate(self.path)
        notes = self.notes
        options: dict[str, Any] = {"rate": rate} if rate else {}
        if places.duplicates:
            options["duplicate_rows"] = [[f, n, f"line {self._line_of(row)}"] for f, n, row in places.duplicates]
        return Trajectory(
            scene=notes.scene if notes else self.path.stem,
            time=np.array(self.times) if notes else np.arange(steps) / (rate or 1.0),
            positions=positions,
            valid=valid,
            node_ids=ids,
            node_types=types,
            unit=self.unit,
            frame=Frame(self.frame.up, notes.handedness if notes else "right"),
            edges=np.array(notes.edges if notes else [], dtype=np.int64).reshape(-1, 2),
            edge_types=np.array(notes.edge_types if notes else [], dtype=str),
            fields=dict(self._noted_fields(notes, places) if notes else self._found_fields(places)),
            source=Source(str(self.path), self.name, options),
            partition=notes.partition if notes else "",
        )

    @property
    def _id_column(self) -> Column | None:
        names, kinds = ((NODE,), "I") if self.notes else (IDS, "IS")
        found = (self.kinds.get(name) for name in names)
        return next((item for item in found if item and item.width == 1 and item.kind in kinds), None)

    def _declared_unit(self, comment: Comment) -> str:
        return "angstrom" if comment.properties else ""

    def _numbers_of(self, comment: Comment) -> list[str]:
        if self.notes:
            return [item.key for item in self.notes.fields.values() if item.place == "comment"]
        keys = [key for key, text in comment.values.items() if number(text) is not None]
        if len(keys) > MAX_NUMBERS:
            raise DataError(f"{self.path}: line {self.first_line + 1} holds {len(keys)} numbers, more than {MAX_NUMBERS}")
        return keys

    def _own_time(self, line: int, comment: Comment) -> float:
        value = number(comment.values.get("time", ""))
        if value is None:
            raise DataError(f"{self.path}: line {line + 1} has no time=SECONDS, which every frame of ours has; write it again")
        return value

    def _parse(self) -> None:
        rows = sum(self.counts[self.parsed :])
        if rows:
            try:
                cells = parse_rows(b"".join(self.pending), self.columns, rows)
            except RowError as error:
                line = self._line_of(error.row, self.parsed)
                raise DataError(f"{self.path}: line {line} {error}; correct it, or the count of its frame") from None
            for column in self.columns:
                self._keep(column, cells[column.name])
        self.pending, self.size, self.parsed = [], 0, len(self.counts)

    def _keep(self, column: Column, cells: list[Any]) -> None:
        if column.kind == "S":
            names = {"species": self.species, getattr(self._id_column, "name", ""): self.names}.get(column.name)
            if names is None or column.width > 1:
                return
            cells = [names.encode(cells[0])]
        whole = column.kind == "S" or column == self._id_column
        store = self.rows.setdefault(column.name, Growing(len(cells), np.dtype(np.int64 if whole else np.float64)))
        store.append(cells)

    def _nodes(self) -> tuple[Int, NDArray[Any]]:
        """(rows,) number of each row's node, and (N,) the ids of the nodes."""
        column = self._id_column
        if column is None:
            count = len(self.notes.ids) if self.notes else self.counts[0]
            if count != self.counts[0]:
                raise DataError(
                    f"{self.path}: line {self.first_line} counts {self.counts[0]} atoms, the notes name {count} nodes"
                )
            return np.tile(np.arange(count), len(self.counts)), self.notes.node_ids if self.notes else np.arange(count)
        values = self.rows[column.name].take()[:, 0] if column.name in self.rows else np.zeros(0, dtype=np.int64)
        if self.notes:
            wrong = (values < 0) | (values >= len(self.notes.ids))
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DataError(
                    f"{self.path}: line {self._line_of(row)} is about node {values[row]} of {len(self.notes.ids)}; correct it"
                )
            return values, self.notes.node_ids
        if column.kind == "S":
            return values, self.names.array()
        ids, first, inverse = np.unique(values, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return np.argsort(order)[inverse], ids[order]

    def _placing(self, frame: Int, node: Int, nodes: int) -> Places:
        steps = len(self.counts)
        if steps * nodes > MAX_EMPTY and steps * nodes > 1000 * len(frame):
            raise DataError(
                f"{self.path}: {len(frame)} atoms would lie in {steps} frames x {nodes} nodes, nearly all empty; split the file"
            )
        places = Places(frame, node, steps, nodes)
        if places.duplicates and self.options.on_error == "fail":
            row = places.duplicates[0][2]
            raise DataError(
                f"{self.path}: line {self._line_of(row)} repeats an atom of its frame (check duplicate_node, "
                f"{len(places.duplicates)} such lines); remove one, or read with --on-error mask or drop"
            )
        return places

    def _types(self, places: Places) -> NDArray[np.str_]:
        if "species" not in self.rows:
            return np.full(places.nodes, self.options.node_type or "atom")
        codes = self.rows["species"].take()[:, 0]
        of_node = np.zeros(places.nodes, dtype=np.int64)
        of_node[places.node[::-1]] = codes[::-1]
        changed = of_node[places.node] != codes
        if changed.any():
            row, names = int(np.argmax(changed)), self.species.array()
            raise DataError(
                f"{self.path}: line {self._line_of(row)} is '{names[codes[row]]}' where the frames before it have "
                f"'{names[of_node[places.node[row]]]}'; frames of one file have the same atoms in one order, or a column 'id': "
                "split the file by molecule"
            )
        return self.species.array()[of_node]

    def _values(self, places: Places, name: str) -> NDArray[np.float64]:
        if name not in self.rows:
            return np.full((places.steps, places.nodes, self.kinds[name].width), np.nan)
        return places.scatter(self.rows.pop(name).take())

    def _box(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        same = all(cell is self.cells[0] for cell in self.cells) and len(set(self.periodic)) == 1
        count = 1 if same else len(self.cells)
        return np.stack(self.cells[:count]), np.array(self.periodic[:count])

    def _found_fields(self, places: Places) -> Iterator[tuple[str, Field]]:
        taken = set()
        for column in self.columns:
            if column.kind != "S" and column.name != "pos" and column != self._id_column:
                name = NAMES_OF_VELOCITY_AND_TIME.get(column.name, column.name)
                taken.add(name)
                yield name, Field(self._values(places, column.name), _irreps(column))
        for key, series in self.numbers.items():
            name = NAMES_OF_VELOCITY_AND_TIME.get(key, key)
            yield f"file_{name}" if name in taken else name, Field(self._of_frames(places, series))

    def _noted_fields(self, notes: Notes, places: Places) -> Iterator[tuple[str, Field]]:
        for name, item in notes.fields.items():
            yield name, Field(self._noted_values(notes, item, places, name), item.irreps, item.unit, item.translates)

    def _noted_values(self, notes: Notes, item: FieldNote, places: Places, name: str) -> NDArray[np.float64]:
        if item.place == "constant":
            return notes.constant(item)
        if item.place == "comment":
            return self._of_frames(places, self.numbers[item.key])
        column = Column(item.key, "R", irreps_dim(item.irreps, notes.dim))
        if column not in self.columns or column.name == "pos":
            raise DataError(
                f"{self.path}: line {self.first_line + 1} notes field '{name}' in {column.width} columns '{item.key}', which "
                "are not among its Properties; write the file again"
            )
        return self._values(places, item.key)

    def _of_frames(self, places: Places, series: list[float]) -> NDArray[np.float64]:
        return np.broadcast_to(np.array(series)[:, None, None], (places.steps, places.nodes, 1))

    def _line_of(self, row: int, first: int = 0) -> int:
        """The line in the file of a row, counted from that of frame `first`."""
        ends = np.cumsum(self.counts[first:])
        frame = int(np.searchsorted(ends, row, side="right"))
        return self.lines[first + frame] + 2 + row - int(ends[frame] - self.counts[first + frame])


class Growing:
    """(rows, C) numbers that are appended to without a copy of the whole."""

    def __init__(self, width: int, dtype: np.dtype[Any]) -> None:
        self._array = np.empty((0, width), dtype=dtype)
        self._used = 0

    def append(self, columns: list[NDArray[Any]]) -> None:
        """Add rows, given column by column."""
        rows = len(columns[0])
        if self._used + rows > len(self._array):
            self._array.resize((self._used + rows + self._used // 4, len(columns)), refcheck=False)
        for index, column in enumerate(columns):
            self._array[self._used : self._used + rows, index] = column
        self._used += rows

    def take(self) -> NDArray[Any]:
        """All rows; nothing can be appended after."""
        self._array.resize((self._used, self._array.shape[1]), refcheck=False)
        return self._array


def _plain_columns(body: bytes) -> tuple[Column, ...]:
    """Species and positions, and further columns by their number."""
    width = len(body[: body.find(b"\n") + 1].split())
    extra = tuple(Column(f"column_{index}", "R", 1) for index in range(5, min(width, 100) + 1))
    return parse_properties(PLAIN) + extra


def _irreps(column: Column) -> str:
    if column.width == 3 and column.kind == "R" and not any(word in column.name.lower() for word in COLOURS):
        return "1e" if column.name.lower() in AXIAL else "1o"
    return "0e" if column.width == 1 else f"{column.width}x0e"
