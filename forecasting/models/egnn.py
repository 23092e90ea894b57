"""E(n)-equivariant graph network with velocity (Satorras, Hoogeboom, Welling, ICML 2021, equations 3–7)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from forecasting.errors import UsageError, did_you_mean
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models._edges import EdgeLayout
from forecasting.models._egnn_layer import EGNNLayer
from forecasting.models.base import MODELS, Forecaster, Readout
from forecasting.models.baselines import constant_velocity
from forecasting.models.heads import build_head
from forecasting.models.inputs import EdgeInvariants, NodeInvariants, node_vectors, vector_channels
from forecasting.models.place import place_frame
from forecasting.models.relaxed import relaxed_maps

STARTS = ("static", "constant_velocity")


@MODELS.register("egnn")
class EGNN(Forecaster):
    """EGNN with velocity, for any history and horizon; O(3)-equivariant, translations by centring.

    Every layer but the last moves the positions; the last returns one displacement per horizon step, which counts in
    proportion to its lead time, since nothing moves in no time. One step, one frame of history, ``start="static"`` and
    ``bounded=False`` give the published model.

    Args:
        schema: of the graphs.
        hidden: width F; layers: number of layers.
        start: forecast that the network corrects, ``static`` (as published) or ``constant_velocity``.
        bounded: see `EGNNLayer`; False as published.
        scalars, products: scalar fields used by nodes, and as products by edges; None takes all that the data have.
        chain: groups from large to small along which one map per layer is relaxed, from (h: F×0e, x: 1o, v: C×1o) to what is
            added to all three, in the last layer to the displacement only; x counts from the mean of the nodes at the
            anchor. An empty chain gives the strict network.
        head: what is made of the last layer, see `heads.build_head`; None for one forecast.
    """

    def __init__(
        self,
        schema: GraphSchema,
        hidden: int = 64,
        layers: int = 4,
        start: str = "constant_velocity",
        bounded: bool = True,
        scalars: Sequence[str] | None = None,
        products: Sequence[str] | None = None,
        chain: Sequence[str] = (),
        head: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(schema)
        if start not in STARTS:
            raise UsageError(f"egnn: unknown start '{start}'; {did_you_mean(start, STARTS)}")
        if layers < 1 or hidden < 1:
            raise UsageError("egnn: layers and hidden must be at least 1")
        self.start = start
        self.ending = build_head(head, hidden, schema)
        outputs = self.ending.count * schema.horizon
        self.node_inputs = NodeInvariants(schema, scalars)
        self.edge_inputs = EdgeInvariants(schema, products)
        self.embedding = nn.Linear(self.node_inputs.width, hidden)
        vectors = vector_channels(schema)
        self.layers = nn.ModuleList(
            EGNNLayer(hidden, self.edge_inputs.width, vectors, count, bounded, last)
            for count, last in [(1, False)] * (layers - 1) + [(outputs, True)]
        )
        before = f"{hidden}x0e+{1 + vectors}x1o"
        after = [before] * (layers - 1) + [f"{outputs}x1o"]
        self.relaxed, self.place = relaxed_maps([(before, out) for out in after], chain), place_frame(chain)

    def displacement(self, batch: GraphBatch) -> Readout:
        """See `Forecaster.displacement`."""
        h = self.embedding(self.node_inputs(batch))
        edges, vectors = self.edge_inputs(batch), node_vectors(self.schema, batch)
        anchor = x = batch.position[:, -1]
        layout = EdgeLayout(batch.edge_index, h.shape[0], h.dtype)
        place = None if self.place is None else self.place(batch)
        for index, layer in enumerate(self.layers):
            features = torch.cat([h, x, vectors.flatten(1)], dim=-1) if self.relaxed else None
            last = layer is self.layers[-1]
            known = h
            h, moved = layer(h, x, vectors, edges, layout)
            if features is not None:
                extra = self.relaxed[index](features, place)
                if not last:
                    h, extra = h + extra[:, : h.shape[1]], extra[:, h.shape[1] :]
                shifts = extra.unflatten(-1, (-1, 3))
                moved = moved + shifts[:, : moved.shape[1]]
                vectors = vectors if last else vectors + shifts[:, 1:]
            if not last:
                x = x + moved[:, 0]
        share = (batch.lead / batch.lead[:, -1:])[batch.batch][:, None, :, None]
        total = ((x - anchor)[:, None] + moved).unflatten(1, (self.ending.count, -1)) * share
        return Readout(total if self.start == "static" else total + constant_velocity(batch)[:, None], known)
