"""Sums along the edges of a batch as products with sparse matrices of ones, in the order that each direction needs."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_SUM = 0  # of embedding_bag, which adds up chosen rows much faster than index_add or scatter_add do


class _SparseSum(torch.autograd.Function):
    """y_r = Σ_{k in row r} x_k; linear, so that its gradient is the transposed sum and its tangent the same sum."""

    @staticmethod
    def forward(values: Tensor, columns: Tensor, starts: Tensor, columns_t: Tensor, starts_t: Tensor) -> Tensor:
        return _add_up(values, columns, starts)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        columns, starts, columns_t, starts_t = ctx.saved_tensors
        return _SparseSum.apply(grads[0], columns_t, starts_t, columns, starts), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        columns, starts, columns_t, starts_t = ctx.saved_tensors
        out: Tensor = _SparseSum.apply(tangents[0], columns, starts, columns_t, starts_t)
        return out


@dataclass(frozen=True)
class Incidence:
    """A matrix of zeros and ones, as the columns of each row and, for gradients, the rows of each column.

    Attributes:
        columns: of row 0, of row 1, …; starts: (R + 1,) where each row begins.
        columns_t, starts_t: the same of the transposed matrix.
    """

    columns: Tensor
    starts: Tensor
    columns_t: Tensor
    starts_t: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """(C, …) -> (R, …) sum over the columns of each row, in the order of the columns."""
        flat = values.flatten(1) if values.dim() > 2 else values
        out: Tensor = _SparseSum.apply(flat, self.columns, self.starts, self.columns_t, self.starts_t)
        return out.view(-1, *values.shape[1:])

    def add_up(self, values: Tensor) -> Tensor:
        """(C, width) -> (R, width), as a call does, outside of gradients."""
        return _add_up(values, self.columns, self.starts)

    def transposed(self, values: Tensor) -> Tensor:
        """(R, width) -> (C, width) sums by the transposed matrix, outside of gradients."""
        return _add_up(values, self.columns_t, self.starts_t)

    def repeated(self, times: int) -> "Incidence":
        """The block-diagonal matrix of `times` copies."""
        rows, columns = len(self.starts) - 1, len(self.starts_t) - 1
        return Incidence(
            *_repeat(self.columns, self.starts, columns, times), *_repeat(self.columns_t, self.starts_t, rows, times)
        )


@dataclass(frozen=True)
class EdgeLayout:
    """The edges of a batch, ready for sums along them.

    Attributes:
        ends: (E × 2N) adds row 2 s of an edge's source s and row 2 t + 1 of its target t: with (N, 2, …) values, a_s + b_t.
        arriving: (N × E) adds the edges that arrive at a node.
        share: (N,) one over the number of edges that arrive; 1 where none do.
    """

    ends: Incidence
    arriving: Incidence
    share: Tensor

    @classmethod
    def of(cls, edge_index: Tensor, nodes: int, dtype: torch.dtype) -> "EdgeLayout":
        """The layout of (2, E) sources and targets among `nodes` nodes; `dtype` is that of the values."""
        source, target = edge_index
        edges = torch.arange(len(source) + 1, device=source.device)
        pairs = torch.stack([2 * source, 2 * target + 1], dim=1).flatten()
        by_end, end_starts = _rows(pairs, 2 * nodes)
        by_target, starts = _rows(target, nodes)
        ends = Incidence(pairs, 2 * edges, by_end // 2, end_starts)
        return cls(ends, Incidence(by_target, starts, target, edges), 1 / starts.diff().clamp(min=1).to(dtype))

    def repeated(self, times: int) -> "EdgeLayout":
        """The layout of `times` copies of the batch side by side."""
        return EdgeLayout(self.ends.repeated(times), self.arriving.repeated(times), self.share.repeat(times))

    def differences(self, x: Tensor) -> Tensor:
        """(E, …) x_t − x_s of node values (N, …)."""
        return self.ends(torch.stack([-x, x], dim=1).flatten(0, 1))


def _add_up(values: Tensor, columns: Tensor, starts: Tensor) -> Tensor:
    return torch.embedding_bag(values.contiguous(), columns, starts, False, _SUM, False, None, True)[0]


def _rows(keys: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The places of the keys 0, of the keys 1, … in `keys`, and (count + 1,) where each begins."""
    return torch.argsort(keys, stable=True), torch.cat([keys.new_zeros(1), torch.bincount(keys, minlength=count).cumsum(0)])


def _repeat(columns: Tensor, starts: Tensor, width: int, times: int) -> tuple[Tensor, Tensor]:
    copy = torch.arange(times, device=columns.device)[:, None]
    begins = (starts[:-1] + len(columns) * copy).flatten()
    return (columns + width * copy).flatten(), torch.cat([begins, starts[-1:] * times])
