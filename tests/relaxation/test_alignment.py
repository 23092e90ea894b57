"""Networks turned as a whole, and the turn with which they forecast best."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models.relaxed import place_layers, split_layers
from forecasting.relaxation.alignment import Alignment, align, turned
from forecasting.relaxation.restriction import restricted
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.residual import BatchFields
from forecasting.testing.runs import SMALLEST
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

CHAINS = {
    "no line": ["translations", "O(3)", "SO(3)"],
    "an axis": ["translations", "O(3)", "C∞v(1,2,3)", "SO(2)(1,2,3)"],
    "quarters": ["O(3)", "C_4(y)"],
    "a mirror": ["translations", "O(3)", "mirror(1,1,0)"],
}
EXACT = 1e-10
TURN = Rotation.from_rotvec([0.9, -0.4, 0.5]).as_matrix()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Makes (schema, batches), of as many scenes as told."""

    def make(scenes=4, dtype=torch.float64):
        dataset = random_dataset(tmp_path_factory.mktemp("data") / "set", scenes=scenes)
        spec, topology = WindowSpec(2, (1, 2)), Complete()
        anchors = dataset.anchors(spec)
        windows = dataset.windows(spec, anchors)
        schema = schema_of(dataset.manifest, spec, topology)
        builder = GraphBuilder(schema, topology, Normalization.fit(windows), dtype)
        return schema, [builder.build(dataset.windows(spec, part)) for part in np.array_split(anchors, 2)]

    return make


def network(name, schema, chain):
    torch.manual_seed(1)
    model = build_model(name, schema, {**SMALLEST[name], "chain": chain}).double().eval()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    for layer in place_layers(model).values():
        layer.across.copy_(torch.diag(torch.tensor([1.0, 1.0, 0.0])))
    return model


def pushing(schema, axis):
    """A strict network, and a push along `axis` at the end: all that is not kept under turns."""
    model = network("egnn", schema, ["O(3)"])
    axis = torch.tensor(axis, dtype=torch.float64)
    with torch.no_grad():
        for layer in split_layers(model).values():
            layer.gamma.fill_(1)
            layer.matrix.zero_()
        layer.matrix[:, -1] = torch.cat([axis, axis])
    return model


@torch.no_grad()
def forecast(model, batch):
    return model(batch).displacement


