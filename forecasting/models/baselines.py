"""Forecasters that any model must beat."""

import torch
from torch import Tensor, nn

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.aggregate import graph_mean
from forecasting.models.base import MODELS, Forecaster


def constant_velocity(batch: GraphBatch) -> Tensor:
    """(N, H, 3) [L] way at the velocity of the anchor frame; 0 where that is unknown."""
    return batch.velocity[:, -1, None] * batch.lead[batch.batch][..., None]


@MODELS.register("static")
class Static(Forecaster):
    """Nothing moves."""

    needs_training = False

    def displacement(self, batch: GraphBatch) -> Tensor:
        """See `Forecaster.displacement`."""
        return torch.zeros_like(batch.target)


@MODELS.register("constant_velocity")
class ConstantVelocity(Forecaster):
    """Every node keeps its latest velocity."""

    needs_training = False

    def displacement(self, batch: GraphBatch) -> Tensor:
        """See `Forecaster.displacement`."""
        return constant_velocity(batch)


@MODELS.register("mean_velocity")
class MeanVelocity(Forecaster):
    """Every node moves with the mean latest velocity of its graph ("mean body velocity")."""

    needs_training = False

    def displacement(self, batch: GraphBatch) -> Tensor:
        """See `Forecaster.displacement`."""
        mean = graph_mean(batch.velocity[:, -1], batch, batch.velocity_valid[:, -1])
        return mean[batch.batch][:, None] * batch.lead[batch.batch][..., None]


@MODELS.register("linear_dynamics")
class LinearDynamics(Forecaster):
    """One learned number per velocity channel and horizon step: x + Σ_c a_hc v_c (EGNN, Satorras et al. 2021, appendix).

    Starts as constant velocity.
    """

    def __init__(self, schema: GraphSchema) -> None:
        super().__init__(schema)
        self.weight = nn.Parameter(torch.zeros(schema.horizon, schema.velocities))

    def displacement(self, batch: GraphBatch) -> Tensor:
        """See `Forecaster.displacement`."""
        return constant_velocity(batch) + torch.einsum("hv,nvc->nhc", self.weight, batch.velocity)
