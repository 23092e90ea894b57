"""What models read from a batch: invariants and vectors of nodes and edges."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema


class NodeInvariants(nn.Module):
    """Scalars of a node that no rotation, mirror or translation changes.

    In order: speed of each velocity channel; whether each is known (only where a history can have gaps); one-hot node type
    (only where there are several); the chosen scalar fields; lengths of the vector fields.

    Args:
        schema: of the graphs.
        scalars: names of the scalar fields to use; None takes all.
    """

    def __init__(self, schema: GraphSchema, scalars: Sequence[str] | None = None) -> None:
        super().__init__()
        self.types = len(schema.node_types) if len(schema.node_types) > 1 else 0
        self.scalars = schema.scalars(None if scalars is None else tuple(scalars))
        self.vectors = schema.vectors()
        self.masks = schema.velocities if schema.history > 1 else 0
        widths = [_width(schema, name) for name in self.scalars] + [_width(schema, name) // 3 for name in self.vectors]
        self.width = schema.velocities + self.masks + self.types + sum(widths)

    def forward(self, batch: GraphBatch) -> Tensor:
        """(N, width)."""
        parts = [batch.velocity.norm(dim=-1)]
        if self.masks:
            parts.append(batch.velocity_valid.to(batch.velocity.dtype))
        if self.types:
            parts.append(one_hot(batch.node_type, self.types).to(batch.velocity.dtype))
        parts += [batch[name] for name in self.scalars]
        parts += [batch[name].unflatten(-1, (-1, 3)).norm(dim=-1) for name in self.vectors]
        return torch.cat(parts, dim=-1)


class EdgeInvariants(nn.Module):
    """Scalars of an edge: squared distance at the anchor, products of the ends' scalar fields, one-hot edge type.

    Args:
        schema: of the graphs.
        products: scalar fields whose product q_i q_j describes a pair (charges); None takes all.
    """

    def __init__(self, schema: GraphSchema, products: Sequence[str] | None = None) -> None:
        super().__init__()
        self.types = len(schema.edge_types) if len(schema.edge_types) > 1 else 0
        self.products = schema.scalars(None if products is None else tuple(products))
        self.width = 1 + sum(_width(schema, name) for name in self.products) + self.types

    def forward(self, batch: GraphBatch) -> Tensor:
        """(E, width)."""
        source, target = batch.edge_index
        anchor = batch.position[:, -1]
        parts = [batch[name][source] * batch[name][target] for name in self.products]
        parts.append((anchor[target] - anchor[source]).square().sum(-1, keepdim=True))
        if self.types:
            parts.append(one_hot(batch.edge_type, self.types).to(anchor.dtype))
        return torch.cat(parts, dim=-1)


def node_vectors(schema: GraphSchema, batch: GraphBatch) -> Tensor:
    """(N, C, 3) every vector of a node: velocities, then vector fields; `vector_channels` counts them."""
    parts = [batch.velocity] + [batch[name].unflatten(-1, (-1, 3)) for name in schema.vectors()]
    return torch.cat(parts, dim=1)


def vector_channels(schema: GraphSchema) -> int:
    """C of `node_vectors`."""
    return schema.velocities + sum(_width(schema, name) // 3 for name in schema.vectors())


def raw_width(schema: GraphSchema) -> int:
    """Width of `raw_features`."""
    types = len(schema.node_types)
    own = sum(_width(schema, name) for name in schema.fields)
    return schema.history * 4 + schema.velocities * 4 + types + own


def raw_features(schema: GraphSchema, batch: GraphBatch) -> Tensor:
    """(N, raw_width) all inputs of a node as plain numbers, for models without symmetry."""
    dtype = batch.position.dtype
    parts = [
        batch.position.flatten(1),
        batch.position_valid.to(dtype),
        batch.velocity.flatten(1),
        batch.velocity_valid.to(dtype),
        one_hot(batch.node_type, len(schema.node_types)).to(dtype),
        *(batch[name] for name in schema.fields),
    ]
    return torch.cat(parts, dim=-1)


def _width(schema: GraphSchema, name: str) -> int:
    return next(int(spec.shape[0]) for spec in schema.specs if spec.name == name)
