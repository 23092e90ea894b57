"""The equivariance error of any function of typed tensors, over a group and at its generators."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.errors import NumericalError, UsageError
from forecasting.symmetry._batches import BatchFields, with_fields
from forecasting.symmetry._typed import Typed, TypedFields
from forecasting.symmetry.groups import LinearGroup

__all__ = [
    "BatchFields",
    "LieDerivative",
    "Residual",
    "Typed",
    "TypedFields",
    "equivariance_error",
    "equivariance_steps",
    "lie_derivative",
    "with_fields",
]

Array = NDArray[np.float64]
Inputs = TypeVar("Inputs")

RESAMPLES = 2000
CONFIDENCE = 0.95


class Action(Protocol[Inputs]):
    """Makes a transformed copy of inputs of any kind, for instance a graph batch, leaving the original as it is."""

    def __call__(self, inputs: Inputs, element: Array, offset: Array, /) -> Inputs:
        """Inputs moved by x -> element x + offset, with element (3, 3) orthogonal and offset (3,)."""
        ...


@dataclass(frozen=True)
class Residual:
    """A relative equivariance error over a group.

    Attributes:
        value: root mean square of `samples`: 0 is exact, √2 the error of an output that ignores the transform and has zero mean.
        low, high: 95 % bootstrap interval of `value` over the drawn transforms (inputs are taken as given).
        samples: (S,) relative error of each draw.
    """

    value: float
    low: float
    high: float
    samples: Array

    @classmethod
    def of(cls, samples: Array, rng: np.random.Generator) -> "Residual":
        """The residual of relative errors (S,), from one or several calls."""
        picked = samples[rng.integers(len(samples), size=(RESAMPLES, len(samples)))]
        low, high = np.quantile(np.sqrt((picked**2).mean(axis=1)), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return cls(float(np.sqrt((samples**2).mean())), float(low), float(high), samples)


@dataclass(frozen=True)
class LieDerivative:
    """A relative equivariance error per unit of an infinitesimal transform.

    Attributes:
        value: root of the sum of the squares of `rotations` and `shifts`.
        rotations: (n,) per generator of the group [1/rad].
        shifts: (k,) per translation of the group [1/length].
    """

    value: float
    rotations: Array
    shifts: Array


def equivariance_error(
    function: Callable[[Inputs], Tensor],
    inputs: Inputs,
    act: Action[Inputs],
    output: Typed,
    group: LinearGroup,
    samples: int,
    rng: np.random.Generator,
    length: float = 1.0,
) -> Residual:
    """Relative error e_s = |f(g_s x) − g_s f(x)| / |f(x)| over Haar-random elements g_s, as √(mean_s e_s²).

    Norms are over all rows and components of the output together; where translations act on the output, |f(x)| is that of the
    deviations from the mean position. For a linear f and white inputs the mean of |f(g x) − g f(x)|² is 2 |M − P_G M|².

    Args:
        function: of the inputs, deterministic.
        inputs: anything that `act` can move.
        act: moves inputs: `TypedFields.act` for named tensors, `BatchFields.act` for graph batches.
        output: how the group acts on the output.
        group: its elements are drawn, and offsets from its translations.
        samples: number of draws, at least 2.
        rng: of draws and bootstrap.
        length: standard deviation of the offsets along each axis.

    Raises:
        UsageError: if there are less than 2 samples.
        NumericalError: if an output is not finite, or zero where its transform is not.
    """
    steps = equivariance_steps(function, inputs, act, output, group, samples, rng, length)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Residual = end.value
            return found


def equivariance_steps(
    function: Callable[[Inputs], Tensor],
    inputs: Inputs,
    act: Action[Inputs],
    output: Typed,
    group: LinearGroup,
    samples: int,
    rng: np.random.Generator,
    length: float = 1.0,
) -> Generator[None, None, Residual]:
    """`equivariance_error` in steps of one call of the function each, so that other work can come between; returns the residual.

    Raises:
        UsageError, NumericalError: as `equivariance_error`.
    """
    if samples < 2:
        raise UsageError(f"an equivariance error needs at least 2 samples, found {samples}")
    elements, shifts = group.sample(rng, samples), group.shifts()
    offsets = rng.normal(scale=length, size=(samples, len(shifts))) @ shifts
    with torch.no_grad():
        plain = function(inputs)
        size = output.size(plain)
    errors = []
    for element, offset in zip(elements, offsets, strict=True):
        yield
        with torch.no_grad():  # not across a yield: whoever works between keeps gradients
            errors.append(torch.linalg.vector_norm(function(act(inputs, element, offset)) - output.act(plain, element, offset)))
    return Residual.of(_relative(torch.stack(errors), size), rng)


def lie_derivative(
    function: Callable[[Mapping[str, Tensor]], Tensor],
    inputs: Mapping[str, Tensor],
    fields: TypedFields,
    output: Typed,
    group: LinearGroup,
) -> LieDerivative:
    """Relative Lie derivative |J_f(x) A x − A' f(x)| / |f(x)| for every generator and every translation of the group.

    This is d/dt ρ'(g_t)⁻¹ f(ρ(g_t) x) at t = 0 (Gruver et al., ICLR 2023), one Jacobian-vector product in forward mode each.

    Args:
        function: of named tensors, differentiable in forward mode; for graph batches see `with_fields`.
        inputs: the tensors, in floating point where they turn.
        fields, output: how the group acts.
        group: with generators or translations.

    Raises:
        UsageError: if the group is finite.
        NumericalError: if an output is not finite, or zero where its derivative is not.
    """
    turns, shifts = group.generators(), group.shifts()
    if len(turns) + len(shifts) == 0:
        raise UsageError(f"{group} is finite: it has no Lie derivative, only an equivariance error")
    moves = [(turn, np.zeros(3)) for turn in turns] + [(np.zeros((3, 3)), shift) for shift in shifts]
    errors = []
    for generator, offset in moves:
        tangents = fields.tangent(inputs, generator, offset)
        moving = {name: inputs[name] for name in tangents}
        plain, moved, *_ = torch.func.jvp(lambda values: function({**inputs, **values}), (moving,), (tangents,))
        errors.append(torch.linalg.vector_norm(moved - output.tangent(plain, generator, offset)))
    found = _relative(torch.stack(errors), output.size(plain))
    return LieDerivative(float(np.linalg.norm(found)), found[: len(turns)], found[len(turns) :])


def _relative(errors: Tensor, size: Tensor) -> Array:
    """(S,) errors over the size of the output; 0 where both are 0."""
    values, scale = errors.detach().double().cpu().numpy(), size.item()
    if not (np.isfinite(values).all() and np.isfinite(scale)):
        raise NumericalError("the equivariance error is not finite: the function returned NaN or infinity")
    if scale == 0 and values.any():
        raise NumericalError("no relative equivariance error: the output is zero, but that of transformed inputs is not")
    return values / (scale or 1.0)
