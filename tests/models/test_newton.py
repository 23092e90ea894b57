"""The learned law of motion: contract, physics it must reproduce, and what relaxing it means."""

import math

import numpy as np
import pytest
import torch

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models._newton_flow import adaptive, along, thinned
from forecasting.models._newton_law import POWERS, Law
from forecasting.models._newton_trust import redescending, trusted
from forecasting.models.relaxed import dialled
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.transforms import random_rotation
from forecasting.testing.models import ForecasterContract
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

SMALL = {"hidden": 8, "bumps": 4, "steps": 6, "fewest": 5, "most": 30, "correction": 8, "limit": 5.0}
FIELDS = ("position", "velocity", "heading")


class TestNewton(ForecasterContract):
    model = "newton"
    arguments = SMALL
    follows = ("translated", "yaw", "so3", "mirrored")
    reads_fields = True


class TestLawAlone(ForecasterContract):
    model = "newton"
    arguments = {**SMALL, "correction": 0, "scalars": [], "products": ["charge"]}
    follows = ("translated", "yaw", "so3", "mirrored")
    reads_fields = True


class TestRelaxed(ForecasterContract):
    model = "newton"
    arguments = {**SMALL, "chain": ["O(3)", "identity"]}
    follows = ("translated",)


@pytest.fixture
def graphs(tmp_path):
    dataset = random_dataset(tmp_path / "data", velocity=True, gaps=False)
    spec, topology = WindowSpec(2, (3, 4)), Complete()
    windows = dataset.windows(spec, dataset.anchors(spec))
    builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows), torch.float64)
    return builder, builder.build(windows)


def made(builder, **arguments):
    torch.manual_seed(0)
    model = build_model("newton", builder.schema, {**SMALL, **arguments}).double().eval()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return model


def turned(batch, rotation):
    """Every vector of the batch, turned."""
    other = batch.clone()
    for name in FIELDS:
        other[name] = (batch[name].unflatten(-1, (-1, 3)) @ rotation.T).reshape(batch[name].shape)
    return other


def kepler(graphs=1, limit=1e6, charge=-1.0, drag=0.0, dtype=torch.float64):
    """Two bodies per graph with accelerations charge (x_i − x_j) / r³."""
    pairs = torch.tensor([[0, 1], [1, 0]])
    edges = torch.cat([pairs + 2 * index for index in range(graphs)], dim=1)
    weight = torch.zeros(1, len(POWERS), dtype=dtype)
    weight[0, POWERS.index(2.0)] = charge
    slopes = torch.tensor([[-(power + 1) / 2 for power in POWERS], [0.0] * len(POWERS)], dtype=dtype)
    graph = torch.arange(graphs).repeat_interleave(2)
    return Law(
        source=edges[0],
        target=edges[1],
        edge_graph=graph[edges[1]],
        graph=graph,
        graphs=graphs,
        weight=weight.expand(2 * graphs, -1),
        constant=torch.zeros(len(POWERS), dtype=dtype),
        slopes=slopes,
        softness=torch.full((2 * graphs, 1), 1e-12, dtype=dtype),
        limit=torch.full((2 * graphs, 1), limit, dtype=dtype),
        delay=torch.zeros(2 * graphs, 1, dtype=dtype),
        drag=torch.full((2 * graphs, 1), drag, dtype=dtype),
        push=torch.zeros(2 * graphs, 3, dtype=dtype),
        matrix=None,
    )


def ellipse(eccentricities):
    """Both bodies at the far ends of ellipses with semi-major axis 1/2 (relative: a = 1, μ = 2), at rest as a whole."""
    x, v = [], []
    for e in eccentricities:
        speed = math.sqrt(2 * (1 - e) / (1 + e))
        x += [[(1 + e) / 2, 0.0, 0.0], [-(1 + e) / 2, 0.0, 0.0]]
        v += [[0.0, speed / 2, 0.0], [0.0, -speed / 2, 0.0]]
    return torch.tensor(x, dtype=torch.float64), torch.tensor(v, dtype=torch.float64)


