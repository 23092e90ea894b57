"""Lie derivatives of a forecaster: exact in forward mode where it has one, by central differences where it has not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.errors import NumericalError
from forecasting.graphs.batch import GraphBatch
from forecasting.models.base import Forecaster
from forecasting.symmetry.groups import LinearGroup
from forecasting.symmetry.residual import BatchFields, Typed, lie_derivative, with_fields

Float = NDArray[np.float64]
OUTPUT = Typed("1o")
STEP = 1e-4
"""[rad] or [unit]: half of the step; in float64 its error is about 1e-9 of the third derivative, and 1e-12 of the value."""

Groups = Sequence[LinearGroup]
Slopes = Callable[[Forecaster, GraphBatch, Groups], Float]


@dataclass(frozen=True)
class Method:
    """A way to differentiate.

    Attributes:
        name: for people.
        slopes: (n,) |d/dt ρ'(g_t)⁻¹ f(ρ(g_t) x)| at t = 0 of a batch [L/rad, L/unit], for every generator and then every
            translation of each group.
    """

    name: str
    slopes: Slopes


def exact(model: Forecaster, batch: GraphBatch, groups: Groups) -> Float:
    """By `forecasting.symmetry.residual.lie_derivative`: one Jacobian-vector product in forward mode for each generator."""
    fields = BatchFields.of(model.schema.specs)

    def moving(values: Mapping[str, Tensor]) -> Tensor:
        return _displacement(model, with_fields(batch, values))

    with torch.no_grad():
        size = OUTPUT.size(_displacement(model, batch)).item()
        parts = [
            lie_derivative(
                lambda values: _displacement(model, with_fields(batch, values)),
                fields.values(batch),
                fields.fields,
                OUTPUT,
                group,
            )
            for group in groups
        ]
    return np.concatenate([each for part in parts for each in (part.rotations, part.shifts)]) * (size or 1.0)


def differences(model: Forecaster, batch: GraphBatch, groups: Groups) -> Float:
    """By |ρ'(g_{−t}) f(ρ(g_t) x) − ρ'(g_t) f(ρ(g_{−t}) x)| / 2t with t = `STEP`."""
    fields, moves, found = BatchFields.of(model.schema.specs), [], []
    for group in groups:
        moves += [(_exponential(STEP * turn), np.zeros(3)) for turn in group.generators()]
        moves += [(np.eye(3), STEP * shift) for shift in group.shifts()]
    with torch.no_grad():
        for element, offset in moves:
            ahead = OUTPUT.act(_displacement(model, fields.act(batch, element, offset)), element.T, offset)
            behind = OUTPUT.act(_displacement(model, fields.act(batch, element.T, -offset)), element, offset)
            found.append(torch.linalg.vector_norm(ahead - behind).item() / (2 * STEP))
    return np.array(found)


EXACT = Method("forward mode", exact)
DIFFERENCES = Method(f"central differences of {STEP:g}", differences)


def method_for(model: Forecaster, batch: GraphBatch, groups: Groups) -> Method:
    """Forward mode where every part of the model has one and it gives finite numbers, otherwise differences."""
    try:
        exact(model, batch, groups)
    except (RuntimeError, NotImplementedError, NumericalError):
        return DIFFERENCES
    return EXACT


def output_size(model: Forecaster, batch: GraphBatch) -> float:
    """[L] norm of all displacements of a batch."""
    with torch.no_grad():
        return OUTPUT.size(_displacement(model, batch)).item()


def _displacement(model: Forecaster, batch: GraphBatch) -> Tensor:
    return model(batch).displacement


def _exponential(generator: Float) -> Float:
    matrix: Float = torch.linalg.matrix_exp(torch.from_numpy(np.ascontiguousarray(generator))).numpy()
    return matrix
