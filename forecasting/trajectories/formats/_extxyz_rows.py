"""The atom lines of xyz frames: text between blanks to columns of numbers and names."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from forecasting.trajectories.formats._extxyz_comment import Column, number

_ARROW = {"R": pa.float64(), "I": pa.int64(), "S": pa.dictionary(pa.int32(), pa.string()), "L": pa.string()}
_TRUTH = {"t": 1.0, "true": 1.0, "1": 1.0, "f": 0.0, "false": 0.0, "0": 0.0}
_MEANT = {"R": "a number", "I": "a whole number", "S": "a text", "L": "T or F"}


class RowError(ValueError):
    """A row that does not fit its columns.

    Attributes:
        row: its number in the block, from 0.
    """

    def __init__(self, row: int, fault: str) -> None:
        super().__init__(fault)
        self.row = row


class Names:
    """Different texts in order of first appearance, and how far they are numbered."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def encode(self, column: pa.DictionaryArray) -> NDArray[np.int64]:
        """(rows,) the number of each text."""
        used = column.indices.unique().to_pylist()
        mapped = np.zeros(len(column.dictionary), dtype=np.int64)
        for index in used:
            mapped[index] = self.codes.setdefault(column.dictionary[index].as_py(), len(self.codes))
        codes: NDArray[np.int64] = mapped[column.indices.to_numpy()]
        return codes

    def array(self) -> NDArray[np.str_]:
        """The texts."""
        return np.array(list(self.codes), dtype=str)


def parse_rows(block: bytes, columns: Sequence[Column], rows: int) -> dict[str, list[Any]]:
    """Column name -> its columns: numpy arrays of numbers (rows,), Arrow dictionaries of texts.

    Raises:
        RowError: at the first row with another number of columns or a cell of another kind.
    """
    kinds = [column.kind for column in columns for _ in range(column.width)]
    names = [str(index) for index in range(len(kinds))]
    try:
        table = pacsv.read_csv(
            BytesIO(_normalised(block)),
            read_options=pacsv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            parse_options=pacsv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=pacsv.ConvertOptions(
                column_types={name: _ARROW[kind] for name, kind in zip(names, kinds, strict=True)}, null_values=[]
            ),
        )
        cells = [_of_arrow(column.combine_chunks(), kind) for column, kind in zip(table.columns, kinds, strict=True)]
    except (pa.ArrowException, ValueError, KeyError):
        cells = _cell_by_cell(block, kinds, rows)
    if any(len(column) != rows for column in cells):
        cells = _cell_by_cell(block, kinds, rows)
    ends = np.cumsum([column.width for column in columns]).tolist()
    return {column.name: cells[end - column.width : end] for column, end in zip(columns, ends, strict=True)}


def _normalised(block: bytes) -> bytes:
    """One blank between cells, none at the ends of a line."""
    block = block.replace(b"\t", b" ").replace(b"\r", b" ")
    while b"  " in block:
        block = block.replace(b"  ", b" ")
    return block.replace(b"\n ", b"\n").replace(b" \n", b"\n").strip(b" ")


def _of_arrow(column: pa.Array, kind: str) -> Any:
    if kind == "S":
        return column
    if kind == "L":
        return np.array([_TRUTH[text.lower()] for text in column.to_pylist()], dtype=np.float64)
    return column.to_numpy(zero_copy_only=False)


def _cell_by_cell(block: bytes, kinds: list[str], rows: int) -> list[Any]:
    """Slower, but takes every way to write a number and says which row is at fault."""
    values: list[list[Any]] = [[] for _ in kinds]
    for row, line in enumerate(block.split(b"\n")[:rows]):
        try:
            cells = line.decode("utf-8").split()
        except UnicodeDecodeError:
            raise RowError(row, "is not UTF-8 text") from None
        if len(cells) != len(kinds):
            raise RowError(row, f"has {len(cells)} columns, expected {len(kinds)}")
        for index, (kind, cell) in enumerate(zip(kinds, cells, strict=True)):
            value = _value(cell, kind)
            if value is None:
                raise RowError(row, f"has '{cell[:40]}' in column {index + 1}, expected {_MEANT[kind]}")
            values[index].append(value)
    return [_as_column(items, kind) for items, kind in zip(values, kinds, strict=True)]


def _value(cell: str, kind: str) -> Any:
    if kind == "S":
        return cell
    if kind == "L":
        return _TRUTH.get(cell.lower())
    value = number(cell)
    if kind == "R" or value is None:
        return value
    whole = cell.removeprefix("+").removeprefix("-").isdecimal()
    return int(cell) if whole and abs(value) < 2**62 else None


def _as_column(items: list[Any], kind: str) -> Any:
    if kind == "S":
        return pa.array(items, type=pa.string()).dictionary_encode()
    return np.array(items, dtype=np.int64 if kind == "I" else np.float64)


class Places:
    """Which entry of frames x nodes each row fills.

    Args:
        frame, node: (rows,) of each row.
        steps, nodes: T and N.

    Attributes:
        duplicates: (frame, node, row) of rows for an entry that an earlier row has; such entries stay empty.
    """

    def __init__(self, frame: NDArray[np.int64], node: NDArray[np.int64], steps: int, nodes: int) -> None:
        self.node, self.steps, self.nodes = node, steps, nodes
        flat = frame * nodes + node
        self._flat: NDArray[np.int64] | None = flat
        self._refused = flat[:0]
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
