"""Norms of linear maps, for penalties on what a projector keeps or leaves."""

import torch
from torch import Tensor


def frobenius(matrix: Tensor) -> Tensor:
    """(…) Frobenius norm of matrices (…, r, c), with gradient 0 at 0; one pass over the entries."""
    return torch.linalg.vector_norm(matrix, dim=(-2, -1))


def spectral(matrix: Tensor) -> Tensor:
    """(…) largest singular value of matrices (…, r, c), by a full singular value decomposition: O(r c min(r, c)).

    Its gradient is that of one leading pair of singular vectors, a subgradient where several share the value.
    """
    return torch.linalg.matrix_norm(matrix, 2)


def weighted(matrix: Tensor, covariance: Tensor) -> Tensor:
    """(…) |M S^{1/2}|² = tr(M S Mᵀ) of matrices (…, r, c): the mean of |M x|² over inputs with E[x xᵀ] = S (c, c).

    Given a residual M − P M this is the penalty that real activations feel (half the sampled one where S commutes with G).
    """
    return (matrix @ covariance * matrix).sum((-2, -1))
