"""How much of a linear map lies in each of several families of maps, and which part."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forecasting.errors import UsageError
from forecasting.symmetry._tiles import Irrep, Tile, Tiling

Array = NDArray[np.float64]
Families = Callable[[Irrep, Irrep], Sequence[Array]]


class Coefficients(nn.Module):
    """Coefficients of matrices in families of orthonormal matrices; the families need not be orthogonal to each other.

    Works in float64 for float64 matrices and in float32 for all others, also under autocast: a residual is a small difference.
    Everything is exact linear algebra, so gradients of every order, torch.compile and CUDA work as for matrix products.

    Args:
        irreps_in, irreps_out: e3nn notation; a matrix is (…, dim_out, dim_in), block [u', m', u, m].
        families: (source irrep, target irrep) -> for each family, columns (n, h) of matrices [m', m].
        count: number of families.

    Attributes:
        dimensions: of each family, all channels together.
    """

    order: Tensor
    place: Tensor

    def __init__(self, irreps_in: str, irreps_out: str, families: Families, count: int) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out, self.count = irreps_in, irreps_out, count
        tiling = Tiling(irreps_in, irreps_out)
        self.shape, self._tiles = tiling.shape, [tile.shape for tile in tiling.tiles]
        self.register_buffer("order", torch.from_numpy(tiling.order), persistent=False)
        self.register_buffer("place", torch.from_numpy(np.argsort(tiling.order)), persistent=False)
        self._exact: dict[str, Tensor] = {}
        self._columns: list[list[slice]] = []
        self.dimensions = [0] * count
        for index, tile in enumerate(tiling.tiles):
            bases = _tile_families(tile, families, count)
            widths = [basis.shape[1] for basis in bases]
            self._keep(f"basis{index}", np.concatenate(bases, axis=1).T)
            self._keep(f"owner{index}", np.repeat(np.eye(count), widths, axis=0))
            self._columns.append(
                [slice(stop - width, stop) for width, stop in zip(widths, np.cumsum(widths).tolist(), strict=True)]
            )
            self.dimensions = [known + tile.shape[1] * width for known, width in zip(self.dimensions, widths, strict=True)]

    def squared_norms(self, matrix: Tensor) -> Tensor:
        """(…, count) squared Frobenius norm of the projection of `matrix` (…, dim_out, dim_in) onto each family.

        A sum of squares of coefficients, never a difference of norms, so that a small part is as accurate as a large one.
        """
        with torch.autocast(matrix.device.type, enabled=False):
            found = []
            for index, tile in enumerate(self._gather(matrix)):
                coefficients = self._constant(f"basis{index}", tile) @ tile
                found.append(coefficients.square().sum(-1) @ self._constant(f"owner{index}", tile))
            return sum(found[1:], found[0])

    def component(self, matrix: Tensor, family: int) -> Tensor:
        """(…, dim_out, dim_in) orthogonal projection of `matrix` onto the span of one family, in the dtype of `matrix`."""
        with torch.autocast(matrix.device.type, enabled=False):
            tiles = []
            for index, tile in enumerate(self._gather(matrix)):
                basis = self._constant(f"basis{index}", tile)[self._columns[index][family]]
                tiles.append(basis.mT @ (basis @ tile))
            return self._scatter(tiles).to(matrix.dtype)

    def combine(self, matrix: Tensor, factors: Tensor) -> Tensor:
        """Σ_k factors[k] · (projection onto family k): (…, dim_out, dim_in) in the dtype of `matrix`.

        Args:
            matrix: (…, dim_out, dim_in).
            factors: (count,), may need gradients.
        """
        with torch.autocast(matrix.device.type, enabled=False):
            tiles = []
            for index, tile in enumerate(self._gather(matrix)):
                basis = self._constant(f"basis{index}", tile)
                scale = self._constant(f"owner{index}", tile) @ factors.to(tile)
                tiles.append(basis.mT @ (scale[:, None] * (basis @ tile)))
            return self._scatter(tiles).to(matrix.dtype)

    def _gather(self, matrix: Tensor) -> list[Tensor]:
        """The tiles (…, n, channels) of a matrix (…, dim_out, dim_in)."""
        if matrix.shape[-2:] != self.shape:
            raise UsageError(
                f"a map from '{self.irreps_in}' to '{self.irreps_out}' is a matrix {self.shape}, found {tuple(matrix.shape)}"
            )
        wide = matrix if matrix.dtype == torch.float64 else matrix.float()
        flat = wide.reshape(-1, self.shape[0] * self.shape[1]).index_select(-1, self.order)
        parts = torch.split(flat, [high * wide for high, wide in self._tiles], -1)
        return [part.reshape(*matrix.shape[:-2], *shape) for part, shape in zip(parts, self._tiles, strict=True)]

    def _scatter(self, tiles: list[Tensor]) -> Tensor:
        """The matrix (…, dim_out, dim_in) of these tiles."""
        leading = tiles[0].shape[:-2]
        flat = torch.cat([tile.reshape(leading.numel(), -1) for tile in tiles], -1)
        return flat.index_select(-1, self.place).reshape(*leading, *self.shape)

    def _constant(self, name: str, like: Tensor) -> Tensor:
        constant: Tensor = getattr(self, f"{name}_{'double' if like.dtype == torch.float64 else 'single'}")
        return constant

    def _keep(self, name: str, value: Array) -> None:
        self._exact[f"{name}_double"] = torch.from_numpy(np.ascontiguousarray(value))
        self._exact[f"{name}_single"] = self._exact[f"{name}_double"].float()
        for suffix in ("double", "single"):
            self.register_buffer(f"{name}_{suffix}", self._exact[f"{name}_{suffix}"], persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Follow the module to its device, but keep the precision of every constant whatever its dtype becomes."""
        nn.Module._apply(self, fn, recurse)  # type: ignore[no-untyped-call]
        for name, exact in self._exact.items():
            setattr(self, name, exact.to(getattr(self, name).device))
        return self


def _tile_families(tile: Tile, families: Families, count: int) -> list[Array]:
    """For each family, its columns (size'·size, h) on a tile, from those of the irreps in it."""
    row, column = tile.row, tile.column
    found: list[list[Array]] = [[np.zeros((row.size * column.size, 0))] for _ in range(count)]
    for target, high, first in zip(row.irreps, row.sizes, np.cumsum((0, *row.sizes)), strict=False):
        for source, wide, left in zip(column.irreps, column.sizes, np.cumsum((0, *column.sizes)), strict=False):
            for family, basis in zip(found, families(source, target), strict=True):
                block = np.zeros((row.size, column.size, basis.shape[1]))
                block[first : first + high, left : left + wide] = basis.reshape(high, wide, -1)
                family.append(block.reshape(row.size * column.size, -1))
    return [np.concatenate(family, axis=1) for family in found]
