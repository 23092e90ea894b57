"""The pattern of couplings of one edge or node, repeated for all of them: how the sparse half of a tensor product is laid out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forecasting.models._tensor_product_sparse import Sparse


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
    """The point (a node, or the element itself) that each element reads, and the place of elements among those that read it.

    Attributes:
        index: (E,) point of each element. count: of the points. degree: (count,) elements that read each.
        rank: (E,) how many elements before this one read its point.
    """

    def __init__(self, index: Tensor, count: int) -> None:
        self.index, self.count = index, count
        order = torch.argsort(index, stable=True)
        self.degree = torch.zeros(count, dtype=torch.long, device=index.device).index_add(0, index, torch.ones_like(index))
        first = self.degree.cumsum(0) - self.degree
        here = torch.arange(index.shape[0], device=index.device)
        self.rank = torch.empty_like(index).scatter_(0, order, here - first[index[order]])


class Pattern:
    """The couplings of one element, ready to be repeated.

    Element e has `out_strides[o]` rows in output block o, which lie at e · stride … behind all rows of the blocks before; point p
    has `in_strides[b]` rows in input block b, likewise.

    Args:
        entries: all couplings of an element.
        in_strides, out_strides: rows per point and per element, by block.
    """

    def __init__(self, entries: Sequence[Entry], in_strides: Sequence[int], out_strides: Sequence[int]) -> None:
        self.inputs = _Side([(entry.block, entry.inner) for entry in entries], in_strides)
        self.outputs = _Side([(entry.out, entry.outer) for entry in entries], out_strides)
        self.ends = torch.tensor([entry.end for entry in entries])
        self.weights = torch.tensor([entry.weights for entry in entries], dtype=torch.float64).T.contiguous()
        self._readers = [self._read_by(block) for block in range(len(self.inputs.strides))]
        self._kept: tuple[tuple[int, torch.device], tuple[Tensor, ...]] | None = None

    def repeat(self, attributes: Tensor) -> Sparse:
        """The matrix where every element reads its own rows only; `attributes` (E, A) are those of the elements."""
        columns, offsets, t_columns, t_offsets = self._indices(attributes.shape[0], attributes.device)
        values, t_values = (
            side.by_block(attributes @ self.weights[:, side.order].to(attributes)) for side in (self.outputs, self.inputs)
        )
        return Sparse(values, columns, offsets, t_values, t_columns, t_offsets)

    def repeat_over(self, attributes: Tensor, points: Sequence[Points | None], sizes: Sequence[int]) -> Sparse:
        """The matrix where elements read points that others may read too.

        Args:
            attributes: (E, A) of the elements.
            points: that the elements read, by end; None for a single point that all read.
            sizes: number of points of each input block.
        """
        device, count, order = attributes.device, attributes.shape[0], self.outputs.order
        here, none = torch.arange(count, device=device), torch.zeros(count, dtype=torch.long, device=device)
        index = torch.stack([none if each is None else each.index for each in points], dim=1)
        rank = torch.stack([here if each is None else each.rank for each in points], dim=1)
        end = self.ends[order].to(device)
        columns = self.inputs.rows(index[:, end], sizes, order)
        rows = self.outputs.rows(here[:, None], [count] * len(self.outputs.strides), order)
        t_offsets = self._shared_offsets(points, sizes, count, device)
        shared, place = self.inputs.shared[order].to(device), self.inputs.place[order].to(device)
        position = (rank[:, end] * shared).add_(place).add_(t_offsets[columns]).flatten()
        values = attributes @ self.weights[:, order].to(attributes)
        t_columns = torch.empty_like(position).scatter_(0, position, rows.flatten())
        t_values = torch.zeros_like(values).flatten().scatter(0, position, values.flatten())
        by_block = self.outputs.by_block
        return Sparse(by_block(values), by_block(columns), self.outputs.offsets(count, device), t_values, t_columns, t_offsets)

    def _indices(self, count: int, device: torch.device) -> tuple[Tensor, ...]:
        """Columns and offsets of `repeat` and of its transpose, kept for the next call; not while sizes are only symbols."""
        key = count, device
        if not torch.compiler.is_exporting() and self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        found = *self._own(*key, self.inputs, self.outputs), *self._own(*key, self.outputs, self.inputs)
        if not torch.compiler.is_exporting():
            self._kept = key, found
        return found

    def _own(self, count: int, device: torch.device, read: "_Side", written: "_Side") -> tuple[Tensor, Tensor]:
        """Columns and offsets from the rows that are read to those that are written, both of the element itself."""
        here = torch.arange(count, device=device)[:, None]
        columns = read.rows(here, [count] * len(read.strides), written.order)
        return written.by_block(columns), written.offsets(count, device)

    def _shared_offsets(self, points: Sequence[Points | None], sizes: Sequence[int], count: int, device: torch.device) -> Tensor:
        """(input rows + 1,) first entry of each row of the transpose."""
        counts = []
        for each, size, (ends, place) in zip(self.inputs.counts, sizes, self._readers, strict=True):
            readers = [
                torch.full((size,), count, device=device) if (found := points[end]) is None else found.degree for end in ends
            ]
            counts.append((torch.stack(readers, dim=1)[:, place.to(device)] * each.to(device)).flatten())
        return _offsets(counts)

    def _read_by(self, block: int) -> tuple[list[int], Tensor]:
        """The ends by which rows of an input block are read, and for each row its place among them."""
        row_ends = dict.fromkeys(range(self.inputs.strides[block]), 0)
        for here, row, end in zip(self.inputs.block.tolist(), self.inputs.row.tolist(), self.ends.tolist(), strict=True):
            if here == block:
                row_ends[row] = end
        ends = sorted(set(row_ends.values()))
        return ends, torch.tensor([ends.index(end) for end in row_ends.values()])


class _Side:
    """The rows of one side of a pattern: those that entries read, or those that they write.

    Args:
        rows: (block, row) of each entry; strides: rows of each block.

    Attributes:
        order: of the entries by block and row. block, row: of each entry. counts: (stride,) entries of each row, by block.
        shared: entries of the row of each entry. place: how many entries of its row come before each.
    """

    def __init__(self, rows: Sequence[tuple[int, int]], strides: Sequence[int]) -> None:
        self.strides = tuple(strides)
        self.block, self.row = (torch.tensor([each[k] for each in rows]) for k in (0, 1))
        self._stride = torch.tensor(self.strides)[self.block]
        self._after = [stride * (self.block > block) for block, stride in enumerate(self.strides)]
        self.order = torch.tensor(sorted(range(len(rows)), key=lambda k: rows[k]))
        seen: dict[tuple[int, int], int] = {}
        places = []
        for row in rows:
            places.append(seen.get(row, 0))
            seen[row] = places[-1] + 1
        self.place, self.shared = torch.tensor(places), torch.tensor([seen[row] for row in rows])
        self.counts = [torch.tensor([seen.get((block, row), 0) for row in range(stride)]) for block, stride in enumerate(strides)]
        self._widths = [int(each.sum()) for each in self.counts]

    def rows(self, points: Tensor, sizes: Sequence[int], order: Tensor) -> Tensor:
        """(E, K) the row of each entry, in this order, for (E, K) or (E, 1) points, in blocks of `sizes` points."""
        first = self.row[order]
        for size, after in zip(sizes, self._after, strict=True):
            first = first + size * after[order]
        return (points * self._stride[order].to(points.device)).add_(first.to(points.device))

    def by_block(self, values: Tensor) -> Tensor:
        """(E · K,) values (E, K) of entries in order, block by block."""
        return torch.cat([part.reshape(-1) for part in torch.split(values, self._widths, dim=1)])

    def offsets(self, count: int, device: torch.device) -> Tensor:
        """(rows + 1,) where each row of `count` elements begins."""
        return _offsets([each.to(device).expand(count, -1).flatten() for each in self.counts])


def _offsets(counts: Sequence[Tensor]) -> Tensor:
    return torch.cat([torch.zeros(1, dtype=torch.long, device=counts[0].device), *counts]).cumsum(0)
