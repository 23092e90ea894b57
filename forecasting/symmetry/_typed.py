"""Tensors whose last axis holds irreps, and how group elements and generators act on them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.errors import UsageError, did_you_mean
from forecasting.symmetry._representations import irreps_generators, irreps_matrices
from forecasting.symmetry.transforms import irreps_dim, parse_irreps

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Typed:
    """How a group acts on one tensor (…, components): x -> D(g) x, then + t where translations act.

    Attributes:
        irreps: of the last axis, e3nn notation; all 0e means that nothing acts, whatever the shape.
        translates: whether translations act, which takes irreps 1o only (positions).

    Raises:
        UsageError: if the irreps cannot be read or cannot be translated.
    """

    irreps: str
    translates: bool = False

    def __post_init__(self) -> None:
        if self.translates and {term[1:] for term in parse_irreps(self.irreps)} != {(1, -1)}:
            raise UsageError(f"translations act on positions (1o), not on '{self.irreps}'")

    @property
    def is_invariant(self) -> bool:
        """Whether nothing acts: scalars only."""
        return all(term[1:] == (0, 1) for term in parse_irreps(self.irreps))

    def act(self, values: Tensor, element: Array, offset: Array) -> Tensor:
        """Of an orthogonal matrix (3, 3) and a translation (3,)."""
        return values if self.is_invariant else self._moved(values, irreps_matrices(self.irreps, element[None])[0], offset)

    def tangent(self, values: Tensor, generator: Array, offset: Array) -> Tensor:
        """Of an antisymmetric matrix (3, 3) and a translation (3,): d/dt of `act` along exp(t A), t · offset, at t = 0."""
        if self.is_invariant:
            return torch.zeros_like(values)
        return self._moved(values, irreps_generators(self.irreps, generator[None])[0], offset)

    def size(self, values: Tensor) -> Tensor:
        """() norm of the values; where translations act, of their deviations from the mean position: no origin matters."""
        if self.translates:
            points = values.reshape(-1, 3)
            values = points - points.mean(0)
        return torch.linalg.vector_norm(values)

    def _moved(self, values: Tensor, matrix: Array, offset: Array) -> Tensor:
        if values.shape[-1] != irreps_dim(self.irreps):
            raise UsageError(f"a tensor {tuple(values.shape)} does not hold the irreps '{self.irreps}' in its last axis")
        moved = values @ torch.from_numpy(np.ascontiguousarray(matrix.T)).to(values)
        return moved + torch.from_numpy(np.tile(offset, values.shape[-1] // 3)).to(values) if self.translates else moved


@dataclass(frozen=True)
class TypedFields:
    """How a group acts on named tensors; those without irreps here stay as they are.

    Attributes:
        irreps: name -> irreps of the last axis.
        translates: names of the tensors on which translations act.

    Raises:
        UsageError: if a translated name has no irreps.
    """

    irreps: Mapping[str, str]
    translates: Collection[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        for name in self.translates:
            if name not in self.irreps:
                raise UsageError(f"translations act on '{name}', which has no irreps; {did_you_mean(name, self.irreps)}")

    def act(self, values: Mapping[str, Tensor], element: Array, offset: Array) -> dict[str, Tensor]:
        """Of an orthogonal matrix (3, 3) and a translation (3,)."""
        return {**values, **{name: self._of(name).act(self._pick(values, name), element, offset) for name in self.irreps}}

    def tangent(self, values: Mapping[str, Tensor], generator: Array, offset: Array) -> dict[str, Tensor]:
        """Of an antisymmetric matrix (3, 3) and a translation (3,), for the tensors on which something acts."""
        turning = {name: self._of(name) for name in self.irreps if not self._of(name).is_invariant}
        return {name: typed.tangent(self._pick(values, name), generator, offset) for name, typed in turning.items()}

    def _of(self, name: str) -> Typed:
        return Typed(self.irreps[name], name in self.translates)

    def _pick(self, values: Mapping[str, Tensor], name: str) -> Tensor:
        if name not in values:
            raise UsageError(f"there is no input '{name}'; {did_you_mean(name, values)}")
        return values[name]