def test_an_orbit_closes_after_its_period():
    x, v = ellipse([0.3])
    lead = torch.tensor([[math.pi, 2 * math.pi]], dtype=torch.float64) / math.sqrt(2)
    coarse, fine = (adaptive(kepler(), x, v, lead, accuracy, 2, 10**5).moved for accuracy in (0.02, 0.01))
    assert fine[:, 1].abs().max() < 1e-3
    assert coarse[:, 1].abs().max() / fine[:, 1].abs().max() == pytest.approx(4, rel=0.1)
    torch.testing.assert_close(fine[:, 0], torch.stack([-2 * 0.5 * x[0] / x[0, 0], 2 * 0.5 * x[0] / x[0, 0]]), atol=1e-3, rtol=0)


def test_steps_shrink_in_close_encounters_of_the_graph_alone():
    x, v = ellipse([0.0, 0.9])
    lead = torch.full((2, 1), 2 * math.pi / math.sqrt(2), dtype=torch.float64)
    both = adaptive(kepler(2), x, v, lead, 0.1, 10, 10**5)
    alone = [adaptive(kepler(), x[2 * k : 2 * k + 2], v[2 * k : 2 * k + 2], lead[:1], 0.1, 10, 10**5) for k in range(2)]
    for index, flow in enumerate(alone):
        torch.testing.assert_close(both.moved[2 * index : 2 * index + 2], flow.moved, rtol=0, atol=1e-10)
        assert both.steps[index] == flow.steps[0]
    spans = both.times[:, 1].diff()
    assert spans[spans > 0].max() / spans[spans > 0].min() > 10
    assert both.closest[2].sqrt().item() == pytest.approx(0.1, rel=0.1)
    even = along(kepler(2), x, v, torch.linspace(0, 1, int(both.steps[1]) + 1).double()[:, None] * lead.T, lead)
    assert both.moved[2:].abs().max() < 0.5 * even[2:].abs().max()


def test_a_thinned_run_ends_on_time_and_repeats_the_adaptive_one():
    x, v = ellipse([0.5])
    lead = torch.tensor([[1.0, 1.7, 2.0]], dtype=torch.float64)
    flow = adaptive(kepler(), x, v, lead, 0.05, 2, 10**5)
    same = thinned(flow.times, flow.steps, int(flow.steps[0]))
    torch.testing.assert_close(same, flow.times[: len(same)])
    torch.testing.assert_close(along(kepler(), x, v, same, lead), flow.moved, rtol=0, atol=1e-12)
    fewer = thinned(flow.times, flow.steps, 20)
    assert fewer[0] == 0
    assert fewer[-1] == 2
    assert (fewer.diff(dim=0) > 0).all()
    torch.testing.assert_close(along(kepler(), x, v, fewer, lead), flow.moved, rtol=0, atol=0.02)


def test_drag_slows_down_exactly_and_pulls_are_bounded():
    x, v = torch.zeros(2, 3).double(), torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]).double()
    x[1, 2] = 1e-3
    lead = torch.tensor([[1.0]], dtype=torch.float64)
    free = adaptive(kepler(charge=0.0, drag=0.7), x, v, lead, 0.1, 50, 50)
    torch.testing.assert_close(free.velocity, v * math.exp(-0.7), rtol=1e-12, atol=0)
    torch.testing.assert_close(free.moved[:, 0], v * (1 - math.exp(-0.7)) / 0.7, rtol=1e-4, atol=0)
    pulled, _, _ = kepler(limit=3.0).pull(x)
    torch.testing.assert_close(pulled.norm(dim=1), torch.full((2,), 3.0).double())


def test_untrained_it_keeps_the_velocity(graphs):
    builder, batch = graphs
    model = build_model("newton", builder.schema, SMALL).double()
    expected = batch.velocity[:, -1, None] * batch.lead[batch.batch][..., None]
    torch.testing.assert_close(model(batch).displacement[:, 0], expected, rtol=0, atol=1e-12)


def test_an_untrained_correction_adds_nothing(graphs):
    builder, batch = graphs
    model = made(builder)
    bare = made(builder, correction=0)
    bare.load_state_dict({key: value for key, value in model.state_dict().items() if not key.startswith("correction")})
    fresh = build_model("newton", builder.schema, SMALL).double().correction
    model.correction = fresh
    assert torch.equal(model(batch).displacement, bare(batch).displacement)


