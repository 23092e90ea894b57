"""Networks held to a group: projected exactly, and kept there while they learn on."""

import numpy as np
import pytest
import torch

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models.relaxed import place_layers, split_layers
from forecasting.relaxation.restriction import blinded, restricted, strict_group
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.residual import BatchFields
from forecasting.testing.runs import SMALLEST
from forecasting.testing.scenes import random_dataset
from forecasting.training.refit import refit
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

CHAIN = ["translations", "O(3)", "SO(3)"]
EXACT = 1e-10
GROUPS = ["O(3)", "SO(3)", "C∞v(1,2,3)", "C∞h(y)", "inversion", "mirror(1,1,0)", "O_h", "identity"]
PAIRS = [("egnn", group) for group in GROUPS]
PAIRS += [(name, group) for name in SMALLEST if name != "egnn" for group in ("C∞v(1,2,3)", "inversion")]
WHOLE = [("egnn", "O(3)"), ("egnn", "SO(3)"), ("egnn", "O_h")]
FAR = (3.0, -2.0, 5.0)
ANY = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))[0]


@pytest.fixture
def graphs(tmp_path):
    """(schema, batch) in float64."""
    dataset = random_dataset(tmp_path / "data", scenes=4)
    spec, topology = WindowSpec(2, (1, 2)), Complete()
    windows = dataset.windows(spec, dataset.anchors(spec))
    schema = schema_of(dataset.manifest, spec, topology)
    return schema, GraphBuilder(schema, topology, Normalization.fit(windows), torch.float64).build(windows)


@pytest.fixture
def network(graphs):
    """Makes a network whose weights, levels and dials all matter."""

    def make(name="egnn", chain=CHAIN, **arguments):
        torch.manual_seed(1)
        model = build_model(name, graphs[0], {**SMALLEST[name], "chain": chain, **arguments}).double().eval()
        with torch.no_grad():
            for value in model.parameters():
                value.add_(0.1 * torch.randn_like(value))
            for layer in split_layers(model).values():
                layer.dial.fill_(0.9)
        return model

    return make


def forecast(model, batch):
    with torch.no_grad():
        return model(batch).displacement


def off(model, batch, element=None, offset=(0.0, 0.0, 0.0)):
    """Largest |f(g x) − g f(x)|, relative to |f(x)|."""
    element = np.eye(3) if element is None else element
    moved = BatchFields.of(model.schema.specs).act(batch, element, np.asarray(offset))
    plain = forecast(model, batch)
    return float((forecast(model, moved) - plain @ torch.from_numpy(element).T).abs().max() / plain.abs().max())


def learn_on(model, batch):
    refit(model, [batch], epochs=3, learning_rate=1e-2)


@pytest.mark.parametrize(("name", "group"), PAIRS)
def test_held_to_a_group_before_and_after_it_learns_on(graphs, network, name, group):
    batch, named = graphs[1], parse_group(group)
    free = network(name)
    held = restricted(free, named)
    elements = named.sample(np.random.default_rng(0), 2)
    assert all(off(held, batch, element) < EXACT for element in elements)
    before = {key: layer.effective().clone() for key, layer in split_layers(held).items()}
    learn_on(held, batch)
    assert all(off(held, batch, element) < EXACT for element in elements)
    for key, layer in split_layers(held).items():
        projector = Projector(named, layer.irreps_in, layer.irreps_out, bias=layer.bias)
        found = layer.effective()
        torch.testing.assert_close(projector.project(found), found, rtol=0, atol=1e-14)
        assert (layer.levels()[layer.held[: len(layer.gammas)] == 0] == 0).all()
        if before[key].any():
            assert not torch.equal(found, before[key])
    assert off(held, batch, offset=FAR) > 1e-6
    if (name, group) not in WHOLE:
        assert off(held, batch, ANY) > 1e-4
    assert off(free, batch, elements[0]) > 1e-4 or group == "identity"


