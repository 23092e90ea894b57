"""Where the maps between two irreps stand in a matrix between many: strided views, so that no entry is looked up by an index."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from forecasting.errors import UsageError
from forecasting.symmetry.transforms import parse_irreps

Irrep = tuple[int, int]
Component = tuple[int, int]


@dataclass(frozen=True)
class Term:
    """Channels of one irrep, in the order [u, m].

    Attributes:
        first: index of its first entry; count: multiplicity; irrep: (l, parity).
        place: index of its first component among those of all terms.
    """

    first: int
    count: int
    irrep: Irrep
    place: int

    @property
    def size(self) -> int:
        """2l+1."""
        return 2 * self.irrep[0] + 1

    @property
    def stop(self) -> int:
        """Index after its last entry."""
        return self.first + self.count * self.size


@dataclass(frozen=True)
class Run:
    """Components (m' + i a, m + i b), i < length, of a map from one irrep to another.

    Attributes:
        start: (m', m); step: (a, b).
    """

    start: Component
    step: Component
    length: int


@dataclass(frozen=True)
class Place:
    """Where a run stands in the matrices, and among gathered components.

    Attributes:
        offset: of its first entry in a matrix; stride: from one component, u' and u to the next.
        channels: (count', count); first, length: its components.
    """

    offset: int
    stride: tuple[int, int, int]
    channels: tuple[int, int]
    first: int
    length: int

    def entries(self, stack: Tensor) -> Tensor:
        """(length, L, count', count) of contiguous matrices (L, dim_out, dim_in), without a copy."""
        count, high, wide = stack.shape
        component, row, column = self.stride
        size, stride = (self.length, count, *self.channels), (component, high * wide, row, column)
        return stack.as_strided(size, stride, stack.storage_offset() + self.offset)

    def gathered(self, values: Tensor) -> Tensor:
        """(length, L, count', count) of (components, L, channels) with contiguous channels, without a copy."""
        component, matrix, _ = values.stride()
        size, stride = (self.length, values.shape[1], *self.channels), (component, matrix, self.channels[1], 1)
        return values.as_strided(size, stride, values.storage_offset() + self.first * component)


def places_of(components: Sequence[Component], row: Term, column: Term, width: int, first: int) -> list[Place]:
    """Of these components, gathered from `first` on, of the maps between two terms in matrices with `width` columns."""
    found = []
    for run in runs_of(components):
        offset = (row.first + run.start[0]) * width + column.first + run.start[1]
        stride = (run.step[0] * width + run.step[1], row.size * width, column.size)
        found.append(Place(offset, stride, (row.count, column.count), first, run.length))
        first += run.length
    return found


def terms_of(irreps: str) -> list[Term]:
    """The terms of irreps in e3nn notation, in order.

    Raises:
        UsageError: if irreps cannot be read or have no components.
    """
    found: list[Term] = []
    for count, *irrep in parse_irreps(irreps):
        if count:
            last = found[-1] if found else None
            first, place = (last.stop, last.place + last.size) if last else (0, 0)
            found.append(Term(first, count, (irrep[0], irrep[1]), place))
    if not found:
        raise UsageError(f"the irreps '{irreps}' have no components")
    return found


def runs_of(components: Sequence[Component]) -> list[Run]:
    """These components in order, as few runs: a diagonal is one, and so is a row."""
    found: list[Run] = []
    for component in components:
        if found:
            last = found[-1]
            reach = last.length - 1
            gap = component[0] - last.start[0] - reach * last.step[0], component[1] - last.start[1] - reach * last.step[1]
            if last.length == 1 or gap == last.step:
                found[-1] = Run(last.start, gap, last.length + 1)
                continue
        found.append(Run(component, (0, 0), 1))
    return found