def test_gradients_of_graphs_in_disagreement_fade():
    coarse = torch.zeros(4, 1, 3, requires_grad=True)
    out = trusted(coarse, torch.ones(4, 1, 3), torch.tensor([1.0, 0.1]), torch.tensor([0, 0, 1, 1]))
    assert torch.equal(out, torch.ones(4, 1, 3))
    out.sum().backward()
    assert coarse.grad[:, 0, 0].tolist() == pytest.approx([1, 1, 0.1, 0.1])


@pytest.mark.parametrize("wild", [1e6, math.inf, math.nan])
def test_wild_gradients_are_left_out_and_stay_finite(wild):
    values = torch.zeros(40, 2, requires_grad=True)
    graph = torch.arange(20).repeat_interleave(2)
    out = redescending(values, graph, 20)
    assert torch.equal(out, values)
    slope = torch.ones(40, 2)
    slope[-1] = wild
    out.backward(slope)
    assert values.grad[-2:].abs().max() < 1e-4
    assert values.grad[:-2].eq(0.5).all()


def test_it_learns_an_unknown_law_from_motion(tmp_path):
    dataset = random_dataset(tmp_path / "data", scenes=40, velocity=True, gaps=False, types=("one",))
    spec, topology = WindowSpec(1, (4,)), Complete()
    windows = dataset.windows(spec, dataset.anchors(spec)[::3])
    builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows))
    batch = builder.build(windows)
    torch.manual_seed(0)
    teacher = build_model("newton", builder.schema, {**SMALL, "correction": 0})
    with torch.no_grad():
        teacher.law.pair_net[-1].bias[POWERS.index(1.0)] = 1.0
        batch.target = teacher(batch).displacement[:, 0]
    model = build_model("newton", builder.schema, {**SMALL, "correction": 0, "steps": 10})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    errors = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(batch).displacement[:, 0] - batch.target).square().mean()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.05 * errors[0]


def test_relaxed_it_is_strict_with_the_dial_at_zero_and_not_otherwise(graphs):
    builder, batch = graphs
    strict, relaxed = made(builder), made(builder, chain=["O(3)", "identity"])
    assert not list(strict.relaxed.parameters())
    kept = {key: value for key, value in relaxed.state_dict().items() if not key.startswith("relaxed")}
    assert kept.keys() == strict.state_dict().keys()
    strict.load_state_dict(kept)
    with dialled(relaxed, 0.0):
        assert torch.equal(relaxed(batch).displacement, strict(batch).displacement)
    rotation = torch.as_tensor(random_rotation(np.random.default_rng(0)))
    plain, other = relaxed(batch).displacement, relaxed(turned(batch, rotation)).displacement
    assert (other - plain @ rotation.T).abs().max() > 1e-3


def test_relaxed_to_a_group_it_follows_that_group(graphs):
    builder, batch = graphs
    model = made(builder, chain=["O(3)", "identity"])
    layer = model.relaxed[0]
    group = parse_group("SO(2)(1,2,3)")
    with torch.no_grad():
        layer.matrix.copy_(Projector(group, layer.irreps_in, layer.irreps_out, bias=True).project(layer.matrix))
    plain = model(batch).displacement
    for rotation in group.sample(np.random.default_rng(0), 3):
        turn = torch.as_tensor(rotation)
        torch.testing.assert_close(model(turned(batch, turn)).displacement, plain @ turn.T, rtol=0, atol=1e-9)
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    assert (model(turned(batch, flip)).displacement - plain @ flip.T).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"most": 3}, "most at least fewest"),
        ({"accuracy": 0.0}, "must be positive"),
        ({"acuracy": 1}, "did you mean 'accuracy'"),
        ({"scalars": ["mass"]}, "no scalar field"),
        ({"chain": ["SO(33)"]}, "unknown group"),
    ],
)
def test_wrong_arguments_are_named(graphs, arguments, message):
    with pytest.raises(UsageError, match=message):
        build_model("newton", graphs[0].schema, {**SMALL, **arguments})
