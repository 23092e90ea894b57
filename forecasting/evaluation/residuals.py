"""The residual of a package's model for one group, on graphs, and its error on moved copies."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.evaluation._trial import Trial, window_errors
from forecasting.graphs.batch import GraphBatch
from forecasting.packages.package import Package
from forecasting.symmetry.groups import LinearGroup
from forecasting.symmetry.residual import BatchFields, Typed, equivariance_error

if TYPE_CHECKING:
    from forecasting.evaluation.verdict import Settings

Float = NDArray[np.float64]
FAR = 10.0
"""Translations go so many times as far as a scene is large."""


def model_residual(
    trial: Trial, package: Package, group: LinearGroup, settings: "Settings"
) -> tuple[dict[str, float], float | None]:
    """Relative equivariance error with its 95 % interval over drawn elements, and the error [unit²] on those moved copies.

    Rotations are about the centre of places where the model knows places, else about any point.

    Args:
        trial: whose test graphs are moved; package: its model as it is deployed; group: drawn from.
        settings: how many windows and draws.
    """
    model = package.forecaster()
    batches = trial.few(settings.residual)
    fields = BatchFields.of(package.schema.specs)
    centre = np.zeros(3) if model.place is None else model.place.centre.double().numpy()
    rng = np.random.default_rng(settings.seed)
    seen: list[tuple[float, float]] = []

    def act(batch: GraphBatch, element: Float, offset: Float) -> GraphBatch:
        return fields.act(batch, element, offset + centre - element @ centre)

    def forecast(batch: GraphBatch) -> torch.Tensor:
        displacement = model(batch).displacement
        squared, count = window_errors(displacement, batch)
        seen.append((float(squared.sum()), float(count.sum())))
        return displacement

    found = equivariance_error(
        forecast, batches, act, Typed("1o"), group, settings.draws, rng, length=FAR * package.normalization.length
    )
    squared, count = np.array(seen[1:]).sum(0)
    error = squared / count * trial.unit2 if count else None
    return {"residual": found.value, "low": found.low, "high": found.high}, error
