"""Models without symmetry: a perceptron per node, and a plain graph network."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.aggregate import edge_sum
from forecasting.models.base import MODELS, Forecaster, Readout
from forecasting.models.baselines import constant_velocity
from forecasting.models.heads import Head, build_head
from forecasting.models.inputs import EdgeInvariants, raw_features, raw_width


def perceptron(widths: Sequence[int], *, last_activation: bool = False) -> nn.Sequential:
    """Linear layers of these widths with SiLU between them, and after the last if asked."""
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(inputs, outputs))
        if last_activation or index < len(widths) - 2:
            layers.append(nn.SiLU())
    return nn.Sequential(*layers)


@MODELS.register("mlp")
class MLP(Forecaster):
    """A perceptron that sees one node at a time and corrects constant velocity.

    Args:
        schema: of the graphs.
        hidden: width; layers: number of hidden layers.
        head: what is made of the last layer, see `heads.build_head`; None for one forecast.
    """

    def __init__(self, schema: GraphSchema, hidden: int = 128, layers: int = 3, head: Mapping[str, Any] | None = None) -> None:
        super().__init__(schema)
        self.ending = build_head(head, hidden if layers else raw_width(schema), schema)
        self.net = perceptron([raw_width(schema), *[hidden] * layers, self.ending.count * schema.horizon * 3])

    def displacement(self, batch: GraphBatch) -> Readout:
        """See `Forecaster.displacement`."""
        known = self.net[:-1](raw_features(self.schema, batch))
        return Readout(constant_velocity(batch)[:, None] + _vectors(self.net[-1](known), self.ending), known)


@MODELS.register("gnn")
class GNN(Forecaster):
    """Message passing on raw coordinates, without symmetry (the GNN of Satorras et al. 2021, §5.1), correcting constant velocity.

    Args:
        schema: of the graphs.
        hidden: width of node and edge features; layers: message-passing rounds.
        head: what is made of the last layer, see `heads.build_head`; None for one forecast.
    """

    def __init__(self, schema: GraphSchema, hidden: int = 64, layers: int = 4, head: Mapping[str, Any] | None = None) -> None:
        super().__init__(schema)
        self.ending = build_head(head, hidden, schema)
        self.edge_inputs = EdgeInvariants(schema)
        self.embedding = nn.Linear(raw_width(schema), hidden)
        self.edge_nets = nn.ModuleList(
            perceptron([2 * hidden + self.edge_inputs.width, hidden, hidden], last_activation=True) for _ in range(layers)
        )
        self.node_nets = nn.ModuleList(perceptron([2 * hidden, hidden, hidden]) for _ in range(layers))
        self.decoder = perceptron([hidden, hidden, self.ending.count * schema.horizon * 3])

    def displacement(self, batch: GraphBatch) -> Readout:
        """See `Forecaster.displacement`."""
        source, target = batch.edge_index
        edges = self.edge_inputs(batch)
        h = self.embedding(raw_features(self.schema, batch))
        for edge_net, node_net in zip(self.edge_nets, self.node_nets, strict=True):
            messages = edge_net(torch.cat([h[target], h[source], edges], dim=-1))
            h = h + node_net(torch.cat([h, edge_sum(messages, target, h.shape[0])], dim=-1))
        return Readout(constant_velocity(batch)[:, None] + _vectors(self.decoder(h), self.ending), h)


def _vectors(outputs: Tensor, head: Head) -> Tensor:
    """(N, K, H, 3) from (N, K · H · 3)."""
    return outputs.view(outputs.shape[0], head.count, head.horizon, 3)