def targets(model, batches, noise=0.0, seed=0):
    """The batches, with what the network forecasts as target, and noise."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for batch in batches:
        found, told = forecast(model, batch)[:, 0], batch.clone()
        told.target = found + noise * torch.randn(found.shape, generator=generator, dtype=found.dtype)
        made.append(told)
    return made


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("name", SMALLEST)
def test_a_turned_network_forecasts_as_the_network_does_in_a_turned_world(graphs, name, chain):
    schema, (batch, _) = graphs()
    model = network(name, schema, CHAINS[chain])
    centre = np.zeros(3)
    if model.place is not None:
        centre = np.array([0.3, -0.2, 0.1])
        model.place.centre.copy_(torch.from_numpy(centre))
    back = BatchFields.of(schema.specs).act(batch, TURN.T, centre - TURN.T @ centre)
    expected = forecast(model, back) @ torch.from_numpy(TURN).T
    size = expected.abs().max()
    assert (forecast(model, batch) - expected).abs().max() > 1e-4 * size
    assert (forecast(turned(model, TURN), batch) - expected).abs().max() < EXACT * size


@pytest.mark.parametrize("chain", CHAINS)
def test_turned_there_and_back_is_the_same(graphs, chain):
    schema, (batch, _) = graphs()
    model = network("egnn", schema, CHAINS[chain])
    there = turned(model, TURN)
    again = turned(there, TURN.T)
    for layer, one, two in zip(*(split_layers(made).values() for made in (model, there, again)), strict=True):
        torch.testing.assert_close(two.matrix, layer.matrix, rtol=0, atol=1e-12)
        torch.testing.assert_close(one.sizes(), layer.sizes(), rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(one.levels(), layer.levels(), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(forecast(again, batch), forecast(model, batch), rtol=0, atol=EXACT)


def test_what_keeps_an_axis_keeps_the_turned_one(graphs):
    schema, (batch, _) = graphs()
    model = turned(restricted(network("egnn", schema, CHAINS["no line"]), parse_group("C∞v(z)")), TURN)
    n = TURN[:, 2]
    about = parse_group(f"C∞v({','.join(map(repr, n.tolist()))})")
    held = restricted(model, about)
    torch.testing.assert_close(forecast(held, batch), forecast(model, batch), rtol=0, atol=EXACT)


@pytest.mark.parametrize("angle", [0.05, 0.2, 0.3])
@pytest.mark.parametrize("name", ["egnn", "newton"])
def test_a_planted_turn_is_found(graphs, name, angle):
    schema, batches = graphs()
    model = network(name, schema, ["O(3)", "SO(3)"])
    axis = np.array([2.0, -1.0, 2.0]) / 3
    planted = Rotation.from_rotvec(angle * axis).as_matrix()
    found = align(model, targets(turned(model, planted), batches), rounds=4)
    away = Rotation.from_matrix(found.rotation.T @ planted).magnitude()
    assert away < 1e-3
    back = align(turned(model, found.rotation), targets(turned(model, planted), batches))
    assert Rotation.from_matrix(back.rotation).magnitude() < 1e-3


def test_where_it_forecasts_best_already_it_is_not_turned(graphs):
    schema, batches = graphs()
    model = network("egnn", schema, ["O(3)"])
    found = align(model, targets(model, batches))
    np.testing.assert_allclose(found.rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.sure, 0, atol=1e-12)


def test_turns_that_are_not_noticed_are_left_alone(graphs):
    """A push along n is turned across n, but never about it; a network that keeps all turns, never at all."""
    schema, batches = graphs()
    n = np.array([1.0, 2.0, 2.0]) / 3
    model = pushing(schema, n)
    planted = Rotation.from_rotvec([0.1, 0.05, -0.1]).as_matrix()
    found = align(model, targets(turned(model, planted), batches), rounds=3)
    np.testing.assert_allclose(found.rotation @ n, planted @ n, atol=1e-5)
    turn = Rotation.from_matrix(found.rotation).as_rotvec()
    assert abs(turn @ n) < 0.01 * np.linalg.norm(turn)
    found = align(pushing(schema, np.zeros(3)), targets(model, batches))
    assert np.array_equal(found.rotation, np.eye(3))
    assert not found.sure.any()


def test_rounding_is_not_noticed(graphs):
    schema, batches = graphs(dtype=torch.float32)
    strict = pushing(schema, np.zeros(3)).float()
    pushed = targets(pushing(schema, np.array([0.0, 0.0, 1.0])).float(), batches)
    assert np.array_equal(align(strict, pushed).rotation, np.eye(3))


def test_more_scenes_tell_the_axis_better(graphs):
    """The covariance shrinks like 1/n, and is that of the axis that is found: σ / (push √n) for each coordinate."""
    n, noise, sizes = np.array([0.0, 0.6, 0.8]), 0.3, {}
    for scenes in (18, 72):
        schema, batches = graphs(scenes)
        model = pushing(schema, n)
        found = [align(model, targets(model, batches, noise, seed)) for seed in range(6)]
        nodes = sum(len(batch.position) for batch in batches)
        share = (1 + 0.5**2) ** 0.5  # two steps, of which the first counts half
        expected = noise / (share * nodes**0.5)
        sizes[scenes] = float(np.mean([np.trace(one.sure) for one in found]))
        assert (sizes[scenes] / 2) ** 0.5 == pytest.approx(expected, rel=0.25)
        away = [np.linalg.norm(np.cross(one.rotation @ n, n)) for one in found]
        assert np.sqrt(np.mean(np.square(away)) / 2) == pytest.approx(expected, rel=0.6)
    assert sizes[18] / sizes[72] == pytest.approx(4, rel=0.3)


def test_more_windows_of_the_same_scenes_do_not_tell_it_better(graphs):
    schema, batches = graphs()
    model = pushing(schema, np.array([0.0, 0.6, 0.8]))
    told = targets(model, batches, 0.3)
    np.testing.assert_allclose(align(model, told * 4).sure, align(model, told).sure, rtol=1e-6, atol=1e-12)


def test_steps_are_never_large(graphs):
    schema, batches = graphs()
    model = pushing(schema, np.array([0.0, 0.0, 1.0]))
    far = targets(turned(model, Rotation.from_rotvec([1.0, 0.0, 0.0]).as_matrix()), batches)
    for rounds in (1, 2):
        assert Rotation.from_matrix(align(model, far, rounds).rotation).magnitude() <= 0.2 * rounds + 1e-9


def test_uncertainty_counts_across_the_axis_only():
    one = Alignment(np.eye(3), np.diag([1e-4, 4e-4, 9e-2]))
    assert one.degrees(np.array([0.0, 0.0, 1.0])) == pytest.approx(np.degrees(1.96 * 0.02))
    assert one.degrees(np.array([1.0, 0.0, 0.0])) == pytest.approx(np.degrees(1.96 * 0.3))
    assert Alignment(np.eye(3), np.zeros((3, 3))).degrees(np.array([0.0, 1.0, 0.0])) == 0
