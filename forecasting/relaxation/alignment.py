"""A relaxed network turned as a whole: f_R(x) = R f(R⁻¹ x), and the R with which it forecasts best."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from forecasting.graphs.batch import GraphBatch
from forecasting.models.base import Forecaster
from forecasting.models.relaxed import place_layers, split_layers
from forecasting.symmetry._representations import irreps_matrices
from forecasting.symmetry.groups import LinearGroup, parse_group
from forecasting.symmetry.residual import BatchFields

Float = NDArray[np.float64]
STEP = 0.02
"""[rad] of the finite differences."""
LARGEST = 0.2
"""[rad] most that one alignment turns."""


def turned(model: Forecaster, rotation: Float) -> Forecaster:
    """A copy of a relaxed network whose maps are turned by `rotation` (3, 3): what is about n there is about R n here.

    The strict layers, equivariant as they are, stay; so R f(R⁻¹ x) is what the copy forecasts, places turning about their centre.
    """
    found = copy.deepcopy(model)
    for layer in split_layers(found).values():
        before, after, _ = layer.typed
        source, target = (irreps_matrices(irreps, rotation[None])[0] for irreps in (before, after))
        with torch.no_grad():
            matrix = layer.matrix.double().numpy()
            layer.matrix.copy_(torch.from_numpy(target @ matrix @ source.T))
        layer.split_along([_turned(group, rotation).name for group in layer.chain.groups])
    for place in place_layers(found).values():
        place.across.copy_(torch.from_numpy(rotation @ place.across.double().numpy() @ rotation.T))
    return found


def _turned(group: LinearGroup, rotation: Float) -> LinearGroup:
    axis = group.axis
    if axis is None or group.contains(parse_group("O_h")):
        return group
    head = group.name.rpartition("(")[0]
    return parse_group(f"{head}({','.join(f'{value:.9f}' for value in rotation @ axis)})")


@dataclass(frozen=True)
class Alignment:
    """The turn with which a network forecasts best.

    Attributes:
        rotation: (3, 3) R; sure: (3, 3) covariance [rad²] of the turn's rotation vector, by scenes.
    """

    rotation: Float
    sure: Float

    def degrees(self, axis: Float) -> float:
        """Half width [°] of the 95 % interval of the direction R n, for an axis n (3,)."""
        across = np.eye(3) - np.outer(axis, axis)
        return float(np.degrees(1.96 * np.sqrt(max(np.linalg.eigvalsh(across @ self.sure @ across)[-1], 0.0))))


@torch.no_grad()
def align(model: Forecaster, batches: Sequence[GraphBatch], rounds: int = 2) -> Alignment:
    """Gauss-Newton for the rotation vector ω that makes Σ |R f(R⁻¹ x) − y|² least; turns that f does not notice are left out.

    Args:
        model: any forecaster; batches: with targets; rounds: of Gauss-Newton.
    """
    fields = BatchFields.of(model.schema.specs)
    rotation, covariance = np.eye(3), np.zeros((3, 3))
    for _ in range(rounds):
        normal, slope, scores = np.zeros((3, 3)), np.zeros(3), []
        for batch in batches:
            error, columns = _linearized(model, batch, fields, rotation)
            normal += np.einsum("nki,nkj->ij", columns, columns)
            per_row = np.einsum("nki,nk->ni", columns, error)
            slope += per_row.sum(0)
            of_graph = np.zeros((batch.num_graphs, 3))
            np.add.at(of_graph, batch.batch.numpy(), per_row)
            scores.append(of_graph)
        inverse = np.linalg.pinv(normal, rcond=1e-3, hermitian=True)
        step = inverse @ slope
        step *= min(1.0, LARGEST / max(float(np.linalg.norm(step)), 1e-12))
        rotation = Rotation.from_rotvec(step).as_matrix() @ rotation
        stacked = np.concatenate(scores)
        covariance = inverse @ (stacked.T @ stacked) @ inverse
    return Alignment(rotation, covariance)


def _linearized(model: Forecaster, batch: GraphBatch, fields: BatchFields, rotation: Float) -> tuple[Float, Float]:
    """(N, H·3) what is missing at R, and (N, H·3, 3) its change per turn about x, y and z, of the first hypothesis."""

    def forecast(turn: Float) -> Float:
        whole = turn @ rotation
        moved = model(fields.act(batch, whole.T, np.zeros(3))).displacement[:, 0].double().numpy()
        back: Float = moved @ whole.T
        return back * batch.target_valid.numpy()[..., None]

    plain = forecast(np.eye(3))
    turns = [Rotation.from_rotvec(sign * STEP * axis).as_matrix() for axis in np.eye(3) for sign in (1, -1)]
    moved = [forecast(turn) for turn in turns]
    columns = [(plus - minus) / (2 * STEP) for plus, minus in zip(moved[::2], moved[1::2], strict=True)]
    error = batch.target.double().numpy() * batch.target_valid.numpy()[..., None] - plain
    return error.reshape(len(error), -1), np.stack([column.reshape(len(error), -1) for column in columns], axis=-1)
