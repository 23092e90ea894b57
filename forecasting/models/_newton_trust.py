"""Gradients through motion that may be chaotic: as large there as they are useless."""

from typing import Any

import torch
from torch import Tensor

from forecasting.models.aggregate import edge_sum

_OUTLIER = 3.0


class Trusted(torch.autograd.Function):
    """The value of the fine run (N, H, 3) with `trust` (B,) times the gradient of the coarse one."""

    @staticmethod
    def forward(ctx: Any, coarse: Tensor, fine: Tensor, trust: Tensor, graph: Tensor) -> Tensor:
        """(N, H, 3); graph (N,)."""
        ctx.save_for_backward(trust, graph)
        return fine.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """See the class."""
        trust, graph = ctx.saved_tensors
        return grads[0] * trust[graph][:, None, None], None, None, None


class Redescending(torch.autograd.Function):
    """The identity of (R, C) rows, whose gradient leaves out what is unusual.

    The gradient of a graph, with n its norm over all its rows, is multiplied by 1 / (1 + (n / n₀)²), n₀ three times the median of
    those in the batch that are not 0; where n is not finite it is 0.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, graph: Tensor, graphs: int) -> Tensor:
        """(R, C); graph (R,) of `graphs` in all."""
        ctx.save_for_backward(graph)
        ctx.graphs = graphs
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """See the class."""
        (graph,) = ctx.saved_tensors
        norm = edge_sum(grads[0].square().sum(1), graph, ctx.graphs).sqrt()
        usual = norm[(norm > 0) & norm.isfinite()]
        if not len(usual):
            return torch.zeros_like(grads[0]), None, None
        factor = 1 / (1 + (norm / (_OUTLIER * usual.median())).square())
        factor = torch.where(norm.isfinite(), factor, 0.0)[graph][:, None]
        return torch.where(factor > 0, grads[0] * factor, 0.0), None, None
