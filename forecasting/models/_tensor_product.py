"""Fully connected tensor products of features with steerable attributes, in the order of work that stores and multiplies least.

y_{l'} = Σ_{(l, a, l')} (x_l ⊗ a_a)_{l'} W^{l a l'}, with every path (l, a, l') that the symmetry allows. The products with the
channels (W) and the couplings with the attributes (C) commute, so either can come first:

- `ProductThenCouple`: features that many elements share (the nodes at the ends of edges) meet W once, per node; then one sparse
  sum gathers both ends, couples and adds in one pass, and nothing is stored per edge but the result.
- `CoupleThenProduct`: features of their own element are coupled first, in one sparse sum, and each output degree is one matrix
  product over all paths and channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt

import torch
from torch import Tensor, nn

from forecasting.models._tensor_product_couplings import Path, coupling, paths
from forecasting.models._tensor_product_dense import Plan, block_products
from forecasting.models._tensor_product_pattern import Entry, Pattern
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

    Args:
        inputs: blocks; the last of degree 0 must be read by the element itself, once, and carries the bias.
        couples: which degrees meet; channels: F of every output degree.
        gated: whether the scalars of each element are followed by a row of gates for each degree from 1.
    """

    def __init__(self, inputs: Sequence[Inputs], couples: Coupling, channels: int, gated: bool) -> None:
        super().__init__()
        self.inputs, self.channels = tuple(inputs), channels
        copies = [1 + couples.degree * gated] + [1] * couples.degree
        entries, strides, found = [], [], []
        fan = [0] * (couples.degree + 1)
        for block, each in enumerate(inputs):
            outs = [
                (end, path, copy)
                for end in each.ends
                for after in range(couples.degree + 1)
                for path in couples.into(after, each.degree)
                if path[0] == each.degree
                for copy in range(copies[after])
            ]
            for index, (end, path, copy) in enumerate(outs):
                if copy == 0:
                    fan[path[2]] += each.channels
                for before, after, weights in _weights(path, couples.attribute):
                    entries.append(Entry(block, before * len(outs) + index, path[2], after + copy, end, weights))
            strides.append((2 * each.degree + 1) * len(outs))
            found.append([path[2] for _, path, _ in outs])
        self.pattern = Pattern(entries, strides, [copies[0], *(2 * degree + 1 for degree in range(1, couples.degree + 1))])
        self.at = max(index for index, each in enumerate(inputs) if each.degree == 0)
        self.weights = nn.ParameterList()
        for each, degrees in zip(inputs, found, strict=True):
            scales = torch.tensor([1 / sqrt(fan[degree]) for degree in degrees]).repeat_interleave(channels)
            self.weights.append(nn.Parameter(torch.randn(each.channels, len(degrees) * channels) * scales))
        self.bias = nn.Parameter(torch.zeros(copies[0] * channels))

    def forward(self, tensors: Sequence[Tensor], plan: Plan, matrix: Sparse) -> Tensor:
        """(rows, F) from the tensors that hold the input blocks, see `block_products`; `matrix` is the repeated pattern."""
        width = self.weights[self.at].shape[1]
        bias = torch.cat([self.bias, self.bias.new_zeros(width - len(self.bias))])
        table = block_products(tensors, plan, list(self.weights), bias, self.at)
        return weighted_sums(table.view(-1, self.channels), matrix)


class CoupleThenProduct(nn.Module):
    """One sparse sum first, then a matrix product for each output degree.

    Args:
        couples: which degrees meet; channels: of every input degree.
        outputs: output degree -> its channels (of degree 0: with gates).
        gain: of the weights at the start.
    """

    def __init__(self, couples: Coupling, channels: int, outputs: dict[int, int], gain: float = 1.0) -> None:
        super().__init__()
        self.outputs = dict(outputs)
        self.paths = {after: len(couples.into(after)) for after in outputs}
        self.weights = nn.ParameterList()
        for after, width in outputs.items():
            fan = self.paths[after] * channels
            self.weights.append(nn.Parameter(torch.randn(fan, width) * (gain / sqrt(fan))))
        self.bias = nn.Parameter(torch.zeros(outputs[0])) if 0 in outputs else None

    def forward(self, rows: Tensor, count: int, matrix: Sparse) -> Tensor:
        """(numbers,) each output degree (count · (2l' + 1), channels) flattened, from features (count · (L + 1)², C)."""
        coupled, plan, first = weighted_sums(rows, matrix), [], 0
        for after in self.outputs:
            shape = count * (2 * after + 1), self.paths[after] * rows.shape[1]
            plan.append((0, first, *shape))
            first += shape[0] * shape[1]
        return block_products([coupled], tuple(plan), list(self.weights), self.bias, 0)


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
