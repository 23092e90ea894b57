"""Random graphs of a schema, as the plain tensors that a program takes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from forecasting.graphs.features import FieldSpec, GraphSchema

EDGES_PER_NODE = 3


def random_graphs(
    schema: GraphSchema, specs: Sequence[FieldSpec], counts: Sequence[int], dtype: torch.dtype, seed: int = 0
) -> list[Tensor]:
    """One tensor for each of `specs`, for graphs of so many nodes; a graph of one node has no edges.

    Args:
        schema: of the graphs; specs: what is wanted, in this order; counts: nodes of each graph; dtype: of values.
        seed: of everything drawn.
    """
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(counts)
    ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    graph = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    target = torch.repeat_interleave(torch.arange(len(graph)), EDGES_PER_NODE)
    target = target[sizes[graph[target]] > 1]
    size = sizes[graph[target]]
    step = 1 + (torch.rand(len(target), generator=draw) * (size - 1)).long()
    first = ptr[graph[target]]
    edges = torch.stack([first + (target - first + step) % size, target])
    rows = {"node": len(graph), "edge": len(target), "graph": len(sizes)}
    letters = {"T": schema.history, "V": schema.velocities, "H": schema.horizon}
    known = {
        "edge_index": edges,
        "batch": graph,
        "ptr": ptr,
        "lead": torch.linspace(0, 1, schema.horizon + 1)[1:].repeat(len(sizes), 1).to(dtype),
        "origin": torch.zeros(len(sizes), 3, dtype=torch.float64),
        "node_type": torch.arange(rows["node"]) % max(len(schema.node_types), 1),
        "edge_type": torch.arange(rows["edge"]) % max(len(schema.edge_types), 1),
    }

    def drawn(spec: FieldSpec) -> Tensor:
        shape = (rows[spec.kind], *(letters[axis] if isinstance(axis, str) else axis for axis in spec.shape))
        if spec.content == "mask":
            return torch.rand(shape, generator=draw) < 0.9
        return torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype)

    return [known[spec.name] if spec.name in known else drawn(spec) for spec in specs]