def test_only_features_of_degree_2_tell_the_cube_from_the_ball(graphs, network):
    cube, ball, batch = parse_group("O_h"), parse_group("O(3)"), graphs[1]
    for arguments, same in (({"name": "egnn"}, True), ({"name": "segnn", "l_max": 2}, False)):
        free = network(**arguments)
        away = forecast(restricted(free, cube), batch) - forecast(restricted(free, ball), batch)
        assert bool(away.abs().max() < EXACT) == same
        assert bool(off(restricted(free, cube), batch, ANY) < EXACT) == same
        assert off(restricted(free, cube), batch, cube.sample(np.random.default_rng(0), 1)[0]) < EXACT


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_forbidden_gets_no_gradient(graphs, network, group):
    held = restricted(network(), parse_group(group))
    held(graphs[1]).displacement.square().mean().backward()
    for layer in split_layers(held).values():
        grad = layer.matrix.grad
        left = grad - Projector(parse_group(group), layer.irreps_in, layer.irreps_out, bias=layer.bias).project(grad)
        assert left.norm() <= 1e-14 * max(grad.norm(), 1.0)


def test_forbidden_parts_stay_exactly_zero(graphs, network):
    """What O(3) forbids is exactly 0 in effect, whatever the matrices do; and what it keeps of places may grow."""
    held = restricted(network(), parse_group("O(3)"))
    learn_on(held, graphs[1])
    assert not any(layer.effective().any() for key, layer in split_layers(held).items() if key not in place_layers(held))
    assert any(layer.effective().any() for layer in place_layers(held).values())


@pytest.mark.parametrize("name", SMALLEST)
def test_held_to_nothing_it_forecasts_the_same_and_all_may_learn(graphs, network, name):
    model = network(name)
    for layer in place_layers(model).values():
        layer.across[0, 0] = 0
    free, batch = restricted(model, None), graphs[1]
    torch.testing.assert_close(forecast(free, batch), forecast(model, batch), rtol=1e-12, atol=1e-13)
    for layer in split_layers(free).values():
        assert float(layer.dial) == 1
        assert bool((layer.gammas == 1).all())
    assert off(free, batch, offset=(3.0, 0.0, 0.0)) < EXACT
    learn_on(free, batch)
    assert off(free, batch, offset=(3.0, 0.0, 0.0)) > 1e-6


def test_the_original_stays_as_it_is(graphs, network):
    model, batch = network(), graphs[1]
    before, state = forecast(model, batch), {key: value.clone() for key, value in model.state_dict().items()}
    for made in (restricted(model, parse_group("SO(2)(z)")), restricted(model, None), blinded(model, np.zeros((3, 3)))):
        learn_on(made, batch)
    assert torch.equal(forecast(model, batch), before)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("group", ["T(3)", "T∥(1,2,2)", "T⊥(1,2,2)"])
@pytest.mark.parametrize("name", ["egnn", "newton"])
def test_blinded_it_keeps_translations_and_nothing_else(graphs, network, name, group):
    shifts, batch = parse_group(group).shifts(), graphs[1]
    held = blinded(network(name), np.eye(3) - shifts.T @ shifts)
    for _ in range(2):
        assert all(off(held, batch, offset=4 * shift) < EXACT for shift in shifts)
        assert (off(held, batch, offset=FAR) > 1e-4) == (group != "T(3)")
        assert off(held, batch, ANY) > 1e-4
        learn_on(held, batch)


@pytest.mark.parametrize(("chain", "base"), [(CHAIN, "O(3)"), (["SO(3)"], "SO(3)"), (["C∞v(y)", "SO(2)(y)"], "C∞v(y)")])
def test_the_group_of_the_strict_layers_is_the_first_of_the_chain(network, chain, base):
    assert strict_group(network(chain=chain)) == parse_group(base)


def test_a_strict_network_has_no_such_group(network):
    assert strict_group(network(chain=[])) is None


def test_a_network_whose_strict_part_keeps_less_is_refused(network):
    with pytest.raises(UsageError, match=r"keeps SO\(3\) and not all of inversion"):
        restricted(network(chain=["SO(3)"]), parse_group("inversion"))
    with pytest.raises(UsageError, match="E"):
        restricted(network(), parse_group("E(3)"))
