"""Gradients through motion that may be chaotic: as large there as they are useless."""

from typing import Any

import torch
from torch import Tensor

from forecasting.models.aggregate import edge_sum

_USUAL = 0.9


def trusted(coarse: Tensor, fine: Tensor, trust: Tensor, graph: Tensor) -> Tensor:
    """(N, H, 3) the value of the fine run with `trust` (B,) times the gradient of the coarse one; graph (N,)."""
    apply: Any = _Trusted.apply
    out: Tensor = apply(coarse, fine, trust, graph)
    return out


def redescending(values: Tensor, graph: Tensor, graphs: int) -> Tensor:
    """The identity of (R, C) rows, each of a graph (R,), whose gradient leaves out what is unusual.

    The gradient of a graph, with n its norm over all its rows, is multiplied by 1 / (1 + (n / n₀)²), n₀ the 90 % quantile of
    those in the batch that are not 0; where n is not finite it is 0. A lower quantile learns quiet motion sooner, and never
    learns what close encounters say of short distances.
    """
    apply: Any = _Redescending.apply
    out: Tensor = apply(values, graph, graphs)
    return out


class _Trusted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, coarse: Tensor, fine: Tensor, trust: Tensor, graph: Tensor) -> Tensor:
        ctx.save_for_backward(trust, graph)
        return fine.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        trust, graph = ctx.saved_tensors
        return grads[0] * trust[graph][:, None, None], None, None, None


class _Redescending(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, graph: Tensor, graphs: int) -> Tensor:
        ctx.save_for_backward(graph)
        ctx.graphs = graphs
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (graph,) = ctx.saved_tensors
        norm = edge_sum(grads[0].square().sum(1), graph, ctx.graphs).sqrt()
        usual = norm[(norm > 0) & norm.isfinite()]
        if not len(usual):
            return torch.zeros_like(grads[0]), None, None
        factor = 1 / (1 + (norm / usual.quantile(_USUAL)).square())
        factor = torch.where(norm.isfinite(), factor, 0.0)[graph][:, None]
        return torch.where(factor > 0, grads[0] * factor, 0.0), None, None
