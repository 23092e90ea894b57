"""Many graphs as one: a torch_geometric batch with the fields of the registry."""

import torch
from torch import Tensor
from torch_geometric.data import Data

from forecasting.graphs.features import FieldSpec, GraphSchema


class GraphBatch(Data):  # type: ignore[misc]
    """B graphs side by side, without edges between them.

    Besides the fields of `GraphSchema.specs`: ``batch`` (N,) graph of each node and ``ptr`` (B + 1,) first node of each graph.
    Nothing a model computes for a graph may depend on the other graphs here; a contract test holds every model to it.
    """

    @property
    def num_graphs(self) -> int:
        """B."""
        return int(self.ptr.numel() - 1)

    def select(self, graphs: Tensor, schema: GraphSchema) -> "GraphBatch":
        """The batch of these graphs (K,) only, in this order."""
        counts = self.ptr[graphs + 1] - self.ptr[graphs]
        nodes, ptr = _ragged(self.ptr[graphs], counts)
        new_index = torch.full((int(self.ptr[-1]),), -1, dtype=torch.long)
        new_index[nodes] = torch.arange(len(nodes))
        edge_graph = self.batch[self.edge_index[0]]
        order = torch.argsort(edge_graph, stable=True)
        edge_counts = torch.bincount(edge_graph, minlength=self.num_graphs)
        starts = torch.cumsum(edge_counts, 0) - edge_counts
        within, _ = _ragged(starts[graphs], edge_counts[graphs])
        rows = {"node": nodes, "edge": order[within], "graph": graphs}
        chosen = {spec.name: _rows(self[spec.name], spec, rows[spec.kind], new_index) for spec in schema.specs}
        return GraphBatch(batch=torch.repeat_interleave(torch.arange(len(graphs)), counts), ptr=ptr, **chosen)


def _ragged(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    ptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    shift = torch.repeat_interleave(starts - ptr[:-1], counts)
    return shift + torch.arange(int(ptr[-1])), ptr


def _rows(values: Tensor, spec: FieldSpec, rows: Tensor, new_index: Tensor) -> Tensor:
    return new_index[values[:, rows]] if spec.content == "index" else values[rows]
