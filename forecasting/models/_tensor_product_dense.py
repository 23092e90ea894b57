"""Products over channels and the gate: the dense half of a tensor product.

Features of several degrees live in one tensor of rows (channels last): first all rows of degree 0, then 3 of degree 1 for each
node or edge, then 5 of degree 2 … So each degree is one matrix without a copy, and all of them are one operand of a sparse sum.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from forecasting.signed_function import signed

Plan = tuple[tuple[int, int, int, int, int], ...]


def block_products(
    tensors: Sequence[Tensor], plan: Plan, weight: Tensor, bias: Tensor | None = None, tail: Tensor | None = None
) -> Tensor:
    """(M,) the products X_k W_k one after the other, each (rows, columns) flattened.

    Args:
        tensors: contiguous, of any shape; every block X_k lies in one of them.
        plan: for each block the tensor it lies in, its first number there, its shape, and the columns of its weight.
        weight: (numbers,) the matrices W_k one after the other.
        bias: (columns of the first block,) added to its rows, or None.
        tail: (numbers,) put behind the products, or None.
    """
    return _BlockProducts.apply(plan, weight, bias, tail, *tensors)  # type: ignore[no-untyped-call]


@signed
class _BlockProducts(torch.autograd.Function):
    @staticmethod
    def forward(plan: Plan, weight: Tensor, bias: Tensor | None, tail: Tensor | None, *tensors: Tensor) -> Tensor:
        total = sum(rows * width for _, _, rows, _, width in plan)
        out = weight.new_empty(total + (0 if tail is None else tail.numel()))
        for index, (block, matrix, part) in enumerate(_triples(tensors, plan, weight, out)):
            if bias is not None and index == 0:
                torch.addmm(bias, block, matrix, out=part)
            else:
                torch.mm(block, matrix, out=part)
        if tail is not None:
            out[total:] = tail
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.plan, weight, _, tail, *tensors = inputs
        ctx.tail = 0 if tail is None else tail.numel()
        ctx.save_for_backward(weight, *tensors)
        ctx.save_for_forward(weight, *tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, *tensors = ctx.saved_tensors
        grad = grad.contiguous()
        to_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        to_tensors = [
            torch.empty_like(each) if want else None for each, want in zip(tensors, ctx.needs_input_grad[4:], strict=True)
        ]
        to_bias, place = None, 0
        for index, (block, matrix, part) in enumerate(_triples(tensors, ctx.plan, weight, grad)):
            which, first, rows, columns, width = ctx.plan[index]
            target = to_tensors[which]
            if target is not None:
                torch.mm(part, matrix.t(), out=_block(target, first, rows, columns))
            if to_weight is not None:
                torch.mm(block.t(), part, out=_block(to_weight, place, columns, width))
            if index == 0 and ctx.needs_input_grad[2]:
                to_bias = part.sum(0)
            place += columns * width
        to_tail = grad[len(grad) - ctx.tail :] if ctx.tail else None
        return None, to_weight, to_bias, to_tail, *to_tensors

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        weight, *tensors = ctx.saved_tensors
        _, weight_t, bias_t, tail_t, *tensors_t = tangents
        parts, place = [], 0
        for index, (which, first, rows, columns, width) in enumerate(ctx.plan):
            moved = weight.new_zeros(rows, width)
            if tensors_t[which] is not None:
                block_t = _block(tensors_t[which].contiguous(), first, rows, columns)
                moved = moved + block_t @ _block(weight, place, columns, width)
            if weight_t is not None:
                moved = moved + _block(tensors[which], first, rows, columns) @ _block(weight_t, place, columns, width)
            if index == 0 and bias_t is not None:
                moved = moved + bias_t
            parts.append(moved.flatten())
            place += columns * width
        if ctx.tail:
            parts.append(weight.new_zeros(ctx.tail) if tail_t is None else tail_t)
        return torch.cat(parts)


def _triples(tensors: Sequence[Tensor], plan: Plan, weight: Tensor, out: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """X_k, W_k and the place of their product, as views."""
    found, place, first_out = [], 0, 0
    for which, first, rows, columns, width in plan:
        views = (
            _block(tensors[which], first, rows, columns),
            _block(weight, place, columns, width),
            _block(out, first_out, rows, width),
        )
        found.append(views)
        place, first_out = place + columns * width, first_out + rows * width
    return found


def _block(tensor: Tensor, first: int, rows: int, columns: int) -> Tensor:
    return tensor.as_strided((rows, columns), (columns, 1), tensor.storage_offset() + first)


def gate(rows: Tensor, count: int, degree: int) -> Tensor:
    """Scalars through SiLU, and each vector or tensor times a sigmoid of a scalar of its own (Weiler et al. 2018).

    Args:
        rows: (count · (1 + degree) + count · Σ_{l≥1} (2l + 1), F): for each element its scalars and a row of gates for each
            degree from 1, then all rows of degree 1, …
        count: of elements; degree: the largest.

    Returns:
        (count · (degree + 1)², F).
    """
    return _Gate.apply(rows, count, degree)[0]  # type: ignore[no-untyped-call]


@signed
class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(rows: Tensor, count: int, degree: int) -> tuple[Tensor, Tensor]:
        first, parts = _parts(rows, count, degree)
        out = rows.new_empty(count * (degree + 1) ** 2, rows.shape[1])
        scalars, *others = _degrees(out, count, degree)
        torch.ops.aten.silu.out(first[:, 0], out=scalars[:, 0])
        gates = torch.sigmoid(first[:, 1:])
        for index, (part, other) in enumerate(zip(parts, others, strict=True)):
            torch.mul(part, gates[:, index, None], out=other)
        return out, gates

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        rows, ctx.count, ctx.degree = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(rows, output[1])
        ctx.save_for_forward(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor, None, None]:
        rows, gates = ctx.saved_tensors
        first, parts = _parts(rows, ctx.count, ctx.degree)
        scalar_grad, *grads = _degrees(grad.contiguous(), ctx.count, ctx.degree)
        out = torch.empty_like(rows)
        to_first, to_parts = _parts(out, ctx.count, ctx.degree)
        torch.ops.aten.silu_backward.grad_input(scalar_grad[:, 0], first[:, 0], grad_input=to_first[:, 0])
        for index, (part, to_part, each) in enumerate(zip(parts, to_parts, grads, strict=True)):
            torch.mul(each, gates[:, index, None], out=to_part)
            slope = each[:, 0] * part[:, 0]
            for row in range(1, part.shape[1]):
                slope.addcmul_(each[:, row], part[:, row])
            torch.ops.aten.sigmoid_backward.grad_input(slope, gates[:, index], grad_input=to_first[:, 1 + index])
        return out, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        first, parts = _parts(rows, ctx.count, ctx.degree)
        first_t, parts_t = _parts(tangent.contiguous(), ctx.count, ctx.degree)
        half = torch.sigmoid(first)
        moved = [half[:, 0] * (1 + first[:, 0] * (1 - half[:, 0])) * first_t[:, 0]]
        for index, (part, part_t) in enumerate(zip(parts, parts_t, strict=True)):
            each = half[:, 1 + index, None]
            slope = each * (1 - each) * first_t[:, 1 + index, None]
            moved.append((slope * part + each * part_t).flatten(0, 1))
        return torch.cat(moved), None


def _parts(rows: Tensor, count: int, degree: int) -> tuple[Tensor, list[Tensor]]:
    """Views of gate inputs: (count, 1 + degree, F) scalars and gates, and (count, 2l + 1, F) of each degree from 1."""
    head = count * (1 + degree)
    return rows[:head].view(count, 1 + degree, rows.shape[1]), _views(rows[head:], count, range(1, degree + 1))


def _degrees(rows: Tensor, count: int, degree: int) -> list[Tensor]:
    """Views (count, 2l + 1, F) of features, by degree."""
    return _views(rows, count, range(degree + 1))


def _views(rows: Tensor, count: int, degrees: range) -> list[Tensor]:
    sizes = [2 * each + 1 for each in degrees]
    parts = torch.split(rows, [count * size for size in sizes]) if sizes else ()
    return [part.view(count, size, rows.shape[1]) for part, size in zip(parts, sizes, strict=True)]
