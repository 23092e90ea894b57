"""Gradients of a forecast that two runs disagree about."""

from typing import Any

import torch
from torch import Tensor

from forecasting.models.aggregate import edge_sum

_OUTLIER = 3.0


class Trusted(torch.autograd.Function):
    """The value of the fine run with the gradient of the coarse one, as far as it can be trusted.

    Where motion is chaotic, gradients are as large as they are useless, and squared errors are largest there. So the gradient
    of a graph is multiplied by `trust`, and by 1 / (1 + (n / n₀)²) with n its norm and n₀ three times the median of the batch (a
    redescending estimator). The value, and so what a model forecasts, knows nothing of either.
    """

    @staticmethod
    def forward(ctx: Any, coarse: Tensor, fine: Tensor, trust: Tensor, graph: Tensor) -> Tensor:
        """(N, H, 3) `fine`; trust (B,), graph (N,)."""
        ctx.save_for_backward(trust, graph)
        return fine.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """See the class."""
        trust, graph = ctx.saved_tensors
        norm = edge_sum(grads[0].square().sum((1, 2)), graph, len(trust)).sqrt()
        usual = _OUTLIER * norm.median().clamp(min=torch.finfo(norm.dtype).tiny)
        factor = trust / (1 + (norm / usual).square())
        return grads[0] * factor[graph][:, None, None], None, None, None
