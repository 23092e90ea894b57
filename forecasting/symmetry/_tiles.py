"""Matrices between irreps, rearranged so that one small matrix acts on all their channels at once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.symmetry.transforms import parse_irreps

Irrep = tuple[int, int]

LARGEST_BUNDLE = 5


@dataclass(frozen=True)
class Bundle:
    """Neighbouring irreps of equal multiplicity, taken together where they are small.

    Attributes:
        first: index of its first component; count: multiplicity; irreps: (l, parity) of each.
    """

    first: int
    count: int
    irreps: tuple[Irrep, ...]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """2l+1 of each irrep."""
        return tuple(2 * degree + 1 for degree, _ in self.irreps)

    @property
    def size(self) -> int:
        """Components of one channel."""
        return sum(self.sizes)

    @property
    def stop(self) -> int:
        """Index after its last component."""
        return self.first + self.count * self.size

    def indices(self) -> NDArray[np.int64]:
        """(size, count) where each component of each channel stands."""
        starts = self.first + self.count * np.cumsum((0, *self.sizes))
        strips = [
            start + np.arange(self.count * size).reshape(self.count, size).T
            for start, size in zip(starts, self.sizes, strict=False)
        ]
        return np.concatenate(strips)


@dataclass(frozen=True)
class Tile:
    """The maps from one bundle to another, as a matrix (size'·size, count'·count)."""

    row: Bundle
    column: Bundle

    @property
    def shape(self) -> tuple[int, int]:
        """(size'·size, count'·count)."""
        return self.row.size * self.column.size, self.row.count * self.column.count

    def indices(self, width: int) -> NDArray[np.int64]:
        """Where its entries stand in a flat matrix with `width` columns, in order."""
        rows, columns = self.row.indices(), self.column.indices()
        return (rows[:, None, :, None] * width + columns[None, :, None, :]).reshape(-1)


class Tiling:
    """Matrices (dim_out, dim_in) between irreps, cut into tiles.

    Args:
        irreps_in, irreps_out: e3nn notation.

    Attributes:
        shape: (dim_out, dim_in).
        tiles: rows first.
        order: (dim_out · dim_in,) index in the flat matrix of every entry, tile after tile.

    Raises:
        UsageError: if irreps cannot be read or have no components.
    """

    def __init__(self, irreps_in: str, irreps_out: str) -> None:
        rows, columns = _bundles(irreps_out), _bundles(irreps_in)
        self.shape = (rows[-1].stop, columns[-1].stop)
        self.tiles = [Tile(row, column) for row in rows for column in columns]
        self.order = np.concatenate([tile.indices(self.shape[1]) for tile in self.tiles])


def _bundles(irreps: str) -> list[Bundle]:
    found: list[Bundle] = []
    for count, degree, parity in parse_irreps(irreps):
        if count == 0:
            continue
        last = found[-1] if found else None
        if last is not None and last.count == count and last.size + 2 * degree + 1 <= LARGEST_BUNDLE:
            found[-1] = Bundle(last.first, count, (*last.irreps, (degree, parity)))
        else:
            found.append(Bundle(last.stop if last else 0, count, ((degree, parity),)))
    if not found:
        raise UsageError(f"the irreps '{irreps}' have no components")
    return found
