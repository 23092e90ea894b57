"""What SEGNN reads from a batch: typed node features, scalars of edges, steerable attributes of both."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models._tensor_product_couplings import harmonics
from forecasting.models._tensor_product_pattern import Points
from forecasting.models.inputs import EdgeInvariants, NodeInvariants
from forecasting.symmetry.transforms import parse_irreps


class NodeFeatures(nn.Module):
    """Features of nodes by degree.

    Degree 0: invariants. Degree 1: position from the centre of the graph, velocities, vector fields. From 2: tensor fields.
    Components of the fields count where their parity is (−1)^l, or all of them where mirrors need not be followed.

    Args:
        schema: of the graphs; scalars: names of the scalar fields to use, None takes all.
        largest: degree beyond which components are left out; any_parity: for SO(3).

    Attributes:
        channels: degree -> number of features.
    """

    def __init__(self, schema: GraphSchema, scalars: Sequence[str] | None, largest: int, any_parity: bool) -> None:
        super().__init__()
        self.invariants = NodeInvariants(schema, scalars)
        self.slices: list[tuple[str, int, int, int]] = []
        self.channels = {0: self.invariants.width, 1: 1 + schema.velocities}
        pure = schema.scalars()
        for name, irreps in schema.fields.items():
            first = 0
            for count, degree, parity in parse_irreps(irreps):
                size = count * (2 * degree + 1)
                natural = parity == (-1) ** degree
                if count and name not in pure and degree <= largest and (natural or any_parity):
                    self.slices.append((name, degree, first, first + size))
                    self.channels[degree] = self.channels.get(degree, 0) + count
                first += size
        self.channels = {degree: self.channels[degree] for degree in sorted(self.channels) if degree <= largest}

    def forward(self, batch: GraphBatch) -> list[Tensor]:
        """(N · (2l + 1), C_l) of each degree of `channels`."""
        parts: dict[int, list[Tensor]] = {degree: [] for degree in self.channels}
        parts[0].append(self.invariants(batch).unsqueeze(1))
        parts[1] += [batch.position[:, -1, :, None], batch.velocity.transpose(1, 2)]
        for name, degree, first, last in self.slices:
            parts[degree].append(batch[name][:, first:last].unflatten(1, (-1, 2 * degree + 1)).transpose(1, 2))
        return [torch.cat(each, dim=-1).flatten(0, 1) for each in parts.values()]


class EdgeScalars(nn.Module):
    """Scalars that enter the messages: squared distance, products of scalar fields, one-hot edge type.

    Args:
        schema: of the graphs; products: scalar fields whose product describes a pair, None takes all.
        bounded: the squared distance enters as log(1 + d²).
    """

    def __init__(self, schema: GraphSchema, products: Sequence[str] | None, bounded: bool) -> None:
        super().__init__()
        self.invariants = EdgeInvariants(schema, products)
        self.width, self.bounded = self.invariants.width, bounded
        self.distance = self.width - self.invariants.types - 1

    def forward(self, batch: GraphBatch) -> Tensor:
        """(E, width)."""
        found: Tensor = self.invariants(batch)
        if not self.bounded:
            return found
        before, squared, after = torch.split(found, [self.distance, 1, self.invariants.types], dim=1)
        return torch.cat([before, squared.log1p(), after], dim=1)


def attributes(batch: GraphBatch, degree: int, target: Points) -> tuple[Tensor, Tensor]:
    """Steerable attributes of edges (E, A) and nodes (N, A), A = (degree + 1)² [0e+1o+2e+…] (SEGNN, equation 9 and §4.1).

    a_ij = Y(x_j − x_i) and a_i = mean_j a_ij + Y(v_i) with v_i the velocity at the anchor; degree 0 is 1 in both.
    """
    source, ends = batch.edge_index
    position = batch.position[:, -1]
    edge = harmonics(position[source] - position[ends], degree)
    total = edge.new_zeros(target.count, edge.shape[1]).index_add(0, ends, edge)
    mean = total / target.degree.clamp(min=1).to(edge.dtype)[:, None]
    node = mean + harmonics(batch.velocity[:, -1], degree)
    return edge, torch.cat([torch.ones_like(node[:, :1]), node[:, 1:]], dim=1)
