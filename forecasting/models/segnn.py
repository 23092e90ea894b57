"""Steerable E(3)-equivariant graph network (Brandstetter, Hesselink, van der Pol, Bekkers, Welling, ICLR 2022)."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, cast

import torch
from torch import nn

from forecasting.errors import UsageError, did_you_mean
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models._segnn_inputs import EdgeScalars, NodeFeatures, attributes
from forecasting.models._segnn_layers import (
    AFTER_GATE,
    GatedProduct,
    Matrices,
    SEGNNLayer,
    arriving_pattern,
    hidden_irreps,
    node_pattern,
)
from forecasting.models._tensor_product import CoupleThenProduct, Coupling, Inputs, ProductThenCouple
from forecasting.models._tensor_product_pattern import Points
from forecasting.models._tensor_product_sparse import Sparse
from forecasting.models.base import MODELS, Forecaster, Readout
from forecasting.models.baselines import constant_velocity
from forecasting.models.heads import build_head
from forecasting.models.place import place_frame
from forecasting.models.relaxed import relaxed_maps

STARTS = ("static", "constant_velocity")
SYMMETRIES = ("O(3)", "SO(3)")
AGGREGATES = {"sum": 0.0, "root": 0.5, "mean": 1.0}
_LARGEST_DEGREE = 11  # whose couplings e3nn knows
_LAST = 0.1  # gain of the last weights, so that training starts near the forecast that the network corrects


@MODELS.register("segnn")
class SEGNN(Forecaster):
    """SEGNN with velocity, for any history and horizon; O(3)- or SO(3)-equivariant, translations by centring.

    Every degree l ≤ l_max has F = hidden // (l_max + 1) channels (at least 1), of parity (−1)^l: 64 and l_max 1 give the
    published 32×0e + 32×1o. The defaults are the published N-body network (four layers, no normalization), whose messages are
    summed; here the sum is divided by the root of the number of neighbours, which is a constant in complete graphs. Displacements
    count in proportion to their lead time, since nothing moves in no time.

    Args:
        schema: of the graphs.
        hidden: channels of all degrees together; layers: number of layers.
        l_max: largest degree of features; l_attr: of attributes, None for l_max.
        start: forecast that the network corrects, ``static`` (as published) or ``constant_velocity``.
        symmetry: ``O(3)``, or ``SO(3)``, where features need not follow mirrors and cross products are allowed.
        aggregate: messages that arrive are a ``sum`` (as published), a ``mean``, or divided by the ``root`` of their number.
        bounded: squared distances enter as log(1 + d²); False as published.
        chain: groups from large to small along which the two maps of each node update are relaxed, from the features that enter
            them (first 2F, then F channels of every degree) to their output; `relaxed` holds them layer by layer. An empty chain
            gives the strict network. The first group should be `symmetry`.
        scalars, products: scalar fields used by nodes, and as products by edges; None takes all that the data have.
        head: what is made of the last layer, see `heads.build_head`; None for one forecast.
    """

    def __init__(
        self,
        schema: GraphSchema,
        hidden: int = 64,
        layers: int = 4,
        l_max: int = 1,
        l_attr: int | None = None,
        start: str = "constant_velocity",
        symmetry: str = "O(3)",
        aggregate: str = "root",
        bounded: bool = True,
        chain: Sequence[str] = (),
        scalars: Sequence[str] | None = None,
        products: Sequence[str] | None = None,
        head: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(schema)
        choices = {"start": (start, STARTS), "symmetry": (symmetry, SYMMETRIES), "aggregate": (aggregate, tuple(AGGREGATES))}
        for what, (value, known) in choices.items():
            if value not in known:
                raise UsageError(f"segnn: unknown {what} '{value}'; {did_you_mean(value, known)}")
        if layers < 1 or hidden < 1:
            raise UsageError("segnn: layers and hidden must be at least 1")
        l_attr = l_max if l_attr is None else l_attr
        if l_max < 0 or l_attr < 0 or l_max + l_attr == 0:
            raise UsageError("segnn: l_max and l_attr must be at least 0, and one of them at least 1")
        if l_max + l_attr > _LARGEST_DEGREE:
            raise UsageError(f"segnn: l_max + l_attr must be at most {_LARGEST_DEGREE}, found {l_max + l_attr}")
        self.start, self.power = start, AGGREGATES[aggregate]
        self.couples = couples = Coupling(l_max, l_attr, symmetry == "SO(3)")
        self.channels = channels = max(hidden // (l_max + 1), 1)
        self.ending = build_head(head, channels, schema)
        self.node_features = NodeFeatures(schema, scalars, l_max + l_attr, couples.odd)
        self.edge_scalars = EdgeScalars(schema, products, bounded)
        given = [Inputs(degree, width) for degree, width in self.node_features.channels.items()]
        self.embedding = ProductThenCouple(given, couples, channels, gated=False)
        self.layers = nn.ModuleList(
            SEGNNLayer(couples, channels, self.edge_scalars.width, 1 / sqrt(layers)) for _ in range(layers)
        )
        self.readout = GatedProduct(couples, channels, channels)
        self.head = CoupleThenProduct(couples, channels, {1: self.ending.count * schema.horizon}, _LAST * AFTER_GATE)
        self.patterns = {"edge": node_pattern(couples), "node": node_pattern(couples)}
        self.patterns |= {"head": node_pattern(couples, [1]), "arriving": arriving_pattern(l_max)}
        once, twice = hidden_irreps(channels, l_max), hidden_irreps(2 * channels, l_max)
        self._places = [(twice, once), (once, once)] * layers
        self.relaxed, self.place = relaxed_maps(self._places, chain), place_frame(chain)

    def displacement(self, batch: GraphBatch) -> Readout:
        """See `Forecaster.displacement`; under autocast too it computes in the precision of its weights."""
        with torch.autocast(batch.position.device.type, enabled=False):
            return self._displacement(batch)

    def _displacement(self, batch: GraphBatch) -> Readout:
        nodes = batch.position.shape[0]
        embedding, matrices = self._matrices(batch)
        features, edges = self.node_features(batch), batch.edge_index.shape[1]
        rows = self.embedding(features, [(index, 0, each.shape[0]) for index, each in enumerate(features)], embedding)
        place = None if self.place is None else self.place(batch)
        for index, layer in enumerate(self.layers):
            rows = layer(rows, edges, matrices, self.relaxed[2 * index : 2 * index + 2], place)
        hidden = self.readout(rows, nodes, matrices.nodes)
        moved = self.head(hidden, nodes, matrices.head).view(nodes, 3, self.ending.count, -1).permute(0, 2, 3, 1)
        total = moved * (batch.lead / batch.lead[:, -1:])[batch.batch][:, None, :, None]
        return Readout(total if self.start == "static" else total + constant_velocity(batch)[:, None], hidden[:nodes])

    def relaxed_along(self, chain: Sequence[str]) -> "SEGNN":
        """This network, relaxed along a chain of groups from now on: the strict weights stay, the relaxed maps are new.

        Raises:
            UsageError: if the groups are unknown or not nested.
        """
        like = self.embedding.weight
        self.relaxed, self.place = relaxed_maps(self._places, chain).to(like), place_frame(chain)
        return self.to(like)

    def _matrices(self, batch: GraphBatch) -> tuple[Sparse, Matrices]:
        """Couplings of the embedding and of all layers; they depend on the positions and velocities of the batch only."""
        nodes, degrees = batch.position.shape[0], self.couples.degree + 1
        source, target = (Points(each, nodes) for each in batch.edge_index)
        edge, node = attributes(batch, self.couples.attribute, target)
        own = Points(torch.arange(nodes, device=node.device), nodes)
        share = target.degree.clamp(min=1).to(edge.dtype).pow(-self.power)[target.index, None]
        layer = cast(SEGNNLayer, self.layers[0])  # all have the same pattern
        return self.embedding.matrix(node, [own], [nodes] * len(self.node_features.channels), None), Matrices(
            ends=layer.message_first.matrix(edge, [target, source], [nodes] * degrees, self.edge_scalars(batch)),
            edges=self.patterns["edge"].repeat(edge),
            nodes=self.patterns["node"].repeat(node),
            arriving=self.patterns["arriving"].repeat_over(share, [target], [nodes] * degrees).transpose,
            head=self.patterns["head"].repeat(node),
        )
