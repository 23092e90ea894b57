"""How much of a linear map lies in each of several families of maps, and which part."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forecasting.errors import UsageError
from forecasting.symmetry._constants import Constants
from forecasting.symmetry._families import Families
from forecasting.symmetry._forms import combination, squared_norms
from forecasting.symmetry._mixed import Block, Mixed, bundles
from forecasting.symmetry._runs import Irrep, terms_of

Array = NDArray[np.float64]
FamilyBases = Callable[[Irrep, Irrep], Sequence[Array]]


class Coefficients(Constants):
    """Coefficients of matrices in families of orthonormal matrices; the families need not be orthogonal to each other.

    Entries that a family takes or leaves one by one are squared where they stand; only the others are gathered and multiplied
    with a basis (of a vector map and SO(3): the diagonal). Works in float64 for float64 matrices and in float32 for all others,
    also under autocast: a residual is a small difference. Everything is exact linear algebra with gradients of every order
    (`_forms`), and compiles.

    Args:
        irreps_in, irreps_out: e3nn notation; a matrix is (…, dim_out, dim_in), block [u', m', u, m].
        families: (source irrep, target irrep) -> for each family, columns (n, h) of matrices [m', m].
        count: number of families.

    Attributes:
        shape: (dim_out, dim_in).
        dimensions: of each family, all channels together.
    """

    component_of: Tensor

    def __init__(self, irreps_in: str, irreps_out: str, families: FamilyBases, count: int) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out, self.count = irreps_in, irreps_out, count
        rows, columns = terms_of(irreps_out), terms_of(irreps_in)
        self.shape = rows[-1].stop, columns[-1].stop
        known = {
            pair: Families.of(families(*pair)) for pair in {(column.irrep, row.irrep): None for row in rows for column in columns}
        }
        blocks = [Block(known[column.irrep, row.irrep], row, column) for row in rows for column in columns]
        self.dimensions = [0] * count
        alone = np.zeros((count, rows[-1].place + rows[-1].size, self.shape[1]))
        for found, row, column in ((block.families, block.row, block.column) for block in blocks):
            part = found.alone.reshape(count, row.size, column.size)
            alone[:, row.place : row.place + row.size, column.first : column.stop] = np.tile(part, (1, 1, column.count))
            sizes = [row.count * column.count * size for size in found.sizes]
            self.dimensions = [before + size for before, size in zip(self.dimensions, sizes, strict=True)]
        self._mixed = nn.ModuleList(Mixed(bundle, self.shape[1]) for bundle in bundles(blocks))
        self.keep("alone", alone)
        self._rows = [(row.first, row.count, row.size) for row in rows]
        component = np.concatenate([row.place + np.tile(np.arange(row.size), row.count) for row in rows])
        self.register_buffer("component_of", torch.from_numpy(component), persistent=False)

    def squared_norms(self, matrix: Tensor) -> Tensor:
        """(…, count) squared Frobenius norm of the projection of `matrix` (…, dim_out, dim_in) onto each family.

        A sum of squares of coefficients, never a difference of norms, so that a small part is as accurate as a large one.
        """
        return squared_norms(self, self._stacked(matrix)).reshape(*matrix.shape[:-2], self.count)

    def component(self, matrix: Tensor, family: int) -> Tensor:
        """(…, dim_out, dim_in) orthogonal projection of `matrix` onto the span of one family, in the dtype of `matrix`."""
        factors = matrix.new_zeros(self.count)
        factors[family] = 1
        return self.combine(matrix, factors)

    def combine(self, matrix: Tensor, factors: Tensor) -> Tensor:
        """Σ_k factors[k] · (projection onto family k): (…, dim_out, dim_in) in the dtype of `matrix`.

        Args:
            matrix: (…, dim_out, dim_in).
            factors: (count,), or (L, count) for L matrices; may need gradients.
        """
        stack = self._stacked(matrix)
        weights = factors.to(stack).expand(len(stack), self.count)
        return combination(self, stack, weights).to(matrix.dtype).reshape(matrix.shape)

    def inner(self, first: Tensor, second: Tensor) -> Tensor:
        """See `Forms.inner`."""
        with _full_precision(first):
            same, first = second is first, first.contiguous()
            second = first if same else second.contiguous()
            products = first * second
            sums = [
                products[:, start : start + count * size].view(len(products), count, size, -1).sum(1)
                for start, count, size in self._rows
            ]
            found = (torch.cat(sums, 1).unsqueeze(1) * self.constant("alone", first)).sum((-2, -1))
            for mixed in self._mixed:
                found = found + mixed.inner(first, second)  # type: ignore[operator]
            return found

    def combined(self, stack: Tensor, weights: Tensor) -> Tensor:
        """See `Forms.combined`."""
        with _full_precision(stack):
            stack = stack.contiguous()
            scale = (weights[:, :, None, None] * self.constant("alone", stack)).sum(1)
            out = stack * scale.index_select(1, self.component_of)
            for mixed in self._mixed:
                out = mixed.combine(stack, weights, out)  # type: ignore[operator]
            return out

    def _stacked(self, matrix: Tensor) -> Tensor:
        """(L, dim_out, dim_in) in float64 or float32."""
        if matrix.shape[-2:] != self.shape:
            raise UsageError(
                f"a map from '{self.irreps_in}' to '{self.irreps_out}' is a matrix {self.shape}, found {tuple(matrix.shape)}"
            )
        wide = matrix if matrix.dtype == torch.float64 else matrix.float()
        return wide.reshape(-1, *self.shape)


def _full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Without autocast."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
