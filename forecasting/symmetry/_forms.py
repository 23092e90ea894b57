"""Quadratic forms of matrices with their derivatives of every order, which are made of the same two operations.

With orthogonal projectors P_k on matrices W: ⟨V, W⟩_k = ⟨V, P_k W⟩ and the combination W, w -> Σ_k w_k P_k W. The derivative of
|P_k W|² is 2 P_k W, and everything is self-adjoint; so a backward pass is one combination, and scatters nothing.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from forecasting.signed_function import signed


class Forms(Protocol):
    """The two operations, on plain tensors; compiled code differentiates through them."""

    def inner(self, first: Tensor, second: Tensor) -> Tensor:
        """(L, K) ⟨V, P_k W⟩ of matrices (L, dim_out, dim_in); the same tensor twice gives squared norms."""
        ...

    def combined(self, stack: Tensor, weights: Tensor) -> Tensor:
        """(L, dim_out, dim_in) Σ_k w_k P_k W of matrices (L, dim_out, dim_in) and weights (L, K)."""
        ...


def squared_norms(forms: Forms, stack: Tensor) -> Tensor:
    """(L, K) |P_k W|² of matrices (L, dim_out, dim_in)."""
    return forms.inner(stack, stack) if torch.compiler.is_compiling() else _applied(_SquaredNorms, stack, forms)


def combination(forms: Forms, stack: Tensor, weights: Tensor) -> Tensor:
    """(L, dim_out, dim_in) Σ_k w_k P_k W of matrices (L, dim_out, dim_in) and weights (L, K)."""
    if torch.compiler.is_compiling():
        return forms.combined(stack, weights)
    return _applied(_Combination, stack, weights, forms)


def _inner(forms: Forms, first: Tensor, second: Tensor) -> Tensor:
    return _applied(_Inner, first, second, forms)


def _applied(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    found: Tensor = function.apply(*arguments)  # type: ignore[no-untyped-call]
    return found


class _Form(torch.autograd.Function):
    """Of tensors, and last of `Forms`."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.forms = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)


@signed
class _SquaredNorms(_Form):
    @staticmethod
    def forward(stack: Tensor, forms: Forms) -> Tensor:
        return forms.inner(stack, stack)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        (stack,) = ctx.saved_tensors
        return combination(ctx.forms, stack, 2 * slopes[0]), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (stack,) = ctx.saved_tensors
        return 2 * _inner(ctx.forms, stack, tangents[0])

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], stack: Tensor, forms: Forms) -> tuple[Tensor, int]:
        return _over(lambda values: squared_norms(forms, values), info, dims, stack)


@signed
class _Combination(_Form):
    @staticmethod
    def forward(stack: Tensor, weights: Tensor, forms: Forms) -> Tensor:
        return forms.combined(stack, weights)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        stack, weights = ctx.saved_tensors
        back = combination(ctx.forms, slopes[0], weights) if ctx.needs_input_grad[0] else None
        return back, _inner(ctx.forms, slopes[0], stack) if ctx.needs_input_grad[1] else None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        stack, weights = ctx.saved_tensors
        moves = [combination(ctx.forms, tangents[0], weights)] if tangents[0] is not None else []
        moves += [combination(ctx.forms, stack, tangents[1])] if tangents[1] is not None else []
        return sum(moves[1:], moves[0])

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], stack: Tensor, weights: Tensor, forms: Forms) -> tuple[Tensor, int]:
        return _over(lambda *values: combination(forms, *values), info, dims, stack, weights)


@signed
class _Inner(_Form):
    @staticmethod
    def forward(first: Tensor, second: Tensor, forms: Forms) -> Tensor:
        return forms.inner(first, second)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        first, second = ctx.saved_tensors
        back = combination(ctx.forms, second, slopes[0]) if ctx.needs_input_grad[0] else None
        return back, combination(ctx.forms, first, slopes[0]) if ctx.needs_input_grad[1] else None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        first, second = ctx.saved_tensors
        moves = [_inner(ctx.forms, tangents[0], second)] if tangents[0] is not None else []
        moves += [_inner(ctx.forms, first, tangents[1])] if tangents[1] is not None else []
        return sum(moves[1:], moves[0])

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], first: Tensor, second: Tensor, forms: Forms) -> tuple[Tensor, int]:
        return _over(lambda *values: _inner(forms, *values), info, dims, first, second)


def _over(function: Callable[..., Tensor], info: Any, dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, int]:
    """A mapped axis is more matrices."""
    size = info.batch_size
    whole = [
        tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip(tensors, dims, strict=False)
    ]
    found = function(*(tensor.flatten(0, 1) for tensor in whole))
    return found.view(size, -1, *found.shape[1:]), 0
