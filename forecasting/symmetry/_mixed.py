"""The components of maps between two irreps that families mix: gathered, multiplied with a basis, and put back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import block_diag
from torch import Tensor

from forecasting.symmetry._constants import Constants
from forecasting.symmetry._families import Families
from forecasting.symmetry._runs import Place, Term, places_of

LARGEST = 16
"""Components that are multiplied with one basis; more would mostly be multiplied with zeros."""


@dataclass(frozen=True)
class Block:
    """The maps from one term to another, and the families of these."""

    families: Families
    row: Term
    column: Term

    @property
    def channels(self) -> tuple[int, int]:
        """(count', count)."""
        return self.row.count, self.column.count


class Mixed(Constants):
    """Mixed components of blocks with the same channels, taken together.

    Args:
        blocks: which; width: columns of a matrix.
    """

    order: Tensor

    def __init__(self, blocks: Sequence[Block], width: int) -> None:
        super().__init__()
        basis = block_diag(*(block.families.basis for block in blocks))
        owner = np.concatenate([block.families.owner for block in blocks])
        self.keep("basis", basis)
        self.keep("owner", owner)
        self.keep("projectors", np.einsum("hf,hk,hl->fkl", owner, basis, basis))
        self.size, self.channels = basis.shape[1], blocks[0].row.count * blocks[0].column.count
        self.places: list[Place] = []
        for block in blocks:
            high, wide = np.unravel_index(block.families.mixed, (block.row.size, block.column.size))
            components = list(zip(high.tolist(), wide.tolist(), strict=True))
            first = sum(place.length for place in self.places)
            self.places += places_of(components, block.row, block.column, width, first)
        height = max(block.row.stop for block in blocks)
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


def bundles(blocks: Iterable[Block]) -> list[list[Block]]:
    """Those that mix components, by their channels, at most `LARGEST` components together unless one block has more."""
    found: dict[tuple[int, int], list[list[Block]]] = {}
    for block in blocks:
        if len(block.families.mixed):
            known = found.setdefault(block.channels, [[]])
            if sum(len(one.families.mixed) for one in (*known[-1], block)) > LARGEST and known[-1]:
                known.append([])
            known[-1].append(block)
    return [bundle for known in found.values() for bundle in known]
