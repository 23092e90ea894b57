"""Products over channels and the gate: the dense half of a tensor product.

Features of several degrees live in one tensor of rows (channels last): first all rows of degree 0, then 3 of degree 1 for each
node or edge, then 5 of degree 2 … So each degree is one matrix without a copy, and all of them are one operand of a sparse sum.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Plan = tuple[tuple[int, int, int, int], ...]

SILU_SCALE, SIGMOID_SCALE = 1.6765324703310909, 1.8462285453386056  # E f(z)² = 1 for normal z


def block_products(tensors: Sequence[Tensor], plan: Plan, weights: Sequence[Tensor], bias: Tensor | None, at: int) -> Tensor:
    """(M,) the products X_k W_k one after the other, each (rows, columns) flattened.

    Args:
        tensors: contiguous, of any shape; every block lies in one of them.
        plan: for each block the tensor it lies in, its first number there, and its shape.
        weights: (K_k, C_k) of each block.
        bias: (C_at,) added to block `at`, or None.
    """
    return _BlockProducts.apply(plan, at, len(tensors), bias, *tensors, *weights)


class _BlockProducts(torch.autograd.Function):
    @staticmethod
    def forward(plan: Plan, at: int, count: int, bias: Tensor | None, *operands: Tensor) -> Tensor:
        tensors, weights = operands[:count], operands[count:]
        out = weights[0].new_empty(sum(rows * weight.shape[1] for (_, _, rows, _), weight in zip(plan, weights, strict=True)))
        first = 0
        for index, (block, weight) in enumerate(zip(_blocks(tensors, plan), weights, strict=True)):
            part = out[first : first + len(block) * weight.shape[1]].view(len(block), weight.shape[1])
            if bias is not None and index == at:
                torch.addmm(bias, block, weight, out=part)
            else:
                torch.mm(block, weight, out=part)
            first += part.numel()
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.plan, ctx.at, ctx.count, bias, *operands = inputs
        ctx.save_for_backward(*operands)
        ctx.save_for_forward(*operands)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        tensors, weights = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        wanted = ctx.needs_input_grad[4:]
        to_tensors = [torch.empty_like(each) if want else None for each, want in zip(tensors, wanted, strict=False)]
        to_weights: list[Tensor | None] = []
        to_bias, first = None, 0
        for index, (entry, block, weight) in enumerate(zip(ctx.plan, _blocks(tensors, ctx.plan), weights, strict=True)):
            part = grad[first : first + len(block) * weight.shape[1]].view(len(block), weight.shape[1])
            first += part.numel()
            target = to_tensors[entry[0]]
            if target is not None:
                torch.mm(part, weight.t(), out=_block(target, entry))
            to_weights.append(block.t() @ part if wanted[ctx.count + index] else None)
            if index == ctx.at and ctx.needs_input_grad[3]:
                to_bias = part.sum(0)
        return None, None, None, to_bias, *to_tensors, *to_weights

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        tensors, weights = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        bias_t, tensors_t, weights_t = tangents[3], tangents[4 : 4 + ctx.count], tangents[4 + ctx.count :]
        parts = []
        for index, (entry, weight, weight_t) in enumerate(zip(ctx.plan, weights, weights_t, strict=True)):
            moved = weight.new_zeros(entry[2], weight.shape[1])
            if tensors_t[entry[0]] is not None:
                moved = moved + _block(tensors_t[entry[0]].contiguous(), entry) @ weight
            if weight_t is not None:
                moved = moved + _block(tensors[entry[0]], entry) @ weight_t
            if index == ctx.at and bias_t is not None:
                moved = moved + bias_t
            parts.append(moved.flatten())
        return torch.cat(parts)


def _blocks(tensors: Sequence[Tensor], plan: Plan) -> list[Tensor]:
    return [_block(tensors[entry[0]], entry) for entry in plan]


def _block(tensor: Tensor, entry: tuple[int, int, int, int]) -> Tensor:
    _, first, rows, columns = entry
    return tensor.view(-1)[first : first + rows * columns].view(rows, columns)


def gate(rows: Tensor, count: int, degree: int) -> Tensor:
    """Scalars through SiLU, and each vector or tensor times a sigmoid of a scalar of its own (Weiler et al. 2018).

    Both functions are scaled to second moment 1.

    Args:
        rows: (count · (1 + degree) + count · Σ_{l≥1} (2l + 1), F): for each element its scalars and a row of gates for each
            degree from 1, then all rows of degree 1, …
        count: of elements; degree: the largest.

    Returns:
        (count · (degree + 1)², F).
    """
    return _Gate.apply(rows, count, degree)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(rows: Tensor, count: int, degree: int) -> Tensor:
        first, parts = _parts(rows, count, degree)
        out = rows.new_empty(count * (degree + 1) ** 2, rows.shape[1])
        scalars, *others = _degrees(out, count, degree)
        torch.mul(torch.nn.functional.silu(first[:, 0]), SILU_SCALE, out=scalars[:, 0])
        gates = torch.sigmoid(first[:, 1:]).mul_(SIGMOID_SCALE)
        for index, (part, other) in enumerate(zip(parts, others, strict=True)):
            torch.mul(part, gates[:, index, None], out=other)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        rows, ctx.count, ctx.degree = inputs
        ctx.save_for_backward(rows)
        ctx.save_for_forward(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        first, parts = _parts(rows, ctx.count, ctx.degree)
        scalar_grad, *grads = _degrees(grad.contiguous(), ctx.count, ctx.degree)
        out = torch.empty_like(rows)
        to_first, to_parts = _parts(out, ctx.count, ctx.degree)
        to_first[:, 0] = torch.ops.aten.silu_backward(scalar_grad[:, 0] * SILU_SCALE, first[:, 0])
        gates = torch.sigmoid(first[:, 1:])
        slopes = torch.ops.aten.sigmoid_backward(torch.full_like(gates, SIGMOID_SCALE), gates)
        gates.mul_(SIGMOID_SCALE)
        for index, (part, to_part, each) in enumerate(zip(parts, to_parts, grads, strict=True)):
            torch.mul(each, gates[:, index, None], out=to_part)
            torch.mul((each * part).sum(1), slopes[:, index], out=to_first[:, 1 + index])
        return out, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        (rows,) = ctx.saved_tensors
        first, parts = _parts(rows, ctx.count, ctx.degree)
        first_t, parts_t = _parts(tangent.contiguous(), ctx.count, ctx.degree)
        half = torch.sigmoid(first)
        moved = [SILU_SCALE * half[:, 0] * (1 + first[:, 0] * (1 - half[:, 0])) * first_t[:, 0]]
        for index, (part, part_t) in enumerate(zip(parts, parts_t, strict=True)):
            each = half[:, 1 + index, None]
            slope = each * (1 - each) * first_t[:, 1 + index, None]
            moved.append((SIGMOID_SCALE * (slope * part + each * part_t)).flatten(0, 1))
        return torch.cat(moved)


def _parts(rows: Tensor, count: int, degree: int) -> tuple[Tensor, list[Tensor]]:
    """Views of gate inputs: (count, 1 + degree, F) scalars and gates, and (count, 2l + 1, F) of each degree from 1."""
    head = count * (1 + degree)
    return rows[:head].view(count, 1 + degree, rows.shape[1]), _views(rows[head:], count, range(1, degree + 1))


def _degrees(rows: Tensor, count: int, degree: int) -> list[Tensor]:
    """Views (count, 2l + 1, F) of features, by degree."""
    return _views(rows, count, range(degree + 1))


def _views(rows: Tensor, count: int, degrees: range) -> list[Tensor]:
    sizes = [2 * each + 1 for each in degrees]
    parts = rows.split([count * size for size in sizes]) if sizes else ()
    return [part.view(count, size, rows.shape[1]) for part, size in zip(parts, sizes, strict=True)]
