"""Our EGNN against the equations, written down plainly in benchmarks/reference."""

import importlib.util
from pathlib import Path

import pytest
import torch

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
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
    # one velocity and the (silenced) vector field: keep the velocity's weight, drop the field's
    plain = plain_module.PlainEGNN(ours.node_inputs.width, ours.edge_inputs.width, 16, 3).double()
    for layer in ours.layers:
        last = layer.velocity_net[2]
        kept = torch.nn.Linear(16, 1).double()
        kept.weight.data, kept.bias.data = last.weight.data[:1].clone(), last.bias.data[:1].clone()
        layer.kept = kept
    plain.embedding.load_state_dict(ours.embedding.state_dict())
    for mine, theirs in zip(ours.layers, plain.layers, strict=True):
        theirs.phi_e[0].load_state_dict(mine.edge_first.state_dict())
        theirs.phi_e[2].load_state_dict(mine.edge_rest[1].state_dict())
        theirs.phi_x.load_state_dict(mine.coordinate_net.state_dict())
        theirs.phi_v[0].load_state_dict(mine.velocity_net[0].state_dict())
        theirs.phi_v[2].load_state_dict(mine.kept.state_dict())
        theirs.phi_h.load_state_dict(mine.node_net.state_dict())
    x, v = batch.position[:, -1], batch.velocity[:, -1]
    expected = plain(ours.node_inputs(batch), x, v, batch.edge_index, ours.edge_inputs(batch)) - x
    found = ours(batch).displacement[:, 0, 0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    found.square().sum().backward()
    expected.square().sum().backward()
    for mine, theirs in zip(ours.layers, plain.layers, strict=True):
        torch.testing.assert_close(mine.edge_first.weight.grad, theirs.phi_e[0].weight.grad, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(mine.coordinate_net[2].weight.grad, theirs.phi_x[2].weight.grad, rtol=1e-9, atol=1e-12)


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
