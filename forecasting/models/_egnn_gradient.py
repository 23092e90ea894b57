"""The layer of EGNN as one operation of autograd, with its gradient written by hand.

A training step of a small network spends much of its time between the arithmetic: in calls, copies, fresh memory and the
bookkeeping of gradients. Here the edge-wide buffers of the gradient are used again while the processor's cache holds them,
products are added where they belong, and autograd sees one operation instead of some sixty.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from forecasting.models._edges import EdgeLayout
from forecasting.models._egnn_equations import LayerWeights, geometry, geometry_gradient, plain_update

_INPUTS = 4  # h, x, vectors, edges; then come the layout, `bounded` and the weights
_silu_backward = torch.ops.aten.silu_backward.grad_input


class EGNNUpdate(torch.autograd.Function):
    """`plain_update`; with create_graph its gradient is that of `plain_update`."""

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        x: Tensor,
        vectors: Tensor,
        edges: Tensor,
        layout: EdgeLayout,
        bounded: bool,
        *weights: Tensor | None,
    ) -> tuple[Tensor | None, Tensor]:
        w, count, width = LayerWeights(*weights), *h.shape
        way = layout.differences(x)
        difference, squared = geometry(way, bounded)
        scalars = torch.cat([squared, edges], dim=1)
        nodes = h @ w.nodes.T
        nodes[:, width:] += w.nodes_bias
        before_1 = layout.ends(nodes.shape[1] // width).add_up(nodes.view(-1, width)).addmm_(scalars, w.pair.T)
        first = silu(before_1)
        before_2 = (first @ w.second.T).add_(w.second_bias)
        messages = silu(before_2)
        before_3 = (messages @ w.weigh.T).add_(w.weigh_bias)
        third = silu(before_3)
        factors = third @ w.last.T
        pull = layout.arriving.add_up((factors[..., None] * difference[:, None]).flatten(1)).mul_(layout.share[:, None])
        swift = silu(nodes[:, 2 * width : 3 * width])
        push = torch.addmm(w.push_bias, swift, w.push.T).view(count, -1, vectors.shape[1])
        moved = (push[..., None] * vectors[:, None]).sum(2).add_(pull.view(count, -1, 3))
        new = received = before_4 = fourth = None
        if w.received is not None and w.out is not None:
            received = layout.arriving.add_up(messages)
            before_4 = torch.addmm(nodes[:, 3 * width :], received, w.received.T)
            fourth = silu(before_4)
            new = torch.addmm(h, fourth, w.out.T).add_(w.out_bias)
        ctx.layout, ctx.bounded = layout, bounded
        kept = (way, difference, scalars, nodes, before_1, first, before_2, messages, before_3, third, factors, swift, push)
        ctx.save_for_backward(h, x, vectors, edges, *weights, *kept, received, before_4, fourth)
        return new, moved

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        place = _INPUTS + len(LayerWeights._fields)
        inputs, kept = ctx.saved_tensors[:place], ctx.saved_tensors[place:]
        if torch.is_grad_enabled():
            return _differentiable(ctx, inputs, grads)
        return _gradient(ctx, inputs, kept, *grads)


def _gradient(
    ctx: Any, inputs: tuple[Tensor, ...], kept: tuple[Tensor, ...], d_new: Tensor | None, d_moved: Tensor
) -> tuple[Tensor | None, ...]:
    h, vectors, w, layout = inputs[0], inputs[2], LayerWeights(*inputs[_INPUTS:]), ctx.layout
    way, difference, scalars, nodes, before_1, first, before_2, messages, before_3, third, factors, swift, push = kept[:-3]
    received, before_4, fourth = kept[-3:]
    needs_x, needs_vectors, needs_edges = ctx.needs_input_grad[1:_INPUTS]
    count, width = h.shape

    d_push = (d_moved[:, :, None] * vectors[:, None]).sum(-1).flatten(1)
    d_weights: dict[str, Tensor] = {"push": d_push.T @ swift, "push_bias": d_push.sum(0)}
    d_4 = d_received = None
    if w.received is not None and w.out is not None and d_new is not None:
        d_fourth = d_new @ w.out
        d_4 = _silu_backward(d_fourth, before_4, grad_input=d_fourth)
        d_received = d_4 @ w.received
        d_weights |= {"out": d_new.T @ fourth, "out_bias": d_new.sum(0), "received": d_4.T @ received}

    gathered = layout.gather.add_up((d_moved * layout.share[:, None, None]).flatten(1)).view(len(way), -1, 3)
    d_factors = (gathered * difference[:, None]).sum(-1)
    d_third = _product(d_factors, w.last)
    d_3 = _silu_backward(d_third, before_3, grad_input=d_third)
    d_weights |= {"last": d_factors.T @ third, "weigh": d_3.T @ messages, "weigh_bias": d_3.sum(0)}
    d_messages = d_3 @ w.weigh if d_received is None else layout.gather.add_up(d_received).addmm_(d_3, w.weigh)
    d_2 = _silu_backward(d_messages, before_2, grad_input=d_messages)
    d_weights |= {"second": d_2.T @ first, "second_bias": d_2.sum(0)}
    d_first = torch.mm(d_2, w.second, out=d_3)
    d_1 = _silu_backward(d_first, before_1, grad_input=d_first)
    d_weights["pair"] = (scalars.T @ d_1).T

    d_nodes = layout.ends(nodes.shape[1] // width).transposed().add_up(d_1).view(count, -1)
    own = slice(2 * width, 3 * width)
    _silu_backward(_product(d_push, w.push), nodes[:, own], grad_input=d_nodes[:, own])
    if d_4 is not None:
        d_nodes[:, 3 * width :] = d_4
    d_weights |= {"nodes": d_nodes.T @ h, "nodes_bias": d_nodes[:, width:].sum(0)}
    d_h = d_nodes @ w.nodes if d_new is None else torch.addmm(d_new, d_nodes, w.nodes)
    d_x = d_vectors = d_edges = None
    if needs_x:
        d_difference = (gathered * factors[..., None]).sum(1)
        d_x = layout.differences_gradient(geometry_gradient(way, d_difference, d_1 @ w.pair[:, :1], ctx.bounded))
    if needs_vectors:
        d_vectors = (push[..., None] * d_moved[:, :, None]).sum(1)
    if needs_edges:
        d_edges = d_1 @ w.pair[:, 1:]
    return d_h, d_x, d_vectors, d_edges, None, None, *(d_weights.get(name) for name in LayerWeights._fields)


def _product(values: Tensor, weight: Tensor) -> Tensor:
    """(R, K) times (K, F); with one column it is cheaper not to call it a matrix product."""
    return values * weight if len(weight) == 1 else values @ weight


def _differentiable(ctx: Any, inputs: tuple[Tensor, ...], grads: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    """The gradient with a graph of its own (create_graph)."""
    values, weights = inputs[:_INPUTS], inputs[_INPUTS:]
    made = plain_update(*values, ctx.layout, ctx.bounded, *weights)
    wanted = [value for value in inputs if value is not None and value.requires_grad]
    out, d_out = zip(*((value, grad) for value, grad in zip(made, grads, strict=True) if value is not None), strict=True)
    found = iter(torch.autograd.grad(out, wanted, d_out, create_graph=True, allow_unused=True))
    all_grads = [next(found) if value is not None and value.requires_grad else None for value in inputs]
    return (*all_grads[:_INPUTS], None, None, *all_grads[_INPUTS:])
