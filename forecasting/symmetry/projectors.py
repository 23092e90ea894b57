"""Exact projectors onto the equivariant linear maps between irreps, and the penalties made of them.

P_G M = ∫_G D'(g)ᵀ M D(g) dg (the Haar projector of Berndt & Stuehmer, arXiv 2601.05028; Q Qᵀ in Kim et al., PER, ICML 2023) is
computed with orthonormal bases B^k of the equivariant maps between two irreps, so that one small matrix serves all channels:
c[k, u', u] = ⟨B^k, M[u', ·, u, ·]⟩, P_G M = Σ_k c[k] B^k, |P_G M|² = |c|².
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.symmetry._chain import Chain
from forecasting.symmetry._hom import nested_parts
from forecasting.symmetry._norms import frobenius, spectral, weighted
from forecasting.symmetry._spatial import SpatialProjector
from forecasting.symmetry._spectrum import RankSpectrum
from forecasting.symmetry._split import Coefficients
from forecasting.symmetry.groups import LinearGroup

Array = NDArray[np.float64]

__all__ = [
    "Chain",
    "Projector",
    "ProjectorBank",
    "RankSpectrum",
    "SpatialProjector",
    "frobenius",
    "spectral",
    "weighted",
    "with_bias",
]


class Projector(Coefficients):
    """P_G on matrices between irreps, and what is left.

    Args:
        group: closed subgroup of O(3); its translations do not act on features.
        irreps_in, irreps_out: e3nn notation, any parity; a matrix is (…, dim_out, dim_in), block [u', m', u, m].
        bias: whether matrices have a last column, the bias: an input 0e (see `with_bias`).

    Raises:
        UsageError: if irreps cannot be read; matrices of another shape are refused by every method.
    """

    def __init__(self, group: LinearGroup, irreps_in: str, irreps_out: str, bias: bool = False) -> None:
        parts = partial(nested_parts, (group,))
        super().__init__(f"{irreps_in}+1x0e" if bias else irreps_in, irreps_out, parts, 2)
        self.group = group

    @property
    def dimension(self) -> int:
        """Of Hom_G(V, V')."""
        return self.dimensions[0]

    @property
    def codimension(self) -> int:
        """Of the maps that are not equivariant: dim Hom(V, V') − dim Hom_G(V, V')."""
        return self.dimensions[1]

    def project(self, matrix: Tensor) -> Tensor:
        """P M, of the shape (…, dim_out, dim_in) and dtype of `matrix`."""
        return self.component(matrix, 0)

    def residual(self, matrix: Tensor) -> Tensor:
        """M − P M, of the shape (…, dim_out, dim_in) and dtype of `matrix`, from its own basis."""
        return self.component(matrix, 1)

    def squared_norm(self, matrix: Tensor) -> Tensor:
        """(…) |P M|² (Frobenius)."""
        return self.squared_norms(matrix)[..., 0]

    def squared_residual(self, matrix: Tensor) -> Tensor:
        """(…) |M − P M|² (Frobenius), from coefficients in the orthogonal complement, so that nothing cancels."""
        return self.squared_norms(matrix)[..., 1]


class ProjectorBank(Coefficients):
    """|M − P_G M|² for several groups in one pass; nested groups share their coefficients.

    Args:
        groups: any, nested or not.
        irreps_in, irreps_out, bias: as for `Projector`.
    """

    members: Tensor

    def __init__(self, groups: Sequence[LinearGroup], irreps_in: str, irreps_out: str, bias: bool = False) -> None:
        named = tuple(groups)
        chains = _chains(named)

        def parts(source: tuple[int, int], target: tuple[int, int]) -> list[Array]:
            return [part for chain in chains for part in nested_parts(tuple(named[k] for k in chain), source, target)[1:]]

        count = sum(map(len, chains))
        super().__init__(f"{irreps_in}+1x0e" if bias else irreps_in, irreps_out, parts, count)
        self.groups = named
        members, first = torch.zeros(len(groups), count), 0
        for chain in chains:
            for place, group in enumerate(chain):
                members[group, first + place : first + len(chain)] = 1
            first += len(chain)
        self.register_buffer("members", members, persistent=False)

    def squared_residuals(self, matrix: Tensor) -> Tensor:
        """(…, groups) |M − P_G M|² of a matrix (…, dim_out, dim_in) for each group, in order."""
        norms = self.squared_norms(matrix)
        return norms @ self.members.to(norms.dtype).T

    def residuals_of(self, matrices: Sequence[Tensor]) -> Tensor:
        """(layers, groups) |M − P_G M|² of several matrices (dim_out, dim_in), in one pass."""
        return self.squared_residuals(torch.stack(tuple(matrices)))


def with_bias(weight: Tensor, bias: Tensor) -> Tensor:
    """(…, dim_out, dim_in + 1) of a weight (…, dim_out, dim_in) and a bias (…, dim_out): the bias as a column with input 0e."""
    return torch.cat([weight, bias.unsqueeze(-1)], dim=-1)


def _chains(groups: tuple[LinearGroup, ...]) -> list[list[int]]:
    """Indices of the groups as few nested chains, larger groups first, each put into the first chain that takes it."""
    chains: list[list[int]] = []
    for index, group in enumerate(groups):
        for chain in chains:
            place = sum(groups[other].contains(group) for other in chain)
            if all(group.contains(groups[other]) for other in chain[place:]):
                chain.insert(place, index)
                break
        else:
            chains.append([index])
    return chains
