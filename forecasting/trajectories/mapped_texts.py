"""Texts by the million in a file that is mapped, not read: names of scenes, ids of nodes, and what is known of each scene."""

import json
import mmap
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

AT_ONCE = 4096
"""Texts that are taken from the file at once."""
_SCHEMA = pa.schema([("text", pa.large_string())])


class Texts(Sequence[str]):
    """Texts of a file that `GrowingTexts` wrote.

    Args:
        column: (n,) of texts.
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    @classmethod
    def open(cls, file: mmap.mmap) -> "Texts":
        """The texts of a mapped file."""
        return cls(pa.ipc.open_file(pa.BufferReader(pa.py_buffer(file))).read_all().column(0))

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            wanted = range(len(self))[index]
            if not wanted:
                return []
            first, last = sorted((wanted[0], wanted[-1]))
            found: list[str] = self._column.slice(first, last - first + 1).to_pylist()
            return found[:: wanted.step]
        return str(self._column[int(index)])

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), AT_ONCE):
            yield from self[first : first + AT_ONCE]


class GrowingTexts:
    """A file of texts that is appended to.

    Args:
        path: to write.
    """

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(str(path), _SCHEMA)

    def append(self, texts: pa.ChunkedArray | Sequence[str]) -> None:
        """Add texts."""
        table = pa.table({"text": texts}).cast(_SCHEMA)
        self._writer.write_table(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()


class SceneInfos(Sequence[Mapping[str, Any]]):
    """What is known of each scene; scenes of which the same is known share it.

    Args:
        known: the different ones, as JSON; code: (S,) which of them each scene has.
    """

    def __init__(self, known: Sequence[str], code: NDArray[np.int64]) -> None:
        self._known, self.code = known, code

    def __len__(self) -> int:
        return len(self.code)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mapping[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | list[Mapping[str, Any]]:
        if isinstance(index, slice):
            return [_parsed(self._known[code]) for code in self.code[index]]
        return _parsed(self._known[int(self.code[index])])


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text)
    return found
