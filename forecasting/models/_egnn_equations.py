"""The equations of an EGNN layer, in operations that autograd knows."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from forecasting.models._edges import EdgeLayout

_TINY = 1e-12  # keeps the gradient of a length finite for coincident nodes


class LayerWeights(NamedTuple):
    """Weights of the four networks of a layer, in few tensors since an optimiser's step takes as long for a small one.

    A layer has S slots of F numbers per node for the parts of first layers that act on h: φ_e's of the source, φ_e's of the
    target, φ_v's and, unless it is the last layer, φ_h's.

    Attributes:
        nodes: (S F, F) from h to the slots.
        matrices: (2 or 4, F, F) φ_e's second layer, φ_x's first; φ_h's first for Σ_j m_ij, φ_h's second.
        biases: (S + 1 or S + 2, F) of the slots but the first (ends share one), φ_e's second layer, φ_x's first; φ_h's second.
        pair: (F, 1 + width) rest of φ_e's first layer, from |x_i − x_j|² and a_ij.
        last: (O, F) of φ_x; push, push_bias: (O C, F), (O C,) of φ_v.
    """

    nodes: Tensor
    matrices: Tensor
    biases: Tensor
    pair: Tensor
    last: Tensor
    push: Tensor
    push_bias: Tensor

    @property
    def slots(self) -> int:
        """S."""
        return self.nodes.shape[0] // self.nodes.shape[1]


def plain_update(
    h: Tensor, x: Tensor, vectors: Tensor, edges: Tensor, layout: EdgeLayout, bounded: bool, *weights: Tensor
) -> tuple[Tensor | None, Tensor]:
    """The layer in operations that autograd knows, for derivatives of any order and for compilers; see `EGNNLayer.forward`."""
    w = LayerWeights(*weights)
    second, weigh, *update = w.matrices
    of_slot, (second_bias, weigh_bias, *update_bias) = w.biases[: w.slots - 1], w.biases[w.slots - 1 :]
    difference, squared = geometry(layout.differences(x), bounded)
    slots = linear(h, w.nodes).unflatten(1, (w.slots, -1))  # type: ignore[no-untyped-call]
    ends = layout.ends(w.slots)(slots.flatten(0, 1))
    first = silu(ends + linear(torch.cat([squared, edges], dim=1), w.pair, of_slot[0]))
    messages = silu(linear(first, second, second_bias))
    factors = linear(silu(linear(messages, weigh, weigh_bias)), w.last)
    pull = layout.arriving(factors[..., None] * difference[:, None]) * layout.share[:, None, None]
    push = linear(silu(slots[:, 2] + of_slot[1]), w.push, w.push_bias).unflatten(1, (-1, vectors.shape[1]))  # type: ignore[no-untyped-call]
    moved = pull + (push[..., None] * vectors[:, None]).sum(2)
    if not update:
        return None, moved
    fourth = silu(slots[:, 3] + of_slot[2] + linear(layout.arriving(messages), update[0]))
    return h + linear(fourth, update[1], update_bias[0]), moved


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
