"""A learned law of motion: who pulls whom how hard, what slows a node down, and what pushes it all the time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models._newton_trust import redescending
from forecasting.models.mlp import perceptron
from forecasting.models.place import PlaceFrame
from forecasting.models.relaxed import RelaxedMap

POWERS = (-1.0, 0.0, 1.0, 2.0, 3.0)
_NEAREST, _FARTHEST = 0.05, 8.0  # [L] centres of the first and last bump
_SOFT = 0.03  # [L] distance below which pulls stop growing, at the start
_CROSSING = 0.1  # [L] shortest way that a step must resolve
_SCALES = (0.3, 0.3, 0.02)  # of log limit, log softness and delay [τ] per unit of the parameters
_PUSH = 10.0  # factor on what a node is, where the relaxed map reads it: constant accelerations are large in L/τ²
_LARGEST_DRAG = 4.0  # [1/τ]


@dataclass(frozen=True)
class Law:
    """Accelerations as a function of positions and velocities, for the graphs of one batch.

    Attributes:
        source, target: (E,) ends of edges; edge_graph: (E,), graph: (N,) where they belong; graphs: B.
        weight: (E, M) of the M distance functions exp(constant + c₁ ℓ + c₂ ℓ²), ℓ = log(r² + softness).
        constant: (M,); slopes: (2, M) c₁, c₂; softness: (E, 1) [L²].
        limit: (N, 1) [L/τ²] longest pull; delay: (N, 1) [τ] from the time of the positions to that of the velocities.
        drag: (N, 1) [1/τ]; push: (N, 3) [L/τ²] constant acceleration.
        matrix: (6, 3) on (v, x), of the relaxed map; None in a strict model.
    """

    source: Tensor
    target: Tensor
    edge_graph: Tensor
    graph: Tensor
    graphs: int
    weight: Tensor
    constant: Tensor
    slopes: Tensor
    softness: Tensor
    limit: Tensor
    delay: Tensor
    drag: Tensor
    push: Tensor
    matrix: Tensor | None

    def pull(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Acceleration (N, 3) that positions (N, 3) cause, strength (E, 1) per distance, squared distance (E, 1)."""
        difference = x.index_select(0, self.target) - x.index_select(0, self.source)
        squared = difference.square().sum(-1, keepdim=True)
        level = (squared + self.softness).log()
        strength = (torch.addmm(self.constant, torch.cat([level, level.square()], 1), self.slopes).exp() * self.weight).sum(
            1, True
        )
        total = torch.zeros_like(x).index_add(0, self.target, strength * difference)
        shrink = self.limit * torch.maximum(total.square().sum(-1, keepdim=True), self.limit.square()).rsqrt()
        total = torch.addcmul(self.push, total, shrink)
        return (total if self.matrix is None else torch.addmm(total, x, self.matrix[3:])), strength, squared

    def slowed(self, v: Tensor, dt: Tensor) -> Tensor:
        """(N, 3) velocities after a time (N, 1) of drag, and of what else velocities cause (explicit midpoint rule)."""
        after = v * torch.exp(-self.drag * dt)
        if self.matrix is None:
            return after
        turn = self.matrix[:3]
        return torch.addcmul(after, dt, torch.addcmul(v, dt, v @ turn, value=0.5) @ turn)

    def rate(self, strength: Tensor, squared: Tensor) -> Tensor:
        """(B,) [1/τ²] the squared rate of the quickest pair of each graph: |acceleration| / distance, both bounded."""
        quickest = torch.minimum(strength.abs(), self.limit[self.target] / (squared + _CROSSING**2).sqrt()).squeeze(-1)
        return quickest.new_zeros(self.graphs).scatter_reduce(0, self.edge_graph, quickest, "amax")

    def detached(self) -> "Law":
        """The same numbers without gradients."""
        plain: dict[str, Any] = {name: value.detach() for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **plain)

    def of(self, graphs: Tensor, nodes: Tensor, edges: Tensor) -> "Law":
        """The law of some graphs only; indices (…,) of the graphs, their nodes and their edges, ascending."""
        node_place = self.source.new_zeros(len(self.graph)).index_fill(0, nodes, 1).cumsum(0) - 1
        graph_place = self.source.new_zeros(self.graphs).index_fill(0, graphs, 1).cumsum(0) - 1
        return replace(
            self,
            source=node_place[self.source[edges]],
            target=node_place[self.target[edges]],
            edge_graph=graph_place[self.edge_graph[edges]],
            graph=graph_place[self.graph[nodes]],
            graphs=len(graphs),
            weight=self.weight[edges],
            softness=self.softness[edges],
            limit=self.limit[nodes],
            delay=self.delay[nodes],
            drag=self.drag[nodes],
            push=self.push[nodes],
        )


