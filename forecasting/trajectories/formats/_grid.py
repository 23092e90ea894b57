"""Where the rows of a scene go in an array of frames x nodes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Int = NDArray[np.int64]
Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grid:
    """Frames and nodes of the rows of one scene.

    Attributes:
        times: (T,) different values of the clock column, ascending.
        names: N different labels of the node column, in order of first appearance; an empty cell has no label.
        places: (rows,) frame and (rows,) node of each row, the node −1 for an empty cell; None where the rows are every
            node of every frame, frame by frame.
    """

    times: Float
    names: pa.Array
    places: tuple[Int, Int] | None = None

    @classmethod
    def of(cls, clock: Float, labels: pa.Array) -> "Grid":
        """Find the frames and nodes of rows in any order.

        Args:
            clock: (rows,) times; labels: (rows,) nodes, a dictionary or integers.
        """
        ascending, starts = _runs(clock)
        if ascending and (whole := _whole_frames(clock, starts, labels)):
            return whole
        names, node = ranked(labels)
        if ascending:
            frame = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(clock)))
            return cls(clock[starts], names, (frame, node))
        encoded = pa.array(clock).dictionary_encode()
        times, rank = np.unique(encoded.dictionary.to_numpy(zero_copy_only=False), return_inverse=True)
        return cls(times, names, (rank[codes(encoded)], node))

    @property
    def shape(self) -> tuple[int, int]:
        """(T, N)."""
        return len(self.times), len(self.names)

    @property
    def frame(self) -> Int:
        """(rows,) frame of each row."""
        return np.repeat(np.arange(self.shape[0]), self.shape[1]) if self.places is None else self.places[0]

    @cached_property
    def node(self) -> Int:
        """(rows,) node of each row, −1 for an empty cell."""
        return np.broadcast_to(np.arange(self.shape[1]), self.shape).reshape(-1) if self.places is None else self.places[1]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.shape[0] * self.shape[1] if self.places is None else len(self.places[0])

    @property
    def nameless(self) -> int | None:
        """The first row whose node is an empty cell or an empty text, if there is one."""
        texts = pa.types.is_string(self.names.type) or pa.types.is_large_string(self.names.type)
        empty = int(self.names.index("").as_py()) if texts else -1
        if empty < 0 and self.places is None:
            return None
        wrong = (self.node < 0) | (self.node == empty)
        return int(np.argmax(wrong)) if wrong.any() else None

    @cached_property
    def _flat(self) -> Int:
        return self.frame * self.shape[1] + self.node

    @cached_property
    def duplicates(self) -> list[tuple[int, int, int]]:
        """(frame, node, row) of rows for an entry that an earlier row has."""
        if self.places is None:
            return []
        seen = np.zeros(self.shape[0] * self.shape[1], dtype=bool)
        seen[self._flat] = True
        if np.count_nonzero(seen) == len(self._flat):
            return []
        _, earliest, inverse = np.unique(self._flat, return_index=True, return_inverse=True)
        rows = np.flatnonzero(earliest[inverse] != np.arange(len(self._flat)))
        frame, node = self.places
        return [(int(frame[row]), int(node[row]), int(row)) for row in rows]

    def scatter(self, values: Float) -> Float:
        """(rows, C) -> (T, N, C), NaN where there is no row or more than one; each component in one piece of memory."""
        (frames, nodes), parts = self.shape, values.shape[1]
        if self.places is None:
            return values.T.reshape(parts, frames, nodes).transpose(1, 2, 0)
        out = np.full((parts, frames * nodes), np.nan)
        for part, column in zip(out, values.T, strict=True):
            part[self._flat] = column
        out[:, [frame * nodes + node for frame, node, _ in self.duplicates]] = np.nan
        return out.reshape(parts, frames, nodes).transpose(1, 2, 0)


def ranked(column: pa.Array) -> tuple[pa.Array, Int]:
    """Different values in order of first appearance, and which of them each row has (−1 for none)."""
    given = encoded(column)
    compact = given.indices.dictionary_encode()
    return given.dictionary.take(compact.dictionary), codes(compact).astype(np.int64)


def encoded(column: pa.Array) -> pa.DictionaryArray:
    """The column with a dictionary."""
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def codes(column: pa.DictionaryArray) -> Int:
    """(rows,) which entry of the dictionary each row has, −1 for none."""
    indices = column.indices
    if indices.null_count:
        indices = indices.fill_null(-1)
    found: Int = indices.to_numpy(zero_copy_only=False)
    return found


def _runs(clock: Float) -> tuple[bool, Int]:
    """Whether times never go back, and where each run of equal times begins."""
    changed = (clock[1:] != clock[:-1]).nonzero()[0]
    starts = np.zeros(len(changed) + 1, dtype=np.int64)
    np.add(changed, 1, out=starts[1:])
    return bool((clock[starts[1:]] > clock[starts[:-1]]).all()), starts


def _whole_frames(clock: Float, starts: Int, labels: pa.Array) -> Grid | None:
    """The grid of rows that are every node of every frame in one order, as most programs write them; else None."""
    frames = len(starts)
    nodes = len(clock) // frames
    if nodes * frames != len(clock) or labels.null_count or (starts != np.arange(0, len(clock), nodes)).any():
        return None
    whole = pa.types.is_integer(labels.type)
    values = labels.to_numpy(zero_copy_only=False) if whole else codes(encoded(labels))
    table = values.reshape(frames, nodes)
    if (table != table[0]).any() or len(set(table[0].tolist())) < nodes:
        return None
    names = labels[:nodes] if whole else encoded(labels).dictionary.take(encoded(labels).indices[:nodes])
    return Grid(clock[starts], names)
