"""Our EGNN against the equations, written down plainly in benchmarks/reference."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models._edges import EdgeLayout
from forecasting.models._egnn_equations import plain_update
from forecasting.models._egnn_gradient import EGNNUpdate
from forecasting.models._egnn_layer import EGNNLayer
from forecasting.models.relaxed import dialled, relaxed_layers
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.transforms import Orthogonal
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec


def reference():
    path = Path(__file__).parents[2] / "benchmarks" / "reference" / "egnn.py"
    spec = importlib.util.spec_from_file_location("reference_egnn", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def graphs(tmp_path):
    dataset = random_dataset(tmp_path / "data", velocity=True, gaps=False, types=("one",))
    spec, topology = WindowSpec(1, (4,)), Complete()
    windows = dataset.windows(spec, dataset.anchors(spec))
    builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows), torch.float64)
    batch = builder.build(windows)
    batch.heading = torch.zeros_like(batch.heading)
    return builder, batch


def test_equals_the_published_equations_with_gradients(graphs):
    builder, batch = graphs
    plain_module = reference()
    ours = build_model(
        "egnn", builder.schema, {"hidden": 16, "layers": 3, "start": "static", "bounded": False, "scalars": []}
    ).double()
    # one velocity and the (silenced) vector field: the plain model has the velocity only
    plain = plain_module.PlainEGNN(ours.node_inputs.width, ours.edge_inputs.width, 16, 3).double()
    plain_module.same_weights(ours, plain)
    x, v = batch.position[:, -1], batch.velocity[:, -1]
    expected = plain(ours.node_inputs(batch), x, v, batch.edge_index, ours.edge_inputs(batch)) - x
    found = ours(batch).displacement[:, 0, 0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    found.square().sum().backward()
    expected.square().sum().backward()
    for mine, theirs in zip(ours.layers, plain.layers, strict=True):
        from_source, from_target = mine.nodes.grad[:32].chunk(2)
        first = torch.cat([from_target, from_source, mine.pair.grad], dim=1)
        torch.testing.assert_close(first, theirs.phi_e[0].weight.grad, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(mine.coordinate_net.grad, theirs.phi_x[2].weight.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "constant_velocty"}, "did you mean 'constant_velocity'"),
        ({"hiden": 3}, "did you mean 'hidden'"),
        ({"layers": 0}, "at least 1"),
        ({"scalars": ["mass"]}, "no scalar field"),
        ({"products": ["heading"]}, "no scalar field"),
    ],
)
def test_wrong_arguments_are_named(graphs, arguments, message):
    with pytest.raises(UsageError, match=message):
        build_model("egnn", graphs[0].schema, arguments)


def relaxed_pair(builder, chain=("O(3)", "identity")):
    """A relaxed EGNN and the strict one of the same weights."""
    torch.manual_seed(1)
    relaxed = build_model("egnn", builder.schema, {"hidden": 8, "layers": 3, "chain": chain}).double()
    strict = build_model("egnn", builder.schema, {"hidden": 8, "layers": 3}).double()
    strict.load_state_dict({name: value for name, value in relaxed.state_dict().items() if "relaxed" not in name})
    return relaxed, strict


def turned_error(model, builder, windows, matrix):
    """Largest |f(g x) − g f(x)| in units of the data's length."""
    transform = Orthogonal(np.asarray(matrix))
    plain, moved = model(builder.build(windows))[0], model(builder.build(windows.transformed(transform)))[0]
    return (moved - plain @ torch.as_tensor(transform.matrix).T).abs().max().item()


@pytest.fixture(params=[{}, {"dim": 2}], ids=["3d", "2d"])
def scenes(tmp_path, request):
    dataset = random_dataset(tmp_path / "scenes", **request.param)
    spec, topology = WindowSpec(3, (1, 2)), Complete()
    windows = dataset.windows(spec, dataset.anchors(spec))
    return GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows), torch.float64), windows


def test_a_relaxed_network_dialled_to_zero_is_the_strict_one(scenes):
    builder, windows = scenes
    relaxed, strict = relaxed_pair(builder)
    batch = builder.build(windows)
    assert len(relaxed_layers(relaxed)) == 3
    assert not relaxed_layers(strict)
    assert not torch.equal(relaxed(batch)[0], strict(batch)[0])
    with dialled(relaxed, 0.0):
        assert torch.equal(relaxed(batch)[0], strict(batch)[0])


def test_the_same_seed_gives_the_same_strict_weights(scenes):
    builder, _ = scenes
    made = []
    for chain in ((), ("O(3)", "identity")):
        torch.manual_seed(2)
        made.append(build_model("egnn", builder.schema, {"hidden": 8, "layers": 3, "chain": chain}).state_dict())
    assert all(torch.equal(value, made[1][name]) for name, value in made[0].items())


