"""Fully connected tensor products of features with steerable attributes, in the order of work that stores and multiplies least.

y_{l'} = Σ_{(l, a, l')} (x_l ⊗ a_a)_{l'} W^{l a l'}, with every path (l, a, l') that the symmetry allows. The products with the
channels (W) and the couplings with the attributes (C) commute, so either can come first:

- `ProductThenCouple`: features that many elements share (the nodes at the ends of edges) meet W once, per node; then one sparse
  sum gathers both ends, couples and adds in one pass, and nothing is stored per edge but the result.
- `CoupleThenProduct`: features of their own element are coupled first, in one sparse sum, and each output degree is one matrix
  product over all paths and channels.

Weights start with the variance of `torch.nn.Linear`, 1 / (3 fan in), as published: gates that saturate make gradients too small
for normal numbers, and those make matrix products many times slower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt

import torch
from torch import Tensor, nn

from forecasting.models._tensor_product_couplings import Path, coupling, paths
from forecasting.models._tensor_product_dense import block_products
from forecasting.models._tensor_product_pattern import Entry, Pattern, Points
from forecasting.models._tensor_product_sparse import Sparse, weighted_sums


@dataclass(frozen=True)
class Coupling:
    """Which degrees meet which.

    Attributes:
        degree: of the features; attribute: of the attributes; odd: whether cross products are allowed (SO(3) only).
    """

    degree: int
    attribute: int
    odd: bool

    def into(self, after: int, before: int | None = None) -> list[Path]:
        """Paths to degree `after` from any degree up to `before`."""
        return paths(self.degree if before is None else before, self.attribute, after, self.odd)


@dataclass(frozen=True)
class Inputs:
    """A block of inputs of `ProductThenCouple`.

    Attributes:
        degree: l; channels: their number; ends: by which points of an element it is read.
    """

    degree: int
    channels: int
    ends: tuple[int, ...] = (0,)


class ProductThenCouple(nn.Module):
    """Matrix products first, then one sparse sum.

    Scalars of the elements themselves are not multiplied by their weights at all: the rows of the weights and the bias stand
    behind the products, as rows of one more point that all elements read, and the scalars are in the weights of the sum.

    Args:
        inputs: blocks, by degree. couples: which degrees meet; channels: F of every output degree.
        gated: whether the scalars of each element are followed by a row of gates for each degree from 1.
        scalars: S, number of scalars of the elements themselves.
    """

    def __init__(self, inputs: Sequence[Inputs], couples: Coupling, channels: int, gated: bool, scalars: int = 0) -> None:
        super().__init__()
        self.inputs, self.channels, self.scalars = tuple(inputs), channels, scalars
        self.attributes = (couples.attribute + 1) ** 2
        copies = {after: 1 + couples.degree * (gated and after == 0) for after in range(couples.degree + 1)}
        self.blocks = [_columns(each.degree, each.ends, couples, copies) for each in inputs]
        own = max(each.ends[-1] for each in inputs) + 1
        columns = _columns(0, (own,), couples, copies)
        entries = [
            Entry(block, before * len(found) + index, path[2], after + copy, end, (*weights, *[0.0] * (scalars * len(weights))))
            for block, found in enumerate(self.blocks)
            for index, (end, path, copy) in enumerate(found)
            for before, after, weights in _weights(path, couples.attribute)
        ]
        none = [0.0] * self.attributes
        for scalar in range(scalars):
            for index, (end, path, copy) in enumerate(columns):
                for _, after, weights in _weights(path, couples.attribute):
                    placed = (*none, *none * scalar, *weights, *none * (scalars - 1 - scalar))
                    entries.append(Entry(len(inputs), scalar * len(columns) + index, path[2], after + copy, end, placed))
        one = (1.0, *[0.0] * (self.attributes * (1 + scalars) - 1))
        first = scalars * len(columns)
        entries += [Entry(len(inputs), first + copy, 0, copy, own, one) for copy in range(copies[0])]
        strides = [(2 * each.degree + 1) * len(found) for each, found in zip(inputs, self.blocks, strict=True)]
        self.pattern = Pattern(entries, [*strides, first + copies[0]], [2 * after + copies[after] for after in copies])
        fan = {after: scalars * sum(path[2] == after and copy == 0 for _, path, copy in columns) for after in copies}
        for each, found in zip(inputs, self.blocks, strict=True):
            for _, path, copy in found:
                fan[path[2]] += each.channels * (copy == 0)
        start = [_start(each.channels, found, fan, channels) for each, found in zip(inputs, self.blocks, strict=True)]
        self.weight = nn.Parameter(torch.cat(start))
        self.scalar_weight = nn.Parameter(_start(scalars, columns, fan, channels)) if scalars else None
        self.bias = nn.Parameter(torch.zeros(copies[0] * channels))

    def matrix(self, attributes: Tensor, points: Sequence[Points | None], sizes: Sequence[int], scalars: Tensor | None) -> Sparse:
        """The matrix of `forward`.

        Args:
            attributes: (E, A) of the elements; scalars: (E, S) of theirs.
            points: that the elements read, by end; sizes: number of points of each input block.
        """
        if scalars is not None:
            attributes = torch.cat([attributes, (scalars.unsqueeze(2) * attributes.unsqueeze(1)).flatten(1)], dim=1)
        return self.pattern.repeat_over(attributes, [*points, None], [*sizes, 1])

    def forward(self, tensors: Sequence[Tensor], blocks: Sequence[tuple[int, int, int]], matrix: Sparse) -> Tensor:
        """(rows, F) from tensors in which the input blocks lie: index of the tensor, first number and rows of each block."""
        sizes = [(each.channels, len(found) * self.channels) for each, found in zip(self.inputs, self.blocks, strict=True)]
        plan = tuple((*block, *size) for block, size in zip(blocks, sizes, strict=True))
        tail = self.bias if self.scalar_weight is None else torch.cat([self.scalar_weight, self.bias])
        return weighted_sums(block_products(tensors, plan, self.weight, None, tail).view(-1, self.channels), matrix)


class CoupleThenProduct(nn.Module):
    """One sparse sum first, then a matrix product for each output degree.

    Args:
        couples: which degrees meet; channels: of every input degree.
        outputs: output degree -> its channels (of degree 0: with gates), from the lowest.
        gain: of the weights at the start, on top of 1 / √(3 fan in).
    """

    def __init__(self, couples: Coupling, channels: int, outputs: dict[int, int], gain: float = 1.0) -> None:
        super().__init__()
        self.outputs = {after: (len(couples.into(after)) * channels, width) for after, width in outputs.items()}
        start = [torch.randn(fan * width) * (gain / sqrt(3 * fan)) for fan, width in self.outputs.values()]
        self.weight = nn.Parameter(torch.cat(start))
        self.bias = nn.Parameter(torch.zeros(outputs[0])) if 0 in outputs else None

    def forward(self, rows: Tensor, count: int, matrix: Sparse) -> Tensor:
        """(numbers,) each output degree (count · (2l' + 1), channels) flattened, from features (count · (L + 1)², C)."""
        plan, first = [], 0
        for after, (fan, width) in self.outputs.items():
            plan.append((0, first, count * (2 * after + 1), fan, width))
            first += count * (2 * after + 1) * fan
        return block_products([weighted_sums(rows, matrix)], tuple(plan), self.weight, self.bias)


Columns = list[tuple[int, Path, int]]


def _columns(degree: int, ends: Sequence[int], couples: Coupling, copies: dict[int, int]) -> Columns:
    """What an input of this degree is multiplied for: (end, path, copy), each F columns of its weight."""
    return [
        (end, path, copy)
        for end in ends
        for after in copies
        for path in couples.into(after, degree)
        if path[0] == degree
        for copy in range(copies[after])
    ]


def _start(channels: int, columns: Columns, fan: dict[int, int], width: int) -> Tensor:
    """(channels · columns · width,) normal weights, of variance 1 / (3 fan) with the fan of the degree that each column makes."""
    scales = torch.tensor([1 / sqrt(3 * fan[path[2]]) for _, path, _ in columns]).repeat_interleave(width)
    return (torch.randn(channels, len(scales)) * scales).flatten()


def coupling_pattern(couples: Coupling, outputs: Sequence[int]) -> Pattern:
    """The pattern of `CoupleThenProduct`: rows of an output degree are [component, path]."""
    entries, strides = [], []
    for out, degree in enumerate(outputs):
        found = couples.into(degree)
        for index, path in enumerate(found):
            for before, after, weights in _weights(path, couples.attribute):
                entries.append(Entry(path[0], before, out, after * len(found) + index, 0, weights))
        strides.append((2 * degree + 1) * len(found))
    return Pattern(entries, [2 * degree + 1 for degree in range(couples.degree + 1)], strides)


def _weights(path: Path, attribute: int) -> list[tuple[int, int, tuple[float, ...]]]:
    """(m, m', weights of the attribute components) of the couplings of a path that are not 0."""
    tensor, first, found = coupling(*path), path[1] ** 2, []
    for before, after in product(range(tensor.shape[0]), range(tensor.shape[2])):
        row = tensor[before, :, after]
        if row.any():
            weights = [0.0] * (attribute + 1) ** 2
            weights[first : first + len(row)] = row.tolist()
            found.append((before, after, tuple(weights)))
    return found
