"""The equations of an EGNN layer, in operations that autograd knows."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from forecasting.models._edges import EdgeLayout

_TINY = 1e-12  # keeps the gradient of a length finite for coincident nodes


class LayerWeights(NamedTuple):
    """Weights of the four networks of a layer, (rows out, columns in); what acts on h alone is one matrix.

    Attributes:
        nodes: (4 F, F) parts of first layers that act on h: φ_e's for the source, φ_e's for the target, φ_v's and, unless it is
            the last layer, φ_h's; nodes_bias: (3 F,) of all but the first.
        pair: (F, 1 + width) rest of φ_e's first layer, for |x_i − x_j|² and a_ij; second, second_bias: φ_e's second layer.
        weigh, weigh_bias, last: (F, F), (F,) and (O, F) of φ_x.
        push, push_bias: (O C, F), (O C,) second layer of φ_v.
        received, out, out_bias: (F, F), (F, F) and (F,) rest of φ_h's first layer, for Σ_j m_ij, and its second; None in a last
            layer.
    """

    nodes: Tensor
    nodes_bias: Tensor
    pair: Tensor
    second: Tensor
    second_bias: Tensor
    weigh: Tensor
    weigh_bias: Tensor
    last: Tensor
    push: Tensor
    push_bias: Tensor
    received: Tensor | None = None
    out: Tensor | None = None
    out_bias: Tensor | None = None


def plain_update(
    h: Tensor, x: Tensor, vectors: Tensor, edges: Tensor, layout: EdgeLayout, bounded: bool, *weights: Tensor | None
) -> tuple[Tensor | None, Tensor]:
    """The layer in operations that autograd knows, for derivatives of any order and for compilers; see `EGNNLayer.forward`."""
    w, width = LayerWeights(*weights), h.shape[1]
    difference, squared = geometry(layout.differences(x), bounded)
    slots = linear(h, w.nodes).view(len(h), -1, width)
    bias = w.nodes_bias.view(-1, width)
    ends = layout.ends(slots.shape[1])(slots.flatten(0, 1))
    first = silu(ends + linear(torch.cat([squared, edges], dim=1), w.pair, bias[0]))
    messages = silu(linear(first, w.second, w.second_bias))
    factors = linear(silu(linear(messages, w.weigh, w.weigh_bias)), w.last)
    pull = layout.arriving(factors[..., None] * difference[:, None]) * layout.share[:, None, None]
    push = linear(silu(slots[:, 2] + bias[1]), w.push, w.push_bias).view(len(h), -1, vectors.shape[1])
    moved = pull + (push[..., None] * vectors[:, None]).sum(2)
    if w.received is None or w.out is None:
        return None, moved
    fourth = silu(slots[:, 3] + bias[2] + linear(layout.arriving(messages), w.received))
    return h + linear(fourth, w.out, w.out_bias), moved


def geometry(way: Tensor, bounded: bool) -> tuple[Tensor, Tensor]:
    """(E, 3) what enters the sums and (E, 1) what enters the messages, of the ways x_i − x_j (E, 3)."""
    squared = way.square().sum(-1, keepdim=True)
    if not bounded:
        return way, squared
    return way / (1 + (squared + _TINY).sqrt()), squared.log1p()


def geometry_gradient(way: Tensor, d_difference: Tensor, d_squared: Tensor, bounded: bool) -> Tensor:
    """(E, 3) gradient with respect to the ways of `geometry`."""
    if not bounded:
        return torch.addcmul(d_difference, d_squared, way, value=2)
    squared = way.square().sum(-1, keepdim=True)
    length = (squared + _TINY).sqrt()
    inverse = 1 / (1 + length)
    along = (d_difference * way).sum(-1, keepdim=True) * inverse.square() / length
    return torch.addcmul(inverse * d_difference, 2 * d_squared / (1 + squared) - along, way)
