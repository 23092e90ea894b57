"""The components of maps between two irreps that families mix: gathered, multiplied with a basis, and put back."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from forecasting.symmetry._constants import Constants
from forecasting.symmetry._families import Families
from forecasting.symmetry._runs import Term, places_of


class Mixed(Constants):
    """Mixed components of all maps from one irrep to another.

    Args:
        families: of such maps [m', m].
        blocks: (target, source) terms of these irreps; width: columns of a matrix.
    """

    order: Tensor

    def __init__(self, families: Families, blocks: Sequence[tuple[Term, Term]], width: int) -> None:
        super().__init__()
        self.keep("basis", families.basis)
        self.keep("owner", families.owner)
        self.keep("projectors", np.einsum("hf,hk,hl->fkl", families.owner, families.basis, families.basis))
        target, source = blocks[0]
        found = np.stack(np.unravel_index(families.mixed, (target.size, source.size)), axis=1).tolist()
        self.size, self.channels = len(found), sum(row.count * column.count for row, column in blocks)
        self.places = places_of([(row, column) for row, column in found], blocks, width)
        height = max(row.stop for row, _ in blocks)
        order = torch.empty(self.size, 1, self.channels, dtype=torch.int64)
        self._gather(torch.arange(height * width).view(1, height, width), order)
        self.register_buffer("order", order.flatten(), persistent=False)

    def inner(self, first: Tensor, second: Tensor) -> Tensor:
        """(L, families) their share of ⟨V, P_k W⟩ of contiguous matrices (L, dim_out, dim_in)."""
        left = self._coefficients(first)
        right = left if second is first else self._coefficients(second)
        sums = (left * right).view(-1, len(first), self.channels).sum(-1)
        return (sums.unsqueeze(-1) * self.constant("owner", first).unsqueeze(1)).sum(0)

    def combine(self, stack: Tensor, weights: Tensor, out: Tensor) -> Tensor:
        """`out` with their share of Σ_k w_k P_k W (L, dim_out, dim_in) where it belongs; compiled code makes a copy."""
        summed = (weights[:, :, None, None] * self.constant("projectors", stack)).sum(1)
        moved = torch.bmm(summed, self._values(stack).transpose(0, 1)).transpose(0, 1)
        if torch.compiler.is_compiling():
            return out.flatten(1).index_copy(1, self.order, moved.transpose(0, 1).flatten(1)).view(out.shape)
        for place in self.places:
            place.entries(out).copy_(place.gathered(moved))
        return out

    def _coefficients(self, stack: Tensor) -> Tensor:
        """(h, L · channels)."""
        return self.constant("basis", stack) @ self._values(stack).reshape(self.size, -1)

    def _values(self, stack: Tensor) -> Tensor:
        """(components, L, channels) the entries."""
        if torch.compiler.is_compiling():
            found = stack.flatten(1).index_select(1, self.order)
            return found.view(len(stack), self.size, self.channels).transpose(0, 1)
        values = stack.new_empty(self.size, len(stack), self.channels)
        self._gather(stack, values)
        return values

    def _gather(self, stack: Tensor, values: Tensor) -> None:
        """Write the entries into (components, L, channels)."""
        for place in self.places:
            place.gathered(values).copy_(place.entries(stack))
