"""A brief refit of a trained network: the task alone, no prices, the same steps for every network that is compared."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from forecasting.errors import NumericalError
from forecasting.graphs.batch import GraphBatch
from forecasting.models.base import Forecaster
from forecasting.objectives.losses import LOSSES


def refit(
    model: Forecaster,
    batches: Sequence[GraphBatch],
    *,
    epochs: int,
    learning_rate: float,
    loss: str = "mse",
    clip_norm: float | None = 1.0,
    done: Callable[[], None] | None = None,
) -> None:
    """Train `model` in place with Adam, the rate falling to 0 as a cosine; nothing is random.

    Args:
        model: trained before; batches: taken in order, epoch after epoch.
        epochs, learning_rate, loss, clip_norm: as in training; done: called after every step.

    Raises:
        NumericalError: if the loss or its gradient leaves the finite numbers; the step is not taken.
    """
    parameters = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    steps, cost = epochs * len(batches), LOSSES[loss]
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        batch = batches[step % len(batches)]
        optimizer.zero_grad()
        value = cost(model(batch), batch, model.schema.dim)
        if not torch.isfinite(value):
            raise NumericalError(f"step {step} of a refit: the loss became {value.item()}; lower the learning rate")
        value.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(parameters, float("inf") if clip_norm is None else clip_norm)
        if not torch.isfinite(norm):
            raise NumericalError(f"step {step} of a refit: the gradient became {norm.item()}; lower the learning rate")
        optimizer.step()
        if done:
            done()
    model.eval()
