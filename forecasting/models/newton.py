"""A learned law of motion, integrated, and a network that learns where to trust it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from forecasting.errors import UsageError
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models._newton_correction import Correction
from forecasting.models._newton_flow import Flow, adaptive, along, thinned
from forecasting.models._newton_law import Law, LawOfMotion
from forecasting.models._newton_trust import redescending, trusted
from forecasting.models.aggregate import degree
from forecasting.models.base import MODELS, Forecaster, Readout
from forecasting.models.baselines import constant_velocity
from forecasting.models.heads import build_head
from forecasting.models.inputs import EdgeInvariants, NodeInvariants, node_vectors, vector_channels
from forecasting.models.place import place_frame
from forecasting.models.relaxed import BRANCH, RelaxedMap, relaxed_maps

_DISAGREEMENT = 0.05  # [L] between two runs, at which a gradient counts half
_FLOOR = 3e-3  # [L] below which lengths look alike to the correction, so that rounding does not matter to it


@MODELS.register("newton")
class Newton(Forecaster):
    """A second-order model: pairwise forces, drag and pushes in a symplectic integrator, then a correction.

    A run with steps that shrink in close encounters gives the forecast, without gradients; a run with a fixed number of steps,
    spread as the first one's were, gives the gradients (`trusted`). How close the nodes came, and how far the runs disagree, are
    what a small network of scalars and vectors knows when it corrects the forecast; it adds nothing at first. Each graph has
    its own steps. O(3)-equivariant, translations by centring.

    Relaxed by a linear map of (what a node is, v, x) to an acceleration, which can hold gravity, a trap or a magnetic field.

    Args:
        schema: of the graphs.
        hidden: width of the law's perceptrons; bumps: bumps of a pull over the logarithm of distance, besides powers.
        limit: [L/τ²] longest sum of pulls at the start of training; τ is the last lead time.
        accuracy: step in units of the shortest time scale; fewest, most: bounds of the adaptive run's number of steps.
        steps: of the run with gradients.
        correction: width of the correction, 0 for none; rounds: of its messages.
        scalars, products: scalar fields used by nodes, and as products by pairs; None takes all that the data have.
        chain: groups of the relaxed map; empty for a strict model.
        head: what is made of the correction, see `heads.build_head`; None for one forecast.
    """

    def __init__(
        self,
        schema: GraphSchema,
        hidden: int = 32,
        bumps: int = 8,
        limit: float = 100.0,
        accuracy: float = 0.1,
        fewest: int = 20,
        most: int = 200,
        steps: int = 32,
        correction: int = 24,
        rounds: int = 2,
        scalars: Sequence[str] | None = None,
        products: Sequence[str] | None = None,
        chain: Sequence[str] = (),
        head: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(schema)
        if min(hidden, fewest, steps, rounds) < 1 or most < fewest or min(bumps, correction) < 0:
            raise UsageError(
                "newton: hidden, fewest, steps and rounds must be at least 1, most at least fewest, the rest not < 0"
            )
        if not (limit > 0 and accuracy > 0):
            raise UsageError("newton: limit and accuracy must be positive")
        if BRANCH in chain:
            raise UsageError(f"newton relaxes one linear map and has no place for perceptron branches (chain=[{BRANCH}])")
        self.accuracy, self.fewest, self.most, self.steps = accuracy, fewest, most, steps
        self.law = LawOfMotion(schema, hidden, bumps, limit, scalars, products)
        self.older = nn.Parameter(torch.zeros(schema.velocities - 1))
        self.node_inputs = NodeInvariants(schema, scalars)
        self.edge_inputs = EdgeInvariants(schema, products)
        self.ending = build_head(head, correction, schema)
        self.correction = None
        if correction:
            nodes, edges = self.node_inputs.width + 5, self.edge_inputs.width + 3
            inputs = vector_channels(schema) + schema.horizon + 2
            self.correction = Correction(
                nodes, edges, inputs, schema.horizon + 1, 3, correction, rounds, schema.horizon, self.ending.count
            )
        self.relaxed, self.place = relaxed_maps([self.law.place], chain), place_frame(chain)

    def displacement(self, batch: GraphBatch) -> Readout:
        """See `Forecaster.displacement`."""
        law = self.law(batch, cast(RelaxedMap, self.relaxed[0]) if len(self.relaxed) else None, self.place)
        x, v = batch.position[:, -1], self._velocity(batch, law)
        flow = adaptive(law.detached(), x, v.detach(), batch.lead, self.accuracy, self.fewest, self.most)
        coarse = along(law, x, v, thinned(flow.times, flow.steps, self.steps), batch.lead)
        if len(self.relaxed):
            coarse = redescending(coarse.flatten(1), batch.batch, batch.num_graphs).view_as(coarse)
        apart = (flow.moved - coarse.detach()).square().sum(-1).amax(1)
        widest = apart.new_zeros(batch.num_graphs).scatter_reduce(0, batch.batch, apart, "amax")
        moved = trusted(coarse, flow.moved, 1 / (1 + widest / _DISAGREEMENT**2), batch.batch)
        if self.correction is None:
            return Readout(moved)
        share = (batch.lead / batch.lead[:, -1:])[batch.batch][:, None, :, None]
        added, known = self._corrected(batch, flow, coarse.detach(), apart, widest)
        return Readout(moved[:, None] + share * added, known)

    def _velocity(self, batch: GraphBatch, law: Law) -> Tensor:
        """(N, 3) at the anchor: the latest one, mixed with older ones, and moved in time by a learned delay."""
        v = batch.velocity[:, -1]
        known = (batch.velocity_valid[:, :-1] & batch.velocity_valid[:, -1:])[..., None]
        older = torch.einsum("c,ncd->nd", self.older, (batch.velocity[:, :-1] - v[:, None]) * known)
        return v + older + law.delay * law.pull(batch.position[:, -1])[0]

    def _corrected(self, batch: GraphBatch, flow: Flow, coarse: Tensor, apart: Tensor, widest: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K, H, 3) what the network adds, and its scalars (N, F); it sees the runs without gradients."""
        source, target = batch.edge_index
        x = batch.position[:, -1]
        moved, straight = flow.moved, constant_velocity(batch)
        swerve, end = moved - straight, x + moved[:, -1]
        near = x.new_full((len(x), 1), 1.0).scatter_reduce(0, target[:, None], flow.closest, "amin")
        measures = [near, apart[:, None], widest[batch.batch][:, None], swerve[:, -1:].square().sum(-1)]
        scalars = [
            self.node_inputs(batch),
            *(_log(value) for value in measures),
            flow.velocity.norm(dim=-1, keepdim=True).log1p(),
        ]
        turned = flow.velocity - batch.velocity[:, -1]
        vectors = [node_vectors(self.schema, batch), turned[:, None], swerve, (moved - coarse)[:, -1:]]
        ways = torch.stack(
            [x[target] - x[source], end[target] - end[source], flow.velocity[target] - flow.velocity[source]], dim=1
        )
        pairs = self.edge_inputs(batch)
        lengths = [ways[:, 0].square().sum(-1, True), ways[:, 1].square().sum(-1, True), flow.closest]
        correction = cast(Correction, self.correction)
        inverse_degree = 1 / degree(target, len(x), x.dtype)[:, None]
        edges = torch.cat([pairs, *(_log(value) for value in lengths)], dim=-1)
        out: tuple[Tensor, Tensor] = correction(
            torch.cat(scalars, dim=-1), torch.cat(vectors, dim=1), batch.edge_index, edges, ways, inverse_degree
        )
        return out


def _log(squared: Tensor) -> Tensor:
    """Half the logarithm of a square [L²], floored, about 1 in size."""
    return 0.25 * (squared + _FLOOR**2).log()