def test_a_relaxed_network_follows_the_groups_that_its_matrices_keep(scenes):
    builder, windows = scenes
    relaxed, _ = relaxed_pair(builder)
    rng = np.random.default_rng(0)
    group = parse_group("SO(2)(z)")
    yaw, mirror = group.sample(rng, 1)[0], np.diag([-1.0, 1.0, 1.0])
    assert turned_error(relaxed, builder, windows, yaw) > 1e-3
    with torch.no_grad():
        for layer in relaxed_layers(relaxed).values():
            layer.matrix.copy_(Projector(group, layer.irreps_in, layer.irreps_out, bias=True).project(layer.matrix))
    assert turned_error(relaxed, builder, windows, yaw) < 1e-11
    assert turned_error(relaxed, builder, windows, mirror) > 1e-3


def test_every_weight_of_a_relaxed_network_is_used(scenes):
    builder, windows = scenes
    relaxed, _ = relaxed_pair(builder)
    relaxed(builder.build(windows))[0].square().mean().backward()
    for name, layer in relaxed_layers(relaxed).items():
        assert layer.matrix.grad.abs().sum(1).min() > 0, name


@pytest.fixture(params=[(1, 1, True, False), (3, 2, True, True), (1, 1, False, True), (2, 3, False, False)], ids=str)
def layer_inputs(request):
    """A layer with its inputs: (outputs, vectors, bounded, last); node 0 hears nobody, nodes 1 and 2 are in one place."""
    outputs, vectors, bounded, last = request.param
    torch.manual_seed(0)
    layer = EGNNLayer(4, 2, vectors, outputs, bounded, last).double()
    with torch.no_grad():
        for value in layer.parameters():
            value.add_(0.3 * torch.randn_like(value))
    edge_index = torch.tensor([[0, 1, 2, 3, 4, 1, 3, 2], [1, 2, 1, 1, 3, 4, 4, 3]])
    h, x, v, edges = (torch.randn(*shape).double() for shape in ((5, 4), (5, 3), (5, vectors, 3), (8, 2)))
    x[2] = x[1]
    arguments = [value.requires_grad_() for value in (h, x, v, edges)]
    return layer, EdgeLayout(edge_index, 5, torch.float64), arguments


def run(update, layer, layout, values, weights):
    return [out for out in update(*values, layout, layer.bounded, *weights) if out is not None]


def test_the_gradient_by_hand_is_that_of_the_equations(layer_inputs):
    layer, layout, values = layer_inputs
    inputs, made = [*values, *layer.weights()], {}
    for update in (EGNNUpdate.apply, plain_update):
        out = run(update, layer, layout, values, layer.weights())
        made[update] = out, torch.autograd.grad(sum((value.sin() * value).sum() for value in out), inputs)
    for mine, plain in zip(*([*out, *grads] for out, grads in made.values()), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-12, atol=1e-12)


def test_second_derivatives(layer_inputs):
    layer, layout, values = layer_inputs
    x = values[1].detach().clone()
    x[2] += 0.5

    def function(h, x, v):
        return tuple(run(EGNNUpdate.apply, layer, layout, (h, x, v, values[3].detach()), layer.weights()))

    inputs = (values[0].detach().requires_grad_(), x.requires_grad_(), values[2].detach().requires_grad_())
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_forward_mode_and_transforms_of_torch_func(layer_inputs):
    layer, layout, values = layer_inputs
    h, x, v, edges = (value.detach() for value in values)
    x[2] += 0.5
    function = lambda x: layer(h, x, v, edges, layout)[1]  # noqa: E731
    direction = torch.randn_like(x)
    _, found = torch.func.jvp(function, (x,), (direction,))
    with forward_ad.dual_level():
        also = forward_ad.unpack_dual(function(forward_ad.make_dual(x, direction))).tangent
    expected = (function(x + 1e-6 * direction) - function(x - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(also, found)
    reverse = torch.func.grad(lambda x: function(x).square().sum())(x)
    torch.testing.assert_close((reverse * direction).sum(), (2 * function(x) * found).sum())


def test_mixed_precision_is_near_full_precision(layer_inputs):
    layer, layout, values = layer_inputs
    layer, layout.share = layer.float(), layout.share.float()
    values = [value.detach().float() for value in values]
    full = layer(*values, layout)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = layer(*values, layout)[1]
    mixed.float().square().sum().backward()
    torch.testing.assert_close(mixed.float(), full, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name", ["egnn", "egno"])
def test_graphs_without_edges(scenes, name):
    builder, windows = scenes
    model, batch = build_model(name, builder.schema, {"hidden": 8}).double(), builder.build(windows)
    batch.edge_index, batch.edge_type = batch.edge_index[:, :0], batch.edge_type[:0]
    moved = model(batch)[0]
    moved.square().sum().backward()
    assert torch.isfinite(moved).all()
    assert all(torch.isfinite(value.grad).all() for value in model.parameters() if value.grad is not None)


@pytest.mark.slow
@pytest.mark.parametrize("scenes", [{}], indirect=True)
def test_compiled_it_gives_the_same(scenes):
    builder, windows = scenes
    relaxed, _ = relaxed_pair(builder)
    batch = builder.build(windows)
    torch.testing.assert_close(torch.compile(relaxed)(batch)[0], relaxed(batch)[0], rtol=1e-10, atol=1e-12)
