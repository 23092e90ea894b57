"""The pattern of couplings of one edge or node, repeated for all of them: how the sparse half of a tensor product is laid out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.models._tensor_product_sparse import Sparse

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Entry:
    """One coupling: row `inner` of input block `block` goes, weighted, to row `outer` of output block `out`.

    Attributes:
        end: which of the points of an element the input row belongs to.
        weights: (A,) for the attribute components.
    """

    block: int
    inner: int
    out: int
    outer: int
    end: int
    weights: tuple[float, ...]


class Points:
    """The point (a node, or the element itself) that each element reads, and the order of elements by point.

    Args:
        index: (E,) point of each element; None: element e reads point e.
        count: of the points.
    """

    def __init__(self, index: Tensor | None, count: int) -> None:
        self.index, self.count = index, count
        self.degree = self.rank = None
        if index is not None:
            order = torch.argsort(index, stable=True)
            self.degree = torch.bincount(index, minlength=count)
            first = self.degree.cumsum(0) - self.degree
            here = torch.arange(len(index), device=index.device)
            self.rank = torch.empty_like(index).scatter_(0, order, here - first[index[order]])

    @classmethod
    def one(cls, elements: int, device: torch.device) -> "Points":
        """A single point that all elements read."""
        found = cls(None, 1)
        found.index = torch.zeros(elements, dtype=torch.long, device=device)
        found.degree = torch.full((1,), elements, device=device)
        found.rank = torch.arange(elements, device=device)
        return found


class Pattern:
    """The couplings of one element, sorted by output, ready to be repeated.

    Element e has `out_strides[o]` rows in output block o, which lie at e · stride … behind all rows of the blocks before; point p
    has `in_strides[b]` rows in input block b, likewise.

    Args:
        entries: all couplings of an element.
        in_strides, out_strides: rows per point and per element, by block.
    """

    def __init__(self, entries: Sequence[Entry], in_strides: Sequence[int], out_strides: Sequence[int]) -> None:
        self.entries = sorted(entries, key=lambda entry: (entry.out, entry.outer))
        self.in_strides, self.out_strides = tuple(in_strides), tuple(out_strides)
        self.weights = torch.tensor([entry.weights for entry in self.entries], dtype=torch.float64).T.contiguous()

    def _of_entries(self, device: torch.device) -> tuple[Tensor, ...]:
        return tuple(each.to(device) for each in self._columns)

    @cached_property
    def _columns(self) -> tuple[Tensor, ...]:
        """Of each entry: inner row, stride of its block, block; outer row, stride, block; end; count and place among the entries
        of its input row."""
        table = [
            (
                *(entry.inner, self.in_strides[entry.block], entry.block),
                *(entry.outer, self.out_strides[entry.out], entry.out, entry.end),
            )
            for entry in self.entries
        ]
        rows = [(entry.block, entry.inner) for entry in self.entries]
        counts = [rows.count(row) for row in rows]
        places = [rows[:k].count(row) for k, row in enumerate(rows)]
        columns = [*np.array(table, dtype=np.int64).reshape(-1, 7).T, np.array(counts), np.array(places)]
        return tuple(torch.from_numpy(np.ascontiguousarray(column)) for column in columns)

    @cached_property
    def _per_row(self) -> list[tuple[Tensor, Tensor]]:
        """For each input block: (stride,) end and number of entries of each row."""
        found = []
        for block, stride in enumerate(self.in_strides):
            ends, counts = np.zeros(stride, dtype=np.int64), np.zeros(stride, dtype=np.int64)
            for entry in self.entries:
                if entry.block == block:
                    ends[entry.inner] = entry.end
                    counts[entry.inner] += 1
            found.append((torch.from_numpy(ends), torch.from_numpy(counts)))
        return found

    @cached_property
    def _per_output(self) -> list[Tensor]:
        """For each output block: (stride,) number of entries of each row."""
        counts = [np.zeros(stride, dtype=np.int64) for stride in self.out_strides]
        for entry in self.entries:
            counts[entry.out][entry.outer] += 1
        return [torch.from_numpy(count) for count in counts]

    def repeat(self, attributes: Tensor, points: Sequence[Points], sizes: Sequence[int]) -> Sparse:
        """The matrix from all input rows to all output rows.

        Args:
            attributes: (E, A) of the elements.
            points: that the elements read, by end.
            sizes: number of points of each input block.
        """
        device, count = attributes.device, len(attributes)
        inner, in_stride, block, outer, out_stride, out, end, shared, place = self._of_entries(device)
        starts = _starts(sizes, self.in_strides, device)
        behind = _starts([count] * len(self.out_strides), self.out_strides, device)
        here = torch.arange(count, device=device)
        index = torch.stack([here if each.index is None else each.index for each in points], dim=1)
        rank = torch.stack([torch.zeros_like(here) if each.index is None else each.rank for each in points], dim=1)
        values = attributes @ self.weights.to(attributes)
        columns = index[:, end] * in_stride + (starts[block] + inner)
        rows = here[:, None] * out_stride + (behind[out] + outer)
        t_offsets = self._row_starts(points, sizes, device)
        position = (t_offsets[columns] + rank[:, end] * shared + place).flatten()
        t_columns = torch.empty_like(position).scatter_(0, position, rows.flatten())
        t_values = torch.zeros_like(values).flatten().scatter(0, position, values.flatten())
        counts = [each.to(device) for each in self._per_output]
        offsets = _offsets([each.expand(count, -1) for each in counts])
        widths = [int(each.sum()) for each in self._per_output]
        return Sparse(_by_block(values, widths), _by_block(columns, widths), offsets, t_values, t_columns, t_offsets)

    def _row_starts(self, points: Sequence[Points], sizes: Sequence[int], device: torch.device) -> Tensor:
        counts = []
        for (ends, each), size in zip(self._per_row, sizes, strict=True):
            readers = [
                torch.ones(size, dtype=torch.long, device=device) if points[end].index is None else points[end].degree
                for end in ends.tolist()
            ]
            counts.append(torch.stack(readers, dim=1) * each.to(device))
        return _offsets(counts)


def _starts(sizes: Sequence[int], strides: Sequence[int], device: torch.device) -> Tensor:
    rows = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    return torch.tensor(np.cumsum([0, *rows[:-1]]), dtype=torch.long, device=device)


def _offsets(counts: Sequence[Tensor]) -> Tensor:
    every = torch.cat([torch.zeros(1, dtype=torch.long, device=counts[0].device), *(each.reshape(-1) for each in counts)])
    return every.cumsum(0)


def _by_block(values: Tensor, widths: Sequence[int]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in values.split(list(widths), dim=1)])
