"""SEGNN written down with e3nn's fully connected tensor products and a scatter (Brandstetter et al. 2022, equations 7 and 8,
N-body configuration), nothing shared with the package: what our SEGNN must equal."""

from itertools import product
from math import sqrt

import torch
from e3nn import o3
from e3nn.nn import Gate
from torch import nn


def irreps_of(counts: dict[int, int], odd: bool) -> o3.Irreps:
    """counts[l] copies of each degree, of parity (−1)^l, or all even where mirrors need not be followed."""
    return o3.Irreps([(count, (degree, 1 if odd else (-1) ** degree)) for degree, count in counts.items()])


class Product(nn.Module):
    """A tensor product with an attribute, and a bias of the scalars that come out."""

    def __init__(self, irreps_in, attribute, irreps_out) -> None:
        super().__init__()
        self.product = o3.FullyConnectedTensorProduct(irreps_in, attribute, irreps_out)
        self.scalars = sum(count for count, irrep in irreps_out if irrep.l == 0)
        self.bias = nn.Parameter(torch.zeros(self.scalars)) if self.scalars else None

    def forward(self, x, a):
        out = self.product(x, a)
        return out if self.bias is None else torch.cat([out[:, : self.scalars] + self.bias, out[:, self.scalars :]], dim=1)


class Gated(nn.Module):
    def __init__(self, irreps_in, attribute, irreps_out) -> None:
        super().__init__()
        scalars, gated = irreps_out[:1], irreps_out[1:]
        gates = o3.Irreps([(count, (0, 1)) for count, _ in gated])
        sigmoids = [torch.sigmoid] * len(gates)
        self.gate = Gate(scalars, [nn.functional.silu], gates, sigmoids, gated)
        for activation in (self.gate.act_scalars, self.gate.act_gates):
            for act in activation.acts:
                act.cst = 1.0  # e3nn's factor, an estimate of a second moment, is a part of our next weights
        self.product = Product(irreps_in, attribute, self.gate.irreps_in)

    def forward(self, x, a):
        return self.gate(self.product(x, a))


class PlainLayer(nn.Module):
    def __init__(self, hidden, attribute, scalars: int) -> None:
        super().__init__()
        extra = o3.Irreps([(scalars, (0, 1))])
        self.message_1 = Gated(hidden + hidden + extra, attribute, hidden)
        self.message_2 = Gated(hidden, attribute, hidden)
        self.update_1 = Gated(hidden + hidden, attribute, hidden)
        self.update_2 = Product(hidden, attribute, hidden)

    def forward(self, f, edge_index, s, a_edge, a_node):
        j, i = edge_index
        m = self.message_2(self.message_1(torch.cat([f[i], f[j], s], dim=1), a_edge), a_edge)
        gathered = torch.zeros_like(f).scatter_add_(0, i[:, None].expand_as(m), m)
        return f + self.update_2(self.update_1(torch.cat([f, gathered], dim=1), a_node), a_node)


class PlainSEGNN(nn.Module):
    """Inputs by degree in e3nn's order; the output is displacements (N, 3)."""

    def __init__(
        self, inputs: dict[int, int], scalars: int, channels: int, layers: int, l_max: int, l_attr: int, odd=False, steps=1
    ):
        super().__init__()
        self.attributes = irreps_of(dict.fromkeys(range(l_attr + 1), 1), odd)
        hidden = irreps_of(dict.fromkeys(range(l_max + 1), channels), odd)
        self.embedding = Product(irreps_of(inputs, odd), self.attributes, hidden)
        self.layers = nn.ModuleList(PlainLayer(hidden, self.attributes, scalars) for _ in range(layers))
        self.readout = Gated(hidden, self.attributes, hidden)
        self.head = Product(hidden, self.attributes, irreps_of({1: 1}, odd))
        self.harmonics = o3.SphericalHarmonics(list(range(l_attr + 1)), normalize=True, normalization="component")

    def forward(self, features, x, v, edge_index, s):
        j, i = edge_index
        a_edge = self.harmonics(x[j] - x[i])
        total = torch.zeros(len(x), a_edge.shape[1], dtype=x.dtype).scatter_add_(0, i[:, None].expand_as(a_edge), a_edge)
        degree = torch.zeros(len(x), 1, dtype=x.dtype).scatter_add_(0, i[:, None], torch.ones_like(a_edge[:, :1]))
        a_node = total / degree.clamp(min=1) + self.harmonics(v)
        a_node = torch.cat([torch.ones_like(a_node[:, :1]), a_node[:, 1:]], dim=1)
        f = self.embedding(features, a_node)
        for layer in self.layers:
            f = layer(f, edge_index, s, a_edge, a_node)
        return self.head(self.readout(f, a_node), a_node)


