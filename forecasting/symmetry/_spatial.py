"""P_G for representations given as matrices instead of irreps."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forecasting.errors import UsageError
from forecasting.symmetry.groups import LinearGroup

Array = NDArray[np.float64]
Representation = Callable[[Array], Array]


class SpatialProjector(nn.Module):
    """P M = Σ_g w_g ρ'(g)ᵀ M ρ(g): the spatial domain of Berndt & Stuehmer (arXiv 2601.05028), for orthogonal ρ, ρ'.

    Costs 2 |G| dim_out dim_in (dim_out + dim_in) floating-point operations; `Projector` is hundreds of times faster on irreps.

    Args:
        matrices_in: (q, dim_in, dim_in) ρ(g) of all elements of a finite group, or of the nodes of a quadrature.
        matrices_out: (q, dim_out, dim_out) ρ'(g).
        weights: (q,) of the quadrature, summing to 1; equal if left out.

    Raises:
        UsageError: if the shapes do not fit.
    """

    before: Tensor
    after: Tensor

    def __init__(self, matrices_in: Tensor, matrices_out: Tensor, weights: Tensor | None = None) -> None:
        super().__init__()
        count = len(matrices_in)
        if len(matrices_out) != count or (weights is not None and weights.shape != (count,)):
            raise UsageError(f"one matrix in, one out and one weight per element: found {count} in, {len(matrices_out)} out")
        scale = matrices_in.new_full((count,), 1 / count) if weights is None else weights
        self.register_buffer("before", matrices_in, persistent=False)
        self.register_buffer("after", matrices_out * scale[:, None, None], persistent=False)

    @classmethod
    def over(
        cls, group: LinearGroup, matrices_in: Representation, matrices_out: Representation, degree: int
    ) -> "SpatialProjector":
        """For a compact group, by a quadrature that is exact up to a degree, in float64.

        Args:
            group: to average over.
            matrices_in, matrices_out: map elements (q, 3, 3) to orthogonal matrices (q, d, d).
            degree: of the polynomials ρ'(g)ᵀ M ρ(g) in the entries of g: l + l' for irreps.
        """
        elements, weights = group.quadrature(degree)
        before, after = torch.from_numpy(matrices_in(elements)), torch.from_numpy(matrices_out(elements))
        return cls(before, after, torch.from_numpy(weights))

    def project(self, matrix: Tensor) -> Tensor:
        """P M of `matrix` (…, dim_out, dim_in)."""
        return (self.after.mT @ matrix.unsqueeze(-3) @ self.before).sum(-3)

    def residual(self, matrix: Tensor) -> Tensor:
        """M − P M of `matrix` (…, dim_out, dim_in)."""
        return matrix - self.project(matrix)

    def squared_norm(self, matrix: Tensor) -> Tensor:
        """(…) |P M|² (Frobenius)."""
        return self.project(matrix).square().sum((-2, -1))

    def squared_residual(self, matrix: Tensor) -> Tensor:
        """(…) |M − P M|² (Frobenius), from the explicit residual."""
        return self.residual(matrix).square().sum((-2, -1))
