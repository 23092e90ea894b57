"""Layers of SEGNN on features in rows (see `_tensor_product_dense`), and the sparse matrices that they share."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn

from forecasting.models._tensor_product import CoupleThenProduct, Coupling, Inputs, ProductThenCouple, coupling_pattern
from forecasting.models._tensor_product_dense import gate
from forecasting.models._tensor_product_pattern import Entry, Pattern
from forecasting.models._tensor_product_sparse import Sparse, weighted_sums

AFTER_GATE = sqrt(3)  # gain of weights that read gated features, whose second moment is near 1/3 (SiLU 0.36, sigmoid 0.29)


class Matrices(NamedTuple):
    """The couplings of one batch, shared by all layers.

    Attributes:
        ends: from products at both ends of an edge, and of the edge's own scalars, to the edge.
        edges: within an edge; nodes: within a node; arriving: from edges to the nodes where they arrive.
        head: within a node, to degree 1 only.
    """

    ends: Sparse
    edges: Sparse
    nodes: Sparse
    arriving: Sparse
    head: Sparse


class GatedProduct(nn.Module):
    """A tensor product that couples first, then a gate.

    Args:
        couples: which degrees meet; inputs: channels of every degree; channels: F of the output.
        gain: of the weights at the start.
    """

    def __init__(self, couples: Coupling, inputs: int, channels: int, gain: float = 1.0) -> None:
        super().__init__()
        self.degree, self.channels = couples.degree, channels
        widths = {0: channels * (1 + couples.degree)} | dict.fromkeys(range(1, couples.degree + 1), channels)
        self.product = CoupleThenProduct(couples, inputs, widths, gain)

    def forward(self, rows: Tensor, count: int, matrix: Sparse) -> Tensor:
        """(count · (L + 1)², F) from (count · (L + 1)², inputs)."""
        return gate(self.product(rows, count, matrix).view(-1, self.channels), count, self.degree)


class SEGNNLayer(nn.Module):
    """One round of messages (Brandstetter et al. 2022, equations 7 and 8).

    With ⊗_a a tensor product with an attribute::

        m_ij = gate(gate([f_i, f_j, s_ij] ⊗_{a_ij} W_1) ⊗_{a_ij} W_2)
        f_i += gate([f_i, deg_i^(−p) Σ_j m_ij] ⊗_{a_i} W_3) ⊗_{a_i} W_4

    Two linear maps without symmetry may be added, as ACE and CR do: one from [f_i, Σ_j m_ij] to what the gate of the update
    returns, one from there to the update.

    Args:
        couples: which degrees meet; channels: F of every degree; scalars: width of s_ij.
        gain: of the last weights at the start.
    """

    def __init__(self, couples: Coupling, channels: int, scalars: int, gain: float) -> None:
        super().__init__()
        self.degree, self.channels = couples.degree, channels
        degrees = range(couples.degree + 1)
        inputs = [Inputs(degree, channels, (0, 1)) for degree in degrees]
        self.message_first = ProductThenCouple(inputs, couples, channels, gated=True, scalars=scalars)
        self.message_second = GatedProduct(couples, channels, channels, AFTER_GATE)
        self.update_first = GatedProduct(couples, 2 * channels, channels)
        self.update_second = CoupleThenProduct(couples, channels, dict.fromkeys(degrees, channels), gain * AFTER_GATE)

    def forward(self, rows: Tensor, edges: int, matrices: Matrices, relaxed: Sequence[nn.Module], place: Tensor | None) -> Tensor:
        """(N · (L + 1)², F) from features of the same shape, for this number of edges."""
        nodes = rows.shape[0] // (self.degree + 1) ** 2
        blocks = [(0, nodes * each**2 * self.channels, nodes * (2 * each + 1)) for each in range(self.degree + 1)]
        messages = gate(self.message_first([rows], blocks, matrices.ends), edges, self.degree)
        messages = self.message_second(messages, edges, matrices.edges)
        before = torch.cat([rows, weighted_sums(messages, matrices.arriving)], dim=1)
        hidden = self.update_first(before, nodes, matrices.nodes)
        if relaxed:
            hidden = hidden + relaxed_rows(relaxed[0], before, nodes, self.degree, place)
        update = self.update_second(hidden, nodes, matrices.nodes).view_as(rows)
        if relaxed:
            update = update + relaxed_rows(relaxed[1], hidden, nodes, self.degree, place)
        return rows + update


def arriving_pattern(degree: int) -> Pattern:
    """From nodes to the edges that arrive there, each row weighted by the one attribute; its transpose sums messages."""
    strides = [2 * each + 1 for each in range(degree + 1)]
    entries = [Entry(block, row, block, row, 0, (1.0,)) for block, stride in enumerate(strides) for row in range(stride)]
    return Pattern(entries, strides, strides)


def node_pattern(couples: Coupling, outputs: Sequence[int] | None = None) -> Pattern:
    """Within an edge or node, to all degrees or to `outputs`."""
    return coupling_pattern(couples, range(couples.degree + 1) if outputs is None else outputs)


def hidden_irreps(channels: int, degree: int) -> str:
    """F×0e + F×1o + F×2e + … in e3nn notation."""
    return "+".join(f"{channels}x{each}{'eo'[each % 2]}" for each in range(degree + 1))


def relaxed_rows(mapping: nn.Module, rows: Tensor, count: int, degree: int, place: Tensor | None) -> Tensor:
    """A map of features in e3nn's order [degree, channel, component], and of places, applied to features in rows."""
    parts = torch.split(rows, [count * (2 * each + 1) for each in range(degree + 1)])
    flat = torch.cat([part.view(count, -1, rows.shape[1]).transpose(1, 2).flatten(1) for part in parts], dim=1)
    out: Tensor = mapping(flat, place)
    channels = out.shape[1] // (degree + 1) ** 2
    found = torch.split(out, [channels * (2 * each + 1) for each in range(degree + 1)], dim=1)
    return torch.cat([part.reshape(count, channels, -1).transpose(1, 2).flatten(0, 1) for part in found])