def same_weights(ours, plain: PlainSEGNN) -> None:
    """Copy the weights of our SEGNN into the plain one."""
    degrees = list(ours.node_features.channels)
    _first_into(ours.embedding, plain.embedding, [(degree, 0) for degree in degrees], ours.couples, gated=False)
    for mine, theirs in zip(ours.layers, plain.layers, strict=True):
        hidden = list(range(ours.couples.degree + 1))
        slots = [(degree, end) for end in (0, 1) for degree in hidden] + [(0, 2)]
        _first_into(mine.message_first, theirs.message_1.product, slots, ours.couples, gated=True)
        _second_into(mine.message_second.product, theirs.message_2.product, ours.couples)
        _second_into(mine.update_first.product, theirs.update_1.product, ours.couples)
        _second_into(mine.update_second, theirs.update_2, ours.couples)
    _second_into(ours.readout.product, plain.readout.product, ours.couples)
    _second_into(ours.head, plain.head, ours.couples)


def _outputs(product_: Product):
    """(first scalar row, degree) of each output slot of e3nn's product, which merges no terms."""
    rows, found = 0, []
    for count, irrep in product_.product.irreps_out:
        found.append((irrep.l, rows if irrep.l == 0 else 0, count))
        rows += count if irrep.l == 0 else 0
    return found


def _fill(theirs: Product, weight_of) -> None:
    """Set every weight (u, 1, w) of e3nn's product from the matrix of ours for (input slot, path, output slot)."""
    tp = theirs.product
    with torch.no_grad():
        for _, instruction, weight in tp.weight_views(yield_instruction=True):
            path = tuple(
                irreps[index].ir.l
                for irreps, index in (
                    (tp.irreps_in1, instruction.i_in1),
                    (tp.irreps_in2, instruction.i_in2),
                    (tp.irreps_out, instruction.i_out),
                )
            )
            scale = sign_of(path) * sqrt(2 * path[2] + 1) / instruction.path_weight
            weight.copy_(scale * weight_of(instruction.i_in1, path, instruction.i_out)[:, None])


def sign_of(path) -> float:
    """Of our couplings, whose first entry is positive, in terms of e3nn's."""
    tensor = o3.wigner_3j(*path, dtype=torch.float64).flatten()
    return float(torch.sign(tensor[tensor.abs() > 1e-9][0]))


def _paths(couples, after: int, before=None):
    found = product(range((couples.degree if before is None else before) + 1), range(couples.attribute + 1))
    return [(b, a, after) for b, a in found if abs(b - a) <= after <= b + a and (couples.odd or (b + a + after) % 2 == 0)]


def _first_into(mine, theirs: Product, slots, couples, gated: bool) -> None:
    """Ours has for each input block (channels in) x [end, output degree, path, copy, channel]."""
    outs = _outputs(theirs)
    first, matrices = 0, []
    for each, columns in zip(mine.inputs, mine.blocks, strict=True):
        shape = each.channels, len(columns) * mine.channels
        matrices.append(mine.weight[first : first + shape[0] * shape[1]].view(shape))
        first += shape[0] * shape[1]
    if mine.scalar_weight is not None:
        matrices.append(mine.scalar_weight.view(mine.scalars, -1))

    def weight_of(slot, path, out):
        degree, end = slots[slot]
        own = [index for index, each in enumerate(mine.inputs) if each.degree == degree and end in each.ends]
        block, ends = (own[0], mine.inputs[own[0]].ends) if own else (len(mine.inputs), (end,))
        columns = [
            (each_end, each, copy)
            for each_end in ends
            for after in range(couples.degree + 1)
            for each in _paths(couples, after, degree)
            if each[0] == degree
            for copy in range(1 + couples.degree if after == 0 and gated else 1)
        ]
        column = columns.index((end, path, outs[out][1] // mine.channels)) * mine.channels
        return matrices[block][:, column : column + outs[out][2]]

    _fill(theirs, weight_of)
    theirs.bias.data.copy_(mine.bias.data)


def _second_into(mine, theirs: Product, couples) -> None:
    """Ours has for each output degree [path, channel in] x [copy, channel]."""
    outs = _outputs(theirs)
    counts = [count for count, _ in theirs.product.irreps_in1]
    degrees = [irrep.l for _, irrep in theirs.product.irreps_in1]
    slots = [sum(counts[before] for before in range(index) if degrees[before] == degrees[index]) for index in range(len(counts))]
    width = sum(count for count, degree in zip(counts, degrees, strict=True) if degree == degrees[0])
    first, matrices = 0, {}
    for after, shape in mine.outputs.items():
        matrices[after] = mine.weight[first : first + shape[0] * shape[1]].view(shape)
        first += shape[0] * shape[1]

    def weight_of(slot, path, out):
        after, column, count = outs[out]
        row = _paths(couples, after).index(path) * width + slots[slot]
        return matrices[after][row : row + counts[slot], column : column + count]

    _fill(theirs, weight_of)
    if theirs.bias is not None:
        theirs.bias.data.copy_(mine.bias.data)
