"""Sorting the rows of a table by scene, on disk: sorted runs, then the runs together, a few scenes at a time."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.background import WriteBehind
from forecasting.trajectories.formats._grid import codes, encoded

RUN = 1 << 19
"""Rows sorted in memory at a time."""

BATCH = 1 << 17
"""Rows given on at a time, unless one scene has more."""

_POSITION = 32
Columns = dict[str, NDArray[Any]]


class SceneSort:
    """Record batches in any order, given back with the rows of each scene together.

    Scenes come in the order in which they were first met, the rows of a scene as they stood. Between the two passes the
    rows lie in a temporary folder (under ``TMPDIR``), about as large as their numbers in binary. Use it in a ``with``
    block, whose end removes them.

    Args:
        batches: the rows; text columns are dictionaries.
        scene: name of the column to sort by.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], scene: str) -> None:
        self.scene = scene
        self._labels: dict[str, _Labels] = {}
        self._runs: list[_Run] = []
        self._folder = tempfile.TemporaryDirectory(prefix="forecasting-sort-")
        self._rows = 0
        with WriteBehind(depth=1) as behind:
            waiting: list[Columns] = []
            count = 0
            for batch in batches:
                waiting.append(self._plain(batch))
                count += batch.num_rows
                if count >= RUN:
                    behind.do(self._spill, waiting, len(self._labels[scene].texts))
                    waiting, count = [], 0
            if count:
                behind.do(self._spill, waiting, len(self._labels[scene].texts))

    def original_row(self, row: int) -> int:
        """Number in the file (from 0) of a row of the sorted table."""
        for columns in self._merged(("",)):
            if row < len(columns[""]):
                return int(columns[""][row])
            row -= len(columns[""])
        raise IndexError(row)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The sorted rows."""
        names = [name for name in self._runs[0].types if name] if self._runs else []
        for columns in self._merged(names):
            arrays = [self._labels[name].array(columns[name]) if name in self._labels else columns[name] for name in names]
            yield pa.record_batch([pa.array(array) for array in arrays], names=names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def _plain(self, batch: pa.RecordBatch) -> Columns:
        """The columns as numbers, labels by their code, and the row number in the file under an empty name."""
        columns: Columns = {"": np.arange(self._rows, self._rows + batch.num_rows)}
        self._rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type) or name == self.scene:
                labels = self._labels.setdefault(name, _Labels())
                columns[name] = labels.codes(encoded(column), empty="" if name == self.scene else None)
            else:
                columns[name] = column.to_numpy(zero_copy_only=False)
        return columns

    def _spill(self, waiting: list[Columns], scenes: int) -> None:
        code = np.concatenate([part[self.scene] for part in waiting])
        order = _stable_order(code)
        columns = ((name, np.concatenate([part[name] for part in waiting])[order]) for name in waiting[0])
        bounds = np.cumsum(np.bincount(code, minlength=scenes), dtype=np.int64)
        self._runs.append(_Run.write(Path(self._folder.name) / str(len(self._runs)), columns, bounds))

    def _merged(self, names: Sequence[str]) -> Iterator[Columns]:
        """Some columns of whole scenes, sorted, about `BATCH` rows at a time."""
        first = 0
        for last in self._groups():
            parts = [run.read(first, last, {*names, self.scene}) for run in self._runs]
            columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            order = _stable_order(columns[self.scene] - first)
            yield {name: columns[name][order] for name in names}
            first = last

    def _groups(self) -> Iterator[int]:
        """The code behind the last scene of each group of scenes."""
        count = len(self._labels[self.scene].texts) if self._runs else 0
        sizes = np.zeros(count, dtype=np.int64)
        for run in self._runs:
            sizes[: len(run.bounds)] += np.diff(run.bounds, prepend=0)
        ends, start = np.cumsum(sizes), 0
        while start < count:
            before = int(ends[start - 1]) if start else 0
            stop = max(int(np.searchsorted(ends, before + BATCH, side="right")), start + 1)
            yield stop
            start = stop


class _Labels:
    """Texts in the order in which they were first met, over all batches."""

    def __init__(self) -> None:
        self.texts: list[Any] = []
        self._code: dict[Any, int] = {}
        self._array: pa.Array | None = None
        self._last: tuple[pa.Array | None, list[int]] = (None, [])

    def codes(self, column: pa.DictionaryArray, empty: str | None) -> NDArray[np.int32]:
        """(rows,) codes; that of the text `empty` for an empty cell, or −1 where it is None."""
        dictionary, known = self._last
        if dictionary is None or not column.dictionary.equals(dictionary):
            known = [self._code_of(text) for text in column.dictionary.to_pylist()]
            self._last = column.dictionary, known
        without = self._code_of(empty) if column.null_count and empty is not None else -1
        return np.array([*known, without], dtype=np.int32)[codes(column)]

    def _code_of(self, text: Any) -> int:
        code = self._code.get(text)
        if code is None:
            code = self._code[text] = len(self.texts)
            self.texts.append(text)
        return code

    def array(self, code: NDArray[np.int32]) -> pa.DictionaryArray:
        """The labels of these codes."""
        if self._array is None or len(self._array) != len(self.texts):
            self._array = pa.array(self.texts)
        return pa.DictionaryArray.from_arrays(pa.array(code, mask=code < 0), self._array)


@dataclass(frozen=True, eq=False)
class _Run:
    """Rows sorted by scene, one column behind the other in a file.

    Attributes:
        path: of the file.
        types: column -> its type, in order.
        bounds: (scenes,) row behind the last one of each scene.
    """

    path: Path
    types: dict[str, np.dtype[Any]]
    bounds: NDArray[np.int64]

    @classmethod
    def write(cls, path: Path, columns: Iterable[tuple[str, NDArray[Any]]], bounds: NDArray[np.int64]) -> "_Run":
        types = {}
        with path.open("wb") as file:
            for name, values in columns:
                types[name] = values.dtype
                values.tofile(file)
        return cls(path, types, bounds)

    def read(self, first: int, last: int, names: set[str]) -> Columns:
        """Some columns of the scenes with codes from `first` up to `last`."""
        end = len(self.bounds)
        start, stop = (int(self.bounds[min(code, end) - 1]) if code else 0 for code in (first, last))
        rows, place, found = int(self.bounds[-1]), 0, {}
        with self.path.open("rb") as file:
            for name, dtype in self.types.items():
                if name in names:
                    file.seek(place + start * dtype.itemsize)
                    found[name] = np.fromfile(file, dtype, count=stop - start)
                place += rows * dtype.itemsize
        return found


def _stable_order(code: NDArray[np.int32]) -> NDArray[np.int64]:
    """Indices that sort codes ≥ 0 and leave equal ones in order: one sort of whole numbers, which is fast."""
    keyed = (code.astype(np.int64) << _POSITION) | np.arange(len(code))
    keyed.sort()
    return keyed & ((1 << _POSITION) - 1)
