"""Equivariant graph neural operator (Xu, Han, Lou et al., ICML 2024)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from forecasting.errors import UsageError, did_you_mean
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models._edges import EdgeLayout
from forecasting.models._egnn_layer import EGNNLayer
from forecasting.models._temporal import TemporalScalars, TemporalVectors, lead_embedding
from forecasting.models.base import MODELS, Forecaster, Readout
from forecasting.models.baselines import constant_velocity
from forecasting.models.egnn import STARTS
from forecasting.models.heads import build_head
from forecasting.models.inputs import EdgeInvariants, NodeInvariants, node_vectors, vector_channels
from forecasting.models.place import place_frame
from forecasting.models.relaxed import relaxed_maps


@MODELS.register("egno")
class EGNO(Forecaster):
    """EGNO: all H future frames at once, as H copies of the graph that know their lead times; O(3)-equivariant.

    In each layer a convolution over the frames (`TemporalScalars` on h, `TemporalVectors` on x and the vectors v), then an EGNN
    layer within each frame (`EGNNLayer`), with x counted from the mean of the nodes at the anchor::

        h ← h + σ(F⁻¹ W F h)     (x, v) ← (x, v) + F⁻¹ W' F (x, v)     h, Δ ← EGNN(h, x, v)     x ← x + Δ

    Modes are those of the order of the frames, whatever their spacing; the spacing enters by the embeddings of the lead times.
    ``start="static"`` and ``bounded=False`` give the published model, but for three things. The published program's frames
    count 0, 1, 2 … where lead times are used here. Its motion capture inputs hold the height divided by the largest of the
    batch, which breaks rotations and lets forecasts depend on the batch. Its h is φ_h(…) where this is h + φ_h(…), as in EGNN.

    Args:
        schema: of the graphs.
        hidden: width F (published: 64, 128 for motion capture); layers: number of layers.
        modes: of the frames that convolutions mix, at most H/2 + 1.
        time_width: of the embeddings of lead times.
        start: forecast that the network corrects, ``static`` (as published) or ``constant_velocity``.
        bounded: see `EGNNLayer`; convolutions of vectors then also start near 0. False as published.
        scalars, products: scalar fields used by nodes, and as products by edges; None takes all that the data have.
        chain: groups from large to small along which one map per layer is relaxed, from (h: F×0e, x: 1o, v: C×1o) of a frame to
            what is added to all three, in the last layer to x only. An empty chain gives the strict network.
        head: what is made of the last layer, see `heads.build_head`; it reads the mean of h over the frames.
    """

    def __init__(
        self,
        schema: GraphSchema,
        hidden: int = 64,
        layers: int = 6,
        modes: int = 2,
        time_width: int = 32,
        start: str = "constant_velocity",
        bounded: bool = True,
        scalars: Sequence[str] | None = None,
        products: Sequence[str] | None = None,
        chain: Sequence[str] = (),
        head: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(schema)
        if start not in STARTS:
            raise UsageError(f"egno: unknown start '{start}'; {did_you_mean(start, STARTS)}")
        if min(hidden, layers, modes) < 1:
            raise UsageError("egno: hidden, layers and modes must be at least 1")
        if time_width < 2 or time_width % 2:
            raise UsageError(f"egno: time_width must be even and at least 2, found {time_width}")
        self.start, self.time_width, frames = start, time_width, schema.horizon
        self.ending = build_head(head, hidden, schema)
        count = self.ending.count
        self.node_inputs = NodeInvariants(schema, scalars)
        self.edge_inputs = EdgeInvariants(schema, products)
        self.embedding = nn.Linear(self.node_inputs.width, hidden)
        self.time_embedding = nn.Linear(time_width, hidden, bias=False)
        vectors, width = vector_channels(schema), self.edge_inputs.width
        self.over_time = nn.ModuleList(TemporalScalars(hidden, frames, modes, hidden**-2.0) for _ in range(layers))
        scale = 1e-3 if bounded else 0.1
        self.over_time_vectors = nn.ModuleList(TemporalVectors(1 + vectors, frames, modes, scale) for _ in range(layers))
        self.layers = nn.ModuleList(
            EGNNLayer(hidden, width, vectors, outputs, bounded, last)
            for outputs, last in [(1, False)] * (layers - 1) + [(count, True)]
        )
        features = f"{hidden}x0e+{1 + vectors}x1o"
        self.relaxed = relaxed_maps([(features, features)] * (layers - 1) + [(features, f"{count}x1o")], chain)
        self.place = place_frame(chain)

    def displacement(self, batch: GraphBatch) -> Readout:
        """See `Forecaster.displacement`."""
        frames, nodes, anchor = self.schema.horizon, batch.batch.shape[0], batch.position[:, -1]
        times = self.time_embedding(lead_embedding(batch.lead, self.time_width))
        h = (self.embedding(self.node_inputs(batch)) + times.transpose(0, 1)[:, batch.batch]).flatten(0, 1)
        edges = self.edge_inputs(batch).repeat(frames, 1)
        layout = EdgeLayout(_copies(batch.edge_index, frames, nodes), frames * nodes, h.dtype)
        state = torch.cat([anchor[:, None], node_vectors(self.schema, batch)], dim=1).transpose(0, 1).expand(frames, -1, -1, -1)
        place = None if self.place is None else self.place(batch).repeat(frames, 1)
        for index, layer in enumerate(self.layers):
            h = self.over_time[index](h.view(frames, nodes, h.shape[1])).flatten(0, 1)
            state = self.over_time_vectors[index](state)
            per_node = state.transpose(1, 2).flatten(0, 1)
            x, vectors = per_node[:, 0], per_node[:, 1:]
            features = torch.cat([h, per_node.flatten(1)], dim=1) if self.relaxed else None
            new, moved = layer(h, x, vectors, edges, layout)
            ways = x[:, None] + moved
            if features is not None:
                extra = self.relaxed[index](features, place)
                if new is not None:
                    new, extra = new + extra[:, : h.shape[1]], extra[:, h.shape[1] :]
                    vectors = vectors + extra[:, 3:].unflatten(1, (-1, 3))
                ways = ways + extra.unflatten(1, (-1, 3))[:, : ways.shape[1]]
            if new is not None:
                h = new
                state = torch.cat([ways, vectors], dim=1).view(frames, nodes, *per_node.shape[1:]).transpose(1, 2)
        total = ways.view(frames, nodes, -1, 3).permute(1, 2, 0, 3) - anchor[:, None, None]
        known = h.view(frames, nodes, h.shape[1]).mean(0)
        return Readout(total if self.start == "static" else total + constant_velocity(batch)[:, None], known)


def _copies(edge_index: Tensor, times: int, nodes: int) -> Tensor:
    """(2, times × E) edges of `times` copies of a batch of `nodes` nodes, side by side."""
    shift = nodes * torch.arange(times, device=edge_index.device)[:, None]
    return (edge_index[:, None] + shift).flatten(1)
