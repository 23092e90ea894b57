"""Sums and means over the edges of a node and the nodes of a graph."""

import torch
from torch import Tensor

from forecasting.graphs.batch import GraphBatch


def edge_sum(messages: Tensor, target: Tensor, nodes: int) -> Tensor:
    """(N, …) sum of the messages (E, …) that arrive at each node."""
    return messages.new_zeros((nodes, *messages.shape[1:])).index_add(0, target, messages)


def degree(target: Tensor, nodes: int, dtype: torch.dtype) -> Tensor:
    """(N,) number of edges that arrive at each node, at least 1, so that it can divide."""
    return counts(target, nodes).clamp(min=1).to(dtype)


def counts(index: Tensor, count: int) -> Tensor:
    """(count,) how often each number below `count` is in `index`; to a compiler, in a way whose size it knows."""
    if torch.compiler.is_compiling():
        return index.new_zeros(count).index_add(0, index, torch.ones_like(index))
    return torch.bincount(index, minlength=count)


def graph_mean(values: Tensor, batch: GraphBatch, valid: Tensor) -> Tensor:
    """(B, …) mean of the valid node values (N, …); 0 for a graph without any."""
    weight = valid.to(values.dtype).view(-1, *([1] * (values.dim() - 1)))
    count = values.new_zeros(batch.num_graphs).index_add(0, batch.batch, valid.to(values.dtype)).clamp(min=1)
    total = values.new_zeros((batch.num_graphs, *values.shape[1:])).index_add(0, batch.batch, values * weight)
    return total / count.view(-1, *([1] * (values.dim() - 1)))
