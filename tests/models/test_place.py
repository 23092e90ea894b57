"""Places: what a network knows of where its nodes are, and nothing more."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models.place import PlaceFrame, PlaceMap, place_frame, rotations_of
from forecasting.models.relaxed import dialled, linear_layers, place_layers, split_layers
from forecasting.packages import load_package, save_package
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.residual import BatchFields
from forecasting.testing.runs import SMALLEST
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

CHAIN = ["translations", "O(3)", "SO(2)(z)"]
EXACT = 1e-10
FAR = np.array([3.0, -2.0, 5.0])


@pytest.fixture(params=SMALLEST)
def name(request):
    return request.param


@pytest.fixture
def graphs(tmp_path):
    """Makes (builder, windows) in float64."""

    def make(**kind):
        dataset = random_dataset(tmp_path / "data", scenes=4, **kind)
        spec, topology = WindowSpec(2, (1, 2)), Complete()
        windows = dataset.windows(spec, dataset.anchors(spec))
        schema = schema_of(dataset.manifest, spec, topology)
        return GraphBuilder(schema, topology, Normalization.fit(windows), torch.float64), windows

    return make


@pytest.fixture
def network(name, graphs):
    """(network, batch): random weights that all matter, places among them, and a frame that is not where the scenes are."""
    builder, windows = graphs()
    return made(name, builder, windows), builder.build(windows)


def made(name, builder, windows, chain=CHAIN):
    torch.manual_seed(1)
    model = build_model(name, builder.schema, {**SMALLEST[name], "chain": chain}).double().eval()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    model.place.fit(windows.position[:, -1] + 0.5, builder.normalization.length)
    return model


@torch.no_grad()
def forecast(model, batch):
    return model(batch).displacement


def moved(model, batch, element=None, offset=(0.0, 0.0, 0.0)):
    """The batch, turned about the centre of the places, and shifted."""
    element = np.eye(3) if element is None else element
    centre = model.place.centre.double().numpy()
    return BatchFields.of(model.schema.specs).act(batch, element, centre - element @ centre + np.asarray(offset))


def off(model, batch, element=None, offset=(0.0, 0.0, 0.0)):
    """Largest |f(g x) − g f(x)|, relative to |f(x)|."""
    plain = forecast(model, batch)
    expected = plain if element is None else plain @ torch.from_numpy(element).T
    return float((forecast(model, moved(model, batch, element, offset)) - expected).abs().max() / plain.abs().max())


def test_without_place_maps_it_does_not_matter_where_the_scene_is(network):
    model, batch = network
    assert off(model, batch, offset=FAR) > 1e-4
    with torch.no_grad():
        for layer in place_layers(model).values():
            layer.matrix.zero_()
    assert torch.equal(forecast(model, moved(model, batch, offset=FAR)), forecast(model, batch))


def test_new_networks_do_not_know_where_they_are(name, graphs):
    builder, windows = graphs()
    model, batch = build_model(name, builder.schema, {**SMALLEST[name], "chain": CHAIN}).double(), builder.build(windows)
    assert len(place_layers(model)) == len(linear_layers(model)) > 0
    assert torch.equal(forecast(model, moved(model, batch, offset=FAR)), forecast(model, batch))


def test_dialled_to_zero_it_is_the_strict_network(network, name):
    model, batch = network
    strict = build_model(name, model.schema, SMALLEST[name]).double().eval()
    own = {key: value for key, value in model.state_dict().items() if key in strict.state_dict()}
    strict.load_state_dict(own)
    assert not torch.equal(forecast(model, batch), forecast(strict, batch))
    with dialled(model, 0.0):
        assert torch.equal(forecast(model, batch), forecast(strict, batch))


@pytest.mark.parametrize(("parts", "kept", "broken"), [(0, "O(3)", None), (1, "SO(2)(z)", "mirror(x)")])
def test_it_follows_the_groups_whose_parts_are_left(network, parts, kept, broken):
    """About the centre of the places, to which W_0 points: no later part, all of O(3); one more, SO(2)(z)."""
    model, batch = network
    element = parse_group(kept).sample(np.random.default_rng(0), 1)[0]
    assert off(model, batch, element) > 1e-4
    for layer in split_layers(model).values():
        layer.held[parts + 1 - layer.first :] = 0
    assert off(model, batch, element) < EXACT
    assert off(model, batch, offset=FAR) > 1e-4
    if broken:
        assert off(model, batch, np.diag([-1.0, 1.0, 1.0])) > 1e-4


def test_it_follows_any_group_onto_which_its_matrices_are_projected(network):
    model, batch = network
    group = parse_group("D∞h(1,2,3)")
    with torch.no_grad():
        for layer in split_layers(model).values():
            layer.gamma.fill_(1)
            layer.matrix.copy_(Projector(group, layer.irreps_in, layer.irreps_out, bias=layer.bias).project(layer.matrix))
    for element in group.sample(np.random.default_rng(1), 3):
        assert off(model, batch, element) < EXACT
    assert off(model, batch, parse_group("SO(3)").sample(np.random.default_rng(2), 1)[0]) > 1e-4


@pytest.mark.parametrize("group", ["T∥(1,2,2)", "T⊥(1,2,2)", "T(3)"])
def test_it_is_blind_along_what_is_left_out(network, group):
    model, batch = network
    shifts = parse_group(group).shifts()
    across = np.eye(3) - shifts.T @ shifts
    for layer in place_layers(model).values():
        layer.across.copy_(torch.from_numpy(across))
    for shift in shifts:
        assert off(model, batch, offset=4 * shift) < EXACT
    seen = across @ FAR
    assert (off(model, batch, offset=seen) > 1e-4) == (group != "T(3)")


def test_every_weight_is_used(network):
    model, batch = network
    model(batch).displacement.square().mean().backward()
    for key, layer in place_layers(model).items():
        assert layer.matrix.grad.abs().sum(0).min() > 0, key
        assert layer.matrix.grad.abs().sum(1).min() > 0, key


def test_planar_scenes(name, graphs):
    builder, windows = graphs(dim=2)
    model, batch = made(name, builder, windows, ["translations", "C∞v(z)", "SO(2)(z)"]), builder.build(windows)
    assert model.place.centre[2] == 0
    assert not model.place(batch)[:, 2].any()
    assert not forecast(model, batch)[..., 2].any()
    assert off(model, batch, offset=(2.0, 1.0, 0.0)) > 1e-4
    for layer in split_layers(model).values():
        layer.held[2 - layer.first :] = 0
    turn = parse_group("SO(2)(z)").sample(np.random.default_rng(3), 1)[0]
    assert off(model, batch, turn) < EXACT
    assert off(model, batch, np.diag([-1.0, 1.0, 1.0])) > 1e-4
    for layer in place_layers(model).values():
        layer.across.copy_(torch.diag(torch.tensor([0.0, 1.0, 0.0])))
    assert off(model, batch, offset=(2.0, 0.0, 0.0)) < EXACT
    assert off(model, batch, offset=(0.0, 2.0, 0.0)) > 1e-4


def test_the_frame_counts_from_the_mean_in_root_mean_squares(graphs):
    builder, windows = graphs()
    anchors, frame = windows.position[:, -1], PlaceFrame().double()
    frame.fit(anchors, builder.normalization.length)
    spread = np.sqrt(((anchors - anchors.mean(0)) ** 2).mean())
    found = frame(builder.build(windows)).numpy()
    np.testing.assert_allclose(found, (anchors - anchors.mean(0)) / spread, atol=1e-12)
    assert np.sqrt((found**2).mean()) == pytest.approx(1.0)
    assert float(frame.scale) == pytest.approx(builder.normalization.length / spread)


def test_the_frame_by_hand():
    frame = PlaceFrame().double()
    frame.fit(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]]), 10.0)
    assert frame.centre.tolist() == [2.0, 2.0, 0.0]
    assert float(frame.spread) == 2.0
    assert float(frame.scale) == 5.0
    frame.fit(np.ones((3, 3)), 10.0)
    assert 0 < float(frame.spread) < 1e-9


@given(shift=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), factor=st.floats(1e-3, 1e3))
def test_places_do_not_depend_on_origin_and_unit(shift, factor):
    positions = np.random.default_rng(0).normal(size=(20, 3))
    one, two = PlaceFrame().double(), PlaceFrame().double()
    one.fit(positions, 1.0)
    two.fit(factor * positions + shift, factor)
    np.testing.assert_allclose(two.centre.numpy(), factor * one.centre.numpy() + shift, rtol=1e-9, atol=1e-9)
    assert float(two.scale) == pytest.approx(float(one.scale), rel=1e-6)


@pytest.mark.parametrize(
    ("chain", "rotations"),
    [([], []), (["O(3)"], ["O(3)"]), (CHAIN, CHAIN[1:]), (("translations",), ())],
)
def test_only_the_first_name_of_a_chain_can_be_translations(chain, rotations):
    assert rotations_of(chain) == rotations
    assert (place_frame(chain) is None) == (rotations == chain)


def test_a_map_of_places_is_split_with_nothing_left_out():
    torch.manual_seed(0)
    layer = PlaceMap("2x0e+2x1o", ["O(3)", "C∞v(z)"], std=1.0).double()
    assert len(layer.gammas) == layer.chain.count == 3
    torch.testing.assert_close(layer.remainder(), layer.matrix)
    assert layer.levels().square().sum().item() == pytest.approx(layer.matrix.square().sum().item())
    layer.held[1:] = 0
    place = torch.randn(5, 3, dtype=torch.float64)
    scalars, vectors = layer(place).split([2, 6], dim=1)
    assert scalars.abs().max() < 1e-12
    assert torch.linalg.cross(vectors.unflatten(1, (2, 3)), place[:, None].expand(-1, 2, -1)).abs().max() < 1e-12


def test_places_are_kept_in_packages(package, name, tmp_path):
    made, dataset = package(name, {**SMALLEST[name], "chain": CHAIN}, scenes=3)
    model = made.forecaster()
    windows = dataset.windows(made.window, dataset.anchors(made.window))
    model.place.fit(windows.position[:, -1], made.normalization.length)
    with torch.no_grad():
        for layer in place_layers(model).values():
            layer.matrix.normal_()
            layer.across[0, 0] = 0
    save_package(replace(made, weights=model.state_dict()), tmp_path / "kept")
    back, batch = load_package(tmp_path / "kept").forecaster(), made.builder().build(windows)
    assert torch.equal(back.place.centre, model.place.centre)
    assert torch.equal(forecast(back, batch), forecast(model.eval(), batch))
    assert off(back, batch, offset=(3.0, 0.0, 0.0)) == 0
    assert off(back, batch, offset=(0.0, 3.0, 0.0)) > 1e-4
