"""Sums along the edges of a batch as products with sparse matrices of zeros and ones.

They are computed as embedding bags, which add up chosen rows several times faster than index_add and scatter_add do.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from forecasting.models.aggregate import counts
from forecasting.signed_function import signed

_SUM = 0


@signed
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
        return _SparseSum.apply(grads[0], columns_t, starts_t, columns, starts), None, None, None, None  # type: ignore[no-untyped-call]

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        out: Tensor = _SparseSum.apply(tangents[0], *ctx.saved_tensors)  # type: ignore[no-untyped-call]
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

    @classmethod
    def of(cls, columns: Tensor, count: int, each: int) -> "Incidence":
        """The matrix of `count` columns whose rows have `each` ones, at `columns`."""
        starts_t = torch.cat([columns.new_zeros(1), counts(columns, count).cumsum(0)])
        starts = each * torch.arange(columns.shape[0] // each + 1, device=columns.device)
        return cls(columns, starts, torch.argsort(columns, stable=True) // each, starts_t)

    def __call__(self, values: Tensor) -> Tensor:
        """(C, …) -> (R, …) sum over the columns of each row, in their order."""
        flat = values.flatten(1) if values.dim() > 2 else values
        out: Tensor = _SparseSum.apply(flat, self.columns, self.starts, self.columns_t, self.starts_t)  # type: ignore[no-untyped-call]
        return out.view(self.starts.shape[0] - 1, *values.shape[1:])

    def add_up(self, values: Tensor) -> Tensor:
        """(C, width) -> (R, width), as a call does, where no gradient is recorded."""
        return _add_up(values, self.columns, self.starts)

    def transposed(self) -> "Incidence":
        """The transposed matrix."""
        return Incidence(self.columns_t, self.starts_t, self.columns, self.starts)


class EdgeLayout:
    """The edges of a batch, ready for sums along them.

    Attributes:
        source, target: (E,) nodes.
        gather: (E × N) takes the value of an edge's target; arriving: (N × E) adds the edges that arrive at a node.
        share: (N,) one over the number of edges that arrive; 1 where none do.

    Args:
        edge_index: (2, E) source and target; nodes: N; dtype: of the values.
    """

    def __init__(self, edge_index: Tensor, nodes: int, dtype: torch.dtype) -> None:
        self.source, self.target = edge_index
        self.gather = Incidence.of(self.target, nodes, 1)
        self.arriving = self.gather.transposed()
        self.share = 1 / self.arriving.starts.diff().clamp(min=1).to(dtype)
        self._pairs = Incidence.of(torch.stack([2 * self.source, 2 * self.target + 1], dim=1).flatten(), 2 * nodes, 2)
        self._ends: dict[int, Incidence] = {}

    def ends(self, slots: int) -> Incidence:
        """(E × slots N) adds, of node values (N, slots, …), slot 0 of an edge's source and slot 1 of its target."""
        if slots not in self._ends:
            pairs, starts = self._pairs.columns, self._pairs.starts_t
            unused = starts[2::2, None].expand(-1, slots - 2)
            starts_t = torch.cat([torch.cat([starts[:-1].view(-1, 2), unused], dim=1).flatten(), starts[-1:]])
            columns = pairs // 2 * slots + pairs % 2
            self._ends[slots] = Incidence(columns, self._pairs.starts, self._pairs.columns_t, starts_t)
        return self._ends[slots]

    def differences(self, x: Tensor) -> Tensor:
        """(E, …) x_t − x_s of node values (N, …)."""
        return x.index_select(0, self.target) - x.index_select(0, self.source)

    def differences_gradient(self, d_way: Tensor) -> Tensor:
        """(N, width) gradient with respect to x of `differences`, whose gradient is (E, width)."""
        ends = self._pairs.transposed().add_up(d_way).view(self.share.shape[0], 2, d_way.shape[1])
        return ends[:, 1] - ends[:, 0]


def _add_up(values: Tensor, columns: Tensor, starts: Tensor) -> Tensor:
    return torch.embedding_bag(values.contiguous(), columns, starts, False, _SUM, False, None, True)[0]
