"""Small batches, filled up so that the same rows give the same bits as in large ones."""

import torch
from torch import Tensor

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import FieldSpec, GraphSchema

ENOUGH = 144
"""torch multiplies with another library where rows x inner x columns is at most 4096, and that rounds differently. So many
rows are enough from layers of 32 channels to one number upwards, and cost little: most of a small batch's time goes elsewhere."""


def filled(batch: GraphBatch, schema: GraphSchema) -> GraphBatch:
    """The batch, followed by one more graph if it has fewer than `ENOUGH` nodes or edges; a batch without edges gets none.

    Results for the graphs of the batch are then, bit by bit, those in any larger company. This holds on one thread: where
    several share an operation, a row at the seam can differ in its last bit.
    """
    nodes, edges = batch.batch.numel(), batch.edge_index.shape[1]
    if not nodes or (nodes >= ENOUGH and (edges >= ENOUGH or not edges)):
        return batch
    ring = ENOUGH if edges else 0
    return GraphBatch(
        batch=torch.cat([batch.batch, batch.batch.new_full((ENOUGH,), batch.num_graphs)]),
        ptr=torch.cat([batch.ptr, batch.ptr[-1:] + ENOUGH]),
        **{spec.name: _with_ring(batch[spec.name], spec, nodes, ring) for spec in schema.specs},
    )


def _with_ring(values: Tensor, spec: FieldSpec, nodes: int, edges: int) -> Tensor:
    """The values of one field, and behind them those of nodes in a row along one axis, each connected to the next."""
    if spec.content == "index":
        ends = torch.arange(edges, device=values.device)
        return torch.cat([values, nodes + torch.stack([ends, (ends + 1) % max(edges, 1)])], dim=1)
    if spec.kind == "graph":
        return torch.cat([values, values[:1]])
    more = values.new_zeros((ENOUGH if spec.kind == "node" else edges, *values.shape[1:]))
    if spec.content == "mask":
        more = ~more
    if spec.name == "position":
        more = more + torch.linspace(-1, 1, ENOUGH, dtype=values.dtype, device=values.device)[:, None, None]
    return torch.cat([values, more])
