"""Our SEGNN against e3nn's tensor products, written down plainly in benchmarks/reference; its contract; its relaxation."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from e3nn import o3

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete, Radius
from forecasting.models import build_model
from forecasting.models._tensor_product_couplings import coupling, harmonics
from forecasting.models.relaxed import dialled, relaxed_layers
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.transforms import Orthogonal, random_rotation, rotation_about
from forecasting.testing.models import ForecasterContract
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

ALL = ("translated", "yaw", "so3", "mirrored")
SMALL = {"hidden": 8, "layers": 2}


class TestSEGNN(ForecasterContract):
    model = "segnn"
    arguments = SMALL
    follows = ALL
    reads_fields = True


class TestSEGNNHigherDegrees(ForecasterContract):
    model = "segnn"
    arguments = {"hidden": 6, "layers": 1, "l_max": 2, "l_attr": 3, "aggregate": "mean", "bounded": False}
    follows = ALL
    reads_fields = True


class TestSEGNNWithoutMirrors(ForecasterContract):
    model = "segnn"
    arguments = {"hidden": 4, "layers": 1, "symmetry": "SO(3)", "start": "static", "aggregate": "sum"}
    follows = ("translated", "yaw", "so3")
    reads_fields = True


def reference():
    path = Path(__file__).parents[2] / "benchmarks" / "reference" / "segnn.py"
    spec = importlib.util.spec_from_file_location("reference_segnn", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    dataset = random_dataset(tmp_path / "data", velocity=True, gaps=False, types=("one",))
    spec, topology = WindowSpec(1, (4,)), Complete()
    windows = dataset.windows(spec, dataset.anchors(spec)[::4])
    builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows), torch.float64)
    return builder, windows


def make(builder, **arguments):
    torch.manual_seed(0)
    model = build_model("segnn", builder.schema, {**SMALL, **arguments}).double()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "bias" in name:
                value.normal_()
    return model


@pytest.mark.parametrize(
    "arguments",
    [{"l_max": 1}, {"l_max": 2}, {"l_max": 1, "l_attr": 2}, {"l_max": 2, "symmetry": "SO(3)"}],
    ids=["1", "2", "1-2", "2-SO(3)"],
)
def test_equals_the_published_equations_with_gradients(data, arguments):
    builder, windows = data
    batch = builder.build(windows)
    ours = make(builder, start="static", aggregate="sum", bounded=False, scalars=[], **arguments)
    module, couples = reference(), ours.couples
    sizes = ours.node_features.channels
    plain = module.PlainSEGNN(sizes, 4, ours.channels, 2, couples.degree, couples.attribute, couples.odd).double()
    module.same_weights(ours, plain)
    x, v = batch.position[:, -1], batch.velocity[:, -1]
    j, i = batch.edge_index
    kind = torch.nn.functional.one_hot(batch.edge_type, 2).double()
    s = torch.cat([batch.charge[j] * batch.charge[i], ((x[j] - x[i]) ** 2).sum(1, keepdim=True), kind], dim=1)
    features = torch.cat([v.norm(dim=1, keepdim=True), batch.heading.norm(dim=1, keepdim=True), x, v, batch.heading], dim=1)
    expected = plain(features, x, v, batch.edge_index, s)
    found = ours(batch).displacement[:, 0, 0]
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    found.square().sum().backward()
    expected.square().sum().backward()
    pairs = [(ours.embedding, plain.embedding), (ours.readout.product, plain.readout.product)]
    for mine, theirs in zip(ours.layers, plain.layers, strict=True):
        pairs.append((mine.message_first, theirs.message_1.product))
        pairs.append((mine.message_second.product, theirs.message_2.product))
        pairs.append((mine.update_first.product, theirs.update_1.product))
        pairs.append((mine.update_second, theirs.update_2))
    for mine, theirs in pairs:
        torch.testing.assert_close(mine.bias.grad, theirs.bias.grad, rtol=1e-5, atol=1e-7)
        inner = (mine.weight * mine.weight.grad).sum()
        if getattr(mine, "scalar_weight", None) is not None:
            inner = inner + (mine.scalar_weight * mine.scalar_weight.grad).sum()
        weight = theirs.product.weight
        torch.testing.assert_close(inner, (weight * weight.grad).sum(), rtol=1e-5, atol=1e-7)


def test_gradients_and_tangents_of_inputs_and_weights(data):
    builder, windows = data
    batch, model = builder.build(windows), make(builder, l_max=2)
    chosen = {"position": batch.position, "velocity": batch.velocity}
    moved = {name: torch.randn_like(value) for name, value in chosen.items()}
    weights = dict(model.named_parameters())
    turned = {name: torch.randn_like(value) for name, value in weights.items()}

    def output(values, parameters):
        other = batch.clone()
        for name, value in values.items():
            other[name] = value
        return torch.func.functional_call(model, parameters, (other,)).displacement

    _, tangent = torch.func.jvp(output, (chosen, weights), (moved, turned))
    shift, size = 1e-6, torch.randn_like(tangent)
    ahead, behind = (
        output(
            {name: value + sign * moved[name] for name, value in chosen.items()},
            {name: (value + sign * turned[name]).detach() for name, value in weights.items()},
        )
        for sign in (shift, -shift)
    )
    torch.testing.assert_close(tangent, (ahead - behind) / (2 * shift), rtol=1e-4, atol=1e-5)
    leaves = [value.clone().requires_grad_() for value in chosen.values()]
    out = output(dict(zip(chosen, leaves, strict=True)), weights)
    grads = torch.autograd.grad((out * size).sum(), [*leaves, *weights.values()])
    inner = sum((grad * way).sum() for grad, way in zip(grads, [*moved.values(), *turned.values()], strict=True))
    torch.testing.assert_close(inner, (tangent * size).sum())


@pytest.mark.parametrize("degrees", [(0, 0, 0), (1, 1, 0), (1, 0, 1), (1, 1, 1), (2, 1, 1), (2, 1, 3), (2, 2, 2), (3, 2, 3)])
def test_couplings_are_those_of_e3nn_up_to_sign(degrees):
    found = torch.from_numpy(coupling(*degrees).copy()) / np.sqrt(2 * degrees[2] + 1)
    expected = o3.wigner_3j(*degrees, dtype=torch.float64)
    sign = torch.sign((found * expected).sum())
    torch.testing.assert_close(found, sign * expected, rtol=0, atol=1e-14)
    assert found[found.abs() > 1e-9].flatten()[0] > 0


def test_degrees_that_do_not_couple_are_refused():
    with pytest.raises(ValueError, match="1, 1 and 3 do not couple"):
        coupling(1, 1, 3)


def test_harmonics_are_those_of_e3nn():
    vectors = torch.randn(9, 3, dtype=torch.float64)
    expected = o3.spherical_harmonics(list(range(5)), vectors, True, "component")
    torch.testing.assert_close(harmonics(vectors, 4), expected, rtol=0, atol=1e-10)
    at_rest = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    harmonics(at_rest, 3).sum().backward()
    assert torch.isfinite(at_rest.grad).all()
    assert not harmonics(at_rest, 3)[:, 1:].any()


def residual(model, builder, windows, matrix):
    turn = Orthogonal(matrix)
    plain = builder.positions(model(builder.build(windows))[0], windows)
    moved = windows.transformed(turn)
    turned = builder.positions(model(builder.build(moved))[0], moved)
    return np.abs(turned - turn.act(plain, "1o", translates=True)).max()


@pytest.mark.parametrize("l_max", [1, 2])
def test_relaxed_maps_add_to_the_strict_network(data, l_max):
    builder, windows = data
    strict = make(builder, l_max=l_max)
    relaxed = make(builder, l_max=l_max, chain=["O(3)", "identity"])
    assert not relaxed_layers(strict)
    assert len(relaxed_layers(relaxed)) == 2 * SMALL["layers"]
    missing, unexpected = relaxed.load_state_dict(strict.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith("relaxed.") for name in missing)
    batch, turn = builder.build(windows), random_rotation(np.random.default_rng(0))
    with dialled(relaxed, 0.0):
        assert torch.equal(relaxed(batch)[0], strict(batch)[0])
        assert residual(relaxed, builder, windows, turn) < 1e-10
    for each in relaxed_layers(relaxed).values():
        each.matrix.data.normal_(std=0.3)
    assert residual(relaxed, builder, windows, turn) > 1e-3


def test_relaxed_maps_keep_the_group_that_their_weights_keep(data):
    builder, windows = data
    model = make(builder, l_max=2, chain=["O(3)", "SO(2)(z)", "identity"])
    for each in relaxed_layers(model).values():
        kept = Projector(parse_group("SO(2)(z)"), each.irreps_in, each.irreps_out, bias=True)
        each.matrix.data = kept.project(torch.randn_like(each.matrix))
    assert residual(model, builder, windows, rotation_about(np.array([0.0, 0.0, 1.0]), 0.7)) < 1e-10
    assert residual(model, builder, windows, random_rotation(np.random.default_rng(0))) > 1e-3


def test_a_strict_network_can_be_relaxed(data):
    builder, windows = data
    batch, model = builder.build(windows), make(builder)
    before, names = model(batch)[0], set(model.state_dict())
    assert model.relaxed_along(["O(3)", "identity"]) is model
    assert names < set(model.state_dict())
    assert not torch.equal(model(batch)[0], before)
    with dialled(model, 0.0):
        assert torch.equal(model(batch)[0], before)
    assert torch.equal(model.relaxed_along([])(batch)[0], before)


def test_edges_in_any_order_and_number(tmp_path):
    dataset = random_dataset(tmp_path / "data")
    spec, topology = WindowSpec(3, (1, 2)), Radius(0.8)
    windows = dataset.windows(spec, dataset.anchors(spec))
    builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows), torch.float64)
    model, batch = make(builder), builder.build(windows)
    expected = model(batch)[0]
    order = torch.randperm(batch.edge_index.shape[1])
    batch.edge_index, batch.edge_type = batch.edge_index[:, order], batch.edge_type[order]
    torch.testing.assert_close(model(batch)[0], expected, rtol=0, atol=1e-12)


def test_far_nodes_stay_bounded(data):
    builder, windows = data
    model, batch = make(builder, layers=4), builder.build(windows)
    batch.position = batch.position * 1e6
    assert model(batch)[0].abs().max() < 1e9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "constant_velocty"}, "did you mean 'constant_velocity'"),
        ({"symmetry": "O3"}, "unknown symmetry"),
        ({"aggregate": "sums"}, "did you mean 'sum'"),
        ({"l_mx": 3}, "did you mean 'l_max'"),
        ({"layers": 0}, "at least 1"),
        ({"l_max": 0, "l_attr": 0}, "one of them"),
        ({"scalars": ["mass"]}, "no scalar field"),
        ({"products": ["heading"]}, "no scalar field"),
        ({"chain": ["C_4(z)", "O(3)"]}, "from large to small"),
    ],
)
def test_wrong_arguments_are_named(data, arguments, message):
    with pytest.raises(UsageError, match=message):
        build_model("segnn", data[0].schema, arguments)
