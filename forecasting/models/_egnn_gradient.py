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
        *weights: Tensor,
    ) -> tuple[Tensor | None, Tensor]:
        w, count, width = LayerWeights(*weights), *h.shape
        second, weigh, *update = w.matrices.unbind()
        of_slot, (second_bias, weigh_bias, *update_bias) = w.biases[: w.slots - 1], w.biases[w.slots - 1 :].unbind()
        way = layout.differences(x)
        difference, squared = geometry(way, bounded)
        scalars = torch.cat([squared, edges], dim=1)
        nodes = h @ w.nodes.T
        nodes[:, width:] += of_slot.flatten()
        before_1 = layout.ends(w.slots).add_up(nodes.view(-1, width)).addmm_(scalars, w.pair.T)
        first = silu(before_1)
        before_2 = (first @ second.T).add_(second_bias)
        messages = silu(before_2)
        before_3 = (messages @ weigh.T).add_(weigh_bias)
        third = silu(before_3)
        factors = third @ w.last.T
        pull = layout.arriving.add_up((factors[..., None] * difference[:, None]).flatten(1)).mul_(layout.share[:, None])
        swift = silu(nodes[:, 2 * width : 3 * width])
        push = _times(swift, w.push).add_(w.push_bias).view(count, len(w.last), vectors.shape[1])
        moved = (push[..., None] * vectors[:, None]).sum(2).add_(pull.view(count, len(w.last), 3))
        new = received = before_4 = fourth = None
        if update:
            received = layout.arriving.add_up(messages)
            before_4 = torch.addmm(nodes[:, 3 * width :], received, update[0].T)
            fourth = silu(before_4)
            new = torch.addmm(h, fourth, update[1].T).add_(update_bias[0])
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
    width = h.shape[1]
    second, weigh, *update = w.matrices.unbind()
    d_matrices, d_biases = torch.empty_like(w.matrices), torch.empty_like(w.biases)
    d_second, d_weigh, *d_update = d_matrices.unbind()
    d_second_bias, d_weigh_bias, *d_update_bias = d_biases[w.slots - 1 :].unbind()

    d_4 = d_received = None
    if d_new is not None:
        d_fourth = d_new @ update[1]
        d_4 = _silu_backward(d_fourth, before_4, grad_input=d_fourth)
        d_received = d_4 @ update[0]
        torch.mm(d_4.T, received, out=d_update[0])
        torch.mm(d_new.T, fourth, out=d_update[1])
        torch.sum(d_new, 0, out=d_update_bias[0])

    gathered = layout.gather.add_up((d_moved * layout.share[:, None, None]).flatten(1)).view(len(way), len(w.last), 3)
    d_factors = (gathered * difference[:, None]).sum(-1)
    d_last, d_third = _times_gradient(third, w.last, d_factors)
    d_3 = _silu_backward(d_third, before_3, grad_input=d_third)
    torch.mm(d_3.T, messages, out=d_weigh)
    torch.sum(d_3, 0, out=d_weigh_bias)
    d_messages = d_3 @ weigh if d_received is None else layout.gather.add_up(d_received).addmm_(d_3, weigh)
    d_2 = _silu_backward(d_messages, before_2, grad_input=d_messages)
    torch.mm(d_2.T, first, out=d_second)
    torch.sum(d_2, 0, out=d_second_bias)
    d_first = torch.mm(d_2, second, out=d_3)
    d_1 = _silu_backward(d_first, before_1, grad_input=d_first)
    d_pair = (scalars.T @ d_1).T

    d_push = (d_moved[:, :, None] * vectors[:, None]).sum(-1).flatten(1)
    d_nodes = layout.ends(w.slots).transposed().add_up(d_1).view(nodes.shape)
    own = slice(2 * width, 3 * width)
    d_push_weight, d_swift = _times_gradient(swift, w.push, d_push)
    _silu_backward(d_swift, nodes[:, own], grad_input=d_nodes[:, own])
    if d_4 is not None:
        d_nodes[:, 3 * width :] = d_4
    torch.sum(d_nodes[:, width:], 0, out=d_biases[: w.slots - 1].view(-1))
    d_h = d_nodes @ w.nodes if d_new is None else torch.addmm(d_new, d_nodes, w.nodes)
    d_x = d_vectors = d_edges = None
    if needs_edges:
        d_edges = d_1 @ w.pair[:, 1:]
    if needs_x:
        d_squared = d_1.mul_(w.pair[:, 0]).sum(1, keepdim=True)
        d_difference = (gathered * factors[..., None]).sum(1)
        d_x = layout.differences_gradient(geometry_gradient(way, d_difference, d_squared, ctx.bounded))
    if needs_vectors:
        d_vectors = (push[..., None] * d_moved[:, :, None]).sum(1)
    d_weights = LayerWeights(d_nodes.T @ h, d_matrices, d_biases, d_pair, d_last, d_push_weight, d_push.sum(0))
    return d_h, d_x, d_vectors, d_edges, None, None, *d_weights


def _times(values: Tensor, weight: Tensor) -> Tensor:
    """(R, F) times the transpose of (K, F); with one row it takes less time not to call it a matrix product."""
    return (values * weight).sum(1, keepdim=True) if len(weight) == 1 else values @ weight.T


def _times_gradient(values: Tensor, weight: Tensor, d_out: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients (K, F) of the weight and (R, F) of the values of `_times`, from (R, K)."""
    if len(weight) > 1:
        return d_out.T @ values, d_out @ weight
    terms = values * d_out
    return terms.sum(0, keepdim=True), torch.mul(d_out, weight, out=terms)


def _differentiable(ctx: Any, inputs: tuple[Tensor, ...], grads: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    """The gradient with a graph of its own (create_graph)."""
    values, weights = inputs[:_INPUTS], inputs[_INPUTS:]
    made = plain_update(*values, ctx.layout, ctx.bounded, *weights)  # type: ignore[arg-type]
    wanted = [value for value in inputs if value.requires_grad]
    out, d_out = zip(*((value, grad) for value, grad in zip(made, grads, strict=True) if value is not None), strict=True)
    found = iter(torch.autograd.grad(out, wanted, d_out, create_graph=True, allow_unused=True))
    all_grads = [next(found) if value.requires_grad else None for value in inputs]
    return (*all_grads[:_INPUTS], None, None, *all_grads[_INPUTS:])
