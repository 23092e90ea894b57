"""E(n)-equivariant graph network with velocity (Satorras, Hoogeboom, Welling, ICML 2021, equations 3–7)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from forecasting.errors import UsageError, did_you_mean
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.aggregate import degree, edge_sum
from forecasting.models.base import MODELS, Forecaster
from forecasting.models.baselines import constant_velocity
from forecasting.models.inputs import EdgeInvariants, NodeInvariants, node_vectors, vector_channels
from forecasting.models.mlp import perceptron
from forecasting.models.relaxed import relaxed_maps

STARTS = ("static", "constant_velocity")
_TINY = 1e-12  # keeps the gradient of a length finite for coincident nodes


class EGNNLayer(nn.Module):
    """One round of messages.

    With h_i node features, x_i position, v_ic vectors (velocities first), a_ij edge invariants::

        m_ij  = φ_e(h_i, h_j, |x_i − x_j|², a_ij)
        Δ_io  = Σ_c φ_v(h_i)_oc v_ic + 1/deg(i) Σ_j (x_i − x_j) φ_x(m_ij)_o
        h_i  += φ_h(h_i, Σ_j m_ij)

    With one vector and one output, x_i + Δ_i is the published update with v the initial velocity. The published program also
    clamps each term of the coordinate sum to ±100 per coordinate, which breaks rotations and is not part of the equations.

    Args:
        hidden: width of h and m; edges: width of a; vectors: channels of v; outputs: o, displacements per node.
        bounded: differences are divided by 1 + their length (an option of the published program), squared distances enter as
            log(1 + d²), and φ_v starts near 0, as φ_x does; so far nodes do not make the layers blow up, and training starts
            from the forecast that the network corrects.
    """

    def __init__(self, hidden: int, edges: int, vectors: int, outputs: int, bounded: bool) -> None:
        super().__init__()
        self.hidden, self.bounded = hidden, bounded
        self.edge_first = nn.Linear(2 * hidden + 1 + edges, hidden)
        self.edge_rest = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.node_net = perceptron([2 * hidden, hidden, hidden])
        last = nn.Linear(hidden, outputs, bias=False)
        nn.init.xavier_uniform_(last.weight, gain=0.001)
        self.coordinate_net = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), last)
        push = nn.Linear(hidden, outputs * vectors)
        if bounded:
            nn.init.xavier_uniform_(push.weight, gain=0.001)
            nn.init.zeros_(push.bias)
        self.velocity_net = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), push)

    def forward(
        self, h: Tensor, x: Tensor, vectors: Tensor, edge_index: Tensor, edges: Tensor, inverse_degree: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update h (N, F) and return it with the displacements (N, outputs, 3)."""
        source, target = edge_index
        difference = x[target] - x[source]
        squared = difference.square().sum(-1, keepdim=True)
        if self.bounded:
            difference = difference / (1 + (squared + _TINY).sqrt())
            squared = squared.log1p()
        messages = self.edge_rest(self._first(h, squared, edges, source, target))
        weights = self.coordinate_net(messages)
        pull = edge_sum(weights[..., None] * difference[:, None], target, len(h)) * inverse_degree[:, None, None]
        push = torch.einsum("noc,ncd->nod", self.velocity_net(h).unflatten(-1, (-1, vectors.shape[1])), vectors)
        update = self.node_net(torch.cat([h, edge_sum(messages, target, len(h))], dim=-1))
        return h + update, push + pull

    def _first(self, h: Tensor, squared: Tensor, edges: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """The first layer of φ_e; its product with h is taken per node, not per edge."""
        weight, width = self.edge_first.weight, self.hidden
        at_target, at_source, rest = weight[:, :width], weight[:, width : 2 * width], weight[:, 2 * width :]
        nodes = h @ torch.cat([at_target, at_source]).T
        own = torch.addmm(self.edge_first.bias, torch.cat([squared, edges], dim=-1), rest.T)
        return nodes[:, :width][target] + nodes[:, width:][source] + own


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
            added to (h: F×0e, Δ: O×1o), in the last layer to Δ only; x counts from the mean of the nodes at the
            anchor. An empty chain gives the strict network.
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
    ) -> None:
        super().__init__(schema)
        if start not in STARTS:
            raise UsageError(f"egnn: unknown start '{start}'; {did_you_mean(start, STARTS)}")
        if layers < 1 or hidden < 1:
            raise UsageError("egnn: layers and hidden must be at least 1")
        self.start = start
        self.node_inputs = NodeInvariants(schema, scalars)
        self.edge_inputs = EdgeInvariants(schema, products)
        self.embedding = nn.Linear(self.node_inputs.width, hidden)
        vectors = vector_channels(schema)
        outputs = [1] * (layers - 1) + [schema.horizon]
        self.layers = nn.ModuleList(EGNNLayer(hidden, self.edge_inputs.width, vectors, count, bounded) for count in outputs)
        before = f"{hidden}x0e+{1 + vectors}x1o"
        after = [f"{hidden}x0e+1x1o"] * (layers - 1) + [f"{schema.horizon}x1o"]
        self.relaxed = relaxed_maps([(before, out) for out in after], chain)

    def displacement(self, batch: GraphBatch) -> Tensor:
        """See `Forecaster.displacement`."""
        h = self.embedding(self.node_inputs(batch))
        edges, vectors = self.edge_inputs(batch), node_vectors(self.schema, batch)
        anchor = x = batch.position[:, -1]
        inverse_degree = 1 / degree(batch.edge_index[1], len(h), h.dtype)
        for index, layer in enumerate(self.layers):
            features = torch.cat([h, x, vectors.flatten(1)], dim=-1) if self.relaxed else None
            h, moved = layer(h, x, vectors, batch.edge_index, edges, inverse_degree)
            last = layer is self.layers[-1]
            if features is not None:
                extra = self.relaxed[index](features)
                if not last:
                    h, extra = h + extra[:, : h.shape[1]], extra[:, h.shape[1] :]
                moved = moved + extra.unflatten(-1, (-1, 3))
            if not last:
                x = x + moved[:, 0]
        share = (batch.lead / batch.lead[:, -1:])[batch.batch][..., None]
        total = ((x - anchor)[:, None] + moved) * share
        return total if self.start == "static" else total + constant_velocity(batch)