class LawOfMotion(nn.Module):
    """Learns a `Law`: pairwise central accelerations, drag, and pushes along known vectors.

    ::

        a_i = clip(Σ_j Σ_m w_m(c_ij) f_m(r_ij) (x_i − x_j) / r_ij) − β(c_i) v_i + Σ_k α_k(c_i) u_ik

    f_m are powers of the softened distance and bumps over its logarithm; c_ij are what the ends of an edge are (types, scalar
    fields, their products), c_i what a node is; u_ik are its vector fields and the changes of its velocity over the history.
    The weights are worked out once per forecast, so that a step of integration holds no perceptron. The clip shortens a sum
    that is longer than a learned limit, so accelerations are bounded.

    Args:
        schema: of the graphs; hidden: width of the perceptrons; bumps: number of bumps.
        limit: [L/τ²] longest pull at the start of training.
        scalars, products: scalar fields used; None takes all that the data have.
    """

    constant: Tensor
    slopes: Tensor
    scales: Tensor

    def __init__(
        self,
        schema: GraphSchema,
        hidden: int,
        bumps: int,
        limit: float,
        scalars: Sequence[str] | None,
        products: Sequence[str] | None,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.scalars = schema.scalars(None if scalars is None else tuple(scalars))
        self.products = schema.scalars(None if products is None else tuple(products))
        size = {spec.name: int(spec.shape[0]) for spec in schema.specs if spec.name in schema.fields}
        self.types = len(schema.node_types) if len(schema.node_types) > 1 else 0
        self.edge_types = len(schema.edge_types) if len(schema.edge_types) > 1 else 0
        self.context = 1 + self.types + sum(size[name] for name in self.scalars)
        edge_width = 2 * self.context + self.edge_types + sum(size[name] for name in self.products)
        self.pushes = schema.velocities - 1 + sum(size[name] // 3 for name in schema.vectors())
        constant, slopes = _distance_functions(bumps)
        self.register_buffer("constant", constant, persistent=False)
        self.register_buffer("slopes", slopes, persistent=False)
        self.pair_net = _from_zero(perceptron([edge_width, hidden, hidden, len(constant)]))
        self.node_net = _from_zero(perceptron([self.context, hidden, 1 + self.pushes]))
        self.limit = limit
        self.shared = nn.Parameter(torch.zeros(3))
        self.register_buffer("scales", torch.tensor(_SCALES), persistent=False)

    def forward(self, batch: GraphBatch, relaxed: RelaxedMap | None = None, frame: PlaceFrame | None = None) -> Law:
        """The law of these graphs; `relaxed` adds what it makes of (10 context, v, x) of a node, and of its place in `frame`."""
        source, target = batch.edge_index
        nodes = self.node_context(batch)
        about = [nodes[target], nodes[source], *(batch[name][source] * batch[name][target] for name in self.products)]
        if self.edge_types:
            about.append(one_hot(batch.edge_type, self.edge_types).to(nodes.dtype))
        edge_graph, graphs = batch.batch[target], batch.num_graphs
        weight = redescending(self.pair_net(torch.cat(about, dim=-1)), edge_graph, graphs)
        own = redescending(self.node_net(nodes), batch.batch, graphs)
        drag, push = own[:, :1], torch.einsum("nk,nkd->nd", own[:, 1:], self._known(batch))
        scaled = (self.shared * self.scales).expand(graphs, -1)
        shared = redescending(scaled, torch.arange(graphs, device=target.device), graphs)
        limit, softness = self.limit * shared[:, :1].exp(), _SOFT * shared[:, 1:2].exp()
        matrix = None
        if relaxed is not None:
            whole = relaxed.effective()
            constant = nn.functional.linear(_PUSH * nodes, whole[:, : self.context], whole[:, -1])
            matrix = whole[:, self.context : -1].T
            if relaxed.shift is not None and frame is not None:
                pull = relaxed.shift.effective()
                constant = constant + (frame(batch) - frame.scale * batch.position[:, -1]) @ pull.T
                matrix = torch.cat([matrix[:3], matrix[3:] + frame.scale * pull.T])
            push = push + redescending(constant, batch.batch, graphs)
        return Law(
            source=source,
            target=target,
            edge_graph=edge_graph,
            graph=batch.batch,
            graphs=graphs,
            weight=weight,
            constant=self.constant,
            slopes=self.slopes,
            softness=softness[edge_graph].square(),
            limit=limit[batch.batch],
            delay=shared[batch.batch, 2:],
            drag=_LARGEST_DRAG * torch.tanh(drag / _LARGEST_DRAG),
            push=push,
            matrix=matrix,
        )

    @property
    def place(self) -> tuple[str, str]:
        """Irreps of the relaxed map: (10 context, v, x) to an acceleration."""
        return f"{self.context}x0e+2x1o", "1x1o"

    def node_context(self, batch: GraphBatch) -> Tensor:
        """(N, context) what a node is: one, its type, its scalar fields."""
        dtype = batch.position.dtype
        parts = [batch.position.new_ones((len(batch.batch), 1))]
        if self.types:
            parts.append(one_hot(batch.node_type, self.types).to(dtype))
        return torch.cat([*parts, *(batch[name] for name in self.scalars)], dim=-1)

    def _known(self, batch: GraphBatch) -> Tensor:
        """(N, pushes, 3) changes of velocity over the history where both are known, then vector fields."""
        known = (batch.velocity_valid[:, :-1] & batch.velocity_valid[:, -1:])[..., None]
        changes = (batch.velocity[:, -1:] - batch.velocity[:, :-1]) * known
        return torch.cat([changes, *(batch[name].unflatten(-1, (-1, 3)) for name in self.schema.vectors())], dim=1)


def _distance_functions(bumps: int) -> tuple[Tensor, Tensor]:
    """Constant (M,) and slopes (2, M) in ℓ = 2 log r of f_m(r) / r: r^{−k}, and exp(−(log r − μ)² / 2σ²), σ the spacing of μ."""
    powers = [(0.0, -(power + 1) / 2, 0.0) for power in POWERS]
    centres = torch.linspace(torch.tensor(_NEAREST).log().item(), torch.tensor(_FARTHEST).log().item(), max(bumps, 2)).tolist()
    spread = 2 * (centres[1] - centres[0]) ** 2
    rows = powers + [(-(mu**2) / spread, mu / spread - 0.5, -0.25 / spread) for mu in centres[:bumps]]
    table = torch.tensor(rows)
    return table[:, 0].contiguous(), table[:, 1:].T.contiguous()


def _from_zero(net: nn.Sequential) -> nn.Sequential:
    last = net[-1]
    if isinstance(last, nn.Linear):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return net
