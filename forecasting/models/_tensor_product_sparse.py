"""Weighted sums of rows, with rows as long as there are channels: the sparse half of a tensor product.

y_r = Σ_k values_k x_{columns_k}, k from offsets_r to offsets_{r+1}. One kernel of torch reads each row where it lies, weighs and
adds it, so that nothing is stored per edge and path. Gradients are such sums again, with the transposed matrix.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from forecasting.signed_function import signed


class Sparse(NamedTuple):
    """A sparse matrix by rows, and its transpose by rows.

    Attributes:
        values: (K,) entries; columns: (K,) where each acts; offsets: (R + 1,) first entry of each row.
        t_values, t_columns, t_offsets: of the transpose.
    """

    values: Tensor
    columns: Tensor
    offsets: Tensor
    t_values: Tensor
    t_columns: Tensor
    t_offsets: Tensor

    @property
    def transpose(self) -> "Sparse":
        """Rows for columns."""
        return Sparse(self.t_values, self.t_columns, self.t_offsets, self.values, self.columns, self.offsets)


def weighted_sums(rows: Tensor, matrix: Sparse) -> Tensor:
    """(R, F) sums of `rows` (C, F) with the weights of a matrix (R, C)."""
    return _WeightedSums.apply(rows, *matrix)  # type: ignore[no-untyped-call]


@signed
class _WeightedSums(torch.autograd.Function):
    @staticmethod
    def forward(rows: Tensor, values: Tensor, columns: Tensor, offsets: Tensor, *transpose: Tensor) -> Tensor:
        return _sums(rows, values, columns, offsets)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, _, columns, offsets, *transpose = ctx.saved_tensors
        grad = grad.contiguous()
        to_rows = _sums(grad, *transpose) if ctx.needs_input_grad[0] else None
        to_values = None
        if ctx.needs_input_grad[1]:
            to_values = (grad[_row_of_entry(columns, offsets)] * rows[columns]).sum(-1)
        return to_rows, to_values, *[None] * 5

    @staticmethod
    def jvp(ctx: Any, rows_t: Tensor | None, values_t: Tensor | None, *_: Tensor | None) -> Tensor:
        rows, *matrix = ctx.saved_tensors
        _, columns, offsets, *_ = matrix
        moved = torch.zeros_like(rows[:1]).expand(len(offsets) - 1, -1)
        if rows_t is not None:
            moved = moved + _WeightedSums.apply(rows_t.contiguous(), *matrix)  # type: ignore[no-untyped-call]
        if values_t is not None:
            terms = values_t[:, None] * rows[columns]
            moved = moved + torch.zeros_like(moved).index_add(0, _row_of_entry(columns, offsets), terms)
        return moved


def _sums(rows: Tensor, values: Tensor, columns: Tensor, offsets: Tensor) -> Tensor:
    if torch.compiler.is_exporting():  # an exported program is for any number of rows
        return rows.new_zeros(offsets.shape[0] - 1, rows.shape[1]).index_add(
            0, _row_of_entry(columns, offsets), values[:, None] * rows[columns]
        )
    if len(rows) == 0 or len(offsets) == 1:
        return rows.new_zeros(len(offsets) - 1, rows.shape[1])
    return embedding_bag(columns, rows, offsets, mode="sum", per_sample_weights=values, include_last_offset=True)


def _row_of_entry(columns: Tensor, offsets: Tensor) -> Tensor:
    return torch.repeat_interleave(offsets.diff(), output_size=columns.shape[0])
