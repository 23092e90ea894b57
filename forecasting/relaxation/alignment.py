"""A relaxed network turned as a whole: f_R(x) = R f(R⁻¹ x), and the R with which it forecasts best."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from forecasting.graphs.batch import GraphBatch
from forecasting.models.base import Forecaster
from forecasting.models.relaxed import place_layers, split_layers
from forecasting.symmetry._representations import irreps_matrices
from forecasting.symmetry.groups import LinearGroup
from forecasting.symmetry.residual import BatchFields

Float = NDArray[np.float64]
STEP = 0.02
"""[rad] of the finite differences."""
LARGEST = 0.2
"""[rad] most that one round of an alignment turns."""
NOTICED = 1e-4
"""Change of forecasts per radian, relative to their size, below which it is rounding."""


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
    """The group about the turned line; one that names no line is left as it is."""
    known: dict[str, Any] = dict(vars(group))
    lines = {name: tuple((rotation @ np.array(known[name])).tolist()) for name in ("direction", "normal") if name in known}
    return type(group)(**(known | lines)) if lines else group


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
        normal, slope, size = np.zeros((3, 3)), np.zeros(3), 0.0
        scores: dict[int, Float] = {}
        for batch in batches:
            error, columns, squares = _linearized(model, batch, fields, rotation)
            size += squares
            normal += np.einsum("nki,nkj->ij", columns, columns)
            per_row = np.einsum("nki,nk->ni", columns, error)
            slope += per_row.sum(0)
            scene = batch.window[batch.batch, 0].numpy()
            for one in np.unique(scene):
                scores[int(one)] = scores.get(int(one), np.zeros(3)) + per_row[scene == one].sum(0)
        least = NOTICED**2 * size / max(float(np.linalg.norm(normal, 2)), 1e-300)
        inverse = np.linalg.pinv(normal, rcond=max(1e-3, least), hermitian=True)
        step = inverse @ slope
        step *= min(1.0, LARGEST / max(float(np.linalg.norm(step)), 1e-12))
        rotation = Rotation.from_rotvec(step).as_matrix() @ rotation
        stacked = np.stack(list(scores.values()))
        covariance = inverse @ (stacked.T @ stacked) @ inverse
    return Alignment(rotation, covariance)


def _linearized(model: Forecaster, batch: GraphBatch, fields: BatchFields, rotation: Float) -> tuple[Float, Float, float]:
    """(N, H·3) what is missing at R, (N, H·3, 3) the change per turn about x, y and z, and Σ |f|², of the first hypothesis."""

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
    changes = np.stack([column.reshape(len(error), -1) for column in columns], axis=-1)
    return error.reshape(len(error), -1), changes, float((plain**2).sum())
