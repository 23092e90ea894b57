"""Our EGNO against the equations, written down plainly in benchmarks/reference; frames, lead times and relaxation."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models._temporal import TemporalScalars, TemporalVectors, lead_embedding
from forecasting.models.inputs import node_vectors
from forecasting.models.relaxed import dialled, relaxed_layers
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.transforms import Orthogonal
from forecasting.testing.models import ForecasterContract
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

ALL = ("translated", "yaw", "so3", "mirrored")


class TestEGNO(ForecasterContract):
    model = "egno"
    arguments = {"hidden": 8, "layers": 2, "time_width": 4}
    follows = ALL
    reads_fields = True


class TestEGNOAsPublished(ForecasterContract):
    model = "egno"
    arguments = {"hidden": 8, "layers": 2, "modes": 3, "start": "static", "bounded": False, "scalars": []}
    follows = ALL
    reads_fields = True


def reference():
    path = Path(__file__).parents[2] / "benchmarks" / "reference" / "egno.py"
    spec = importlib.util.spec_from_file_location("reference_egno", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def graphs(tmp_path, horizon=(1, 2, 3, 4, 5), history=2, **kind):
    dataset = random_dataset(tmp_path / "data", **kind)
    spec, topology = WindowSpec(history, horizon), Complete()
    windows = dataset.windows(spec, dataset.anchors(spec))
    return GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows), torch.float64), windows


def make(builder, **arguments):
    torch.manual_seed(1)
    return build_model("egno", builder.schema, {"hidden": 8, "layers": 3, "time_width": 6, **arguments}).double()


@pytest.mark.parametrize(("horizon", "modes"), [((5,), 2), ((4, 5), 2), ((1, 3, 4), 1), ((1, 2, 3, 4), 3), ((1, 2, 3, 4, 5), 3)])
def test_equals_the_published_equations_with_gradients(tmp_path, horizon, modes):
    builder, windows = graphs(tmp_path, horizon, velocity=True)
    ours = make(builder, modes=modes, start="static", bounded=False)
    kept, vectors = len(ours.over_time[0].real), ours.over_time_vectors[0].real.shape[1] - 1
    module = reference()
    plain = module.PlainEGNO(ours.node_inputs.width, ours.edge_inputs.width, 6, 8, 3, vectors, kept).double()
    module.same_weights(ours, plain)
    batch = builder.build(windows)
    x, times = batch.position[:, -1], lead_embedding(batch.lead, 6).transpose(0, 1)[:, batch.batch]
    v, a = node_vectors(builder.schema, batch), ours.edge_inputs(batch)
    expected = plain(ours.node_inputs(batch), x, v, batch.edge_index, a, times) - x[:, None]
    found = ours(batch).displacement[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    found.square().sum().backward()
    expected.square().sum().backward()
    for mine, theirs in zip(ours.over_time, plain.conv_h, strict=True):
        torch.testing.assert_close(mine.real.grad, theirs.weight.grad[..., 0], rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(
            mine.imaginary.grad, theirs.weight.grad[1 : 1 + len(mine.imaginary), ..., 1], rtol=1e-8, atol=1e-9
        )
    for mine, theirs in zip(ours.layers, plain.layers, strict=True):
        torch.testing.assert_close(mine.matrices.grad[0], theirs.phi_e[2].weight.grad, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("modes", [1, 2, 9])
def test_convolutions_are_those_of_the_fourier_transform(frames, modes):
    torch.manual_seed(0)
    scalars, vectors = TemporalScalars(3, frames, modes, 1.0).double(), TemporalVectors(3, frames, modes, 1.0).double()

    def transformed(layer, values):
        weight = layer.real.to(torch.complex128)
        weight = torch.cat([weight[:1], weight[layer.turning] + 1j * layer.imaginary, weight[layer.turning.stop :]])
        spectrum = torch.fft.rfft(values, dim=0)[: len(weight)]
        return torch.fft.irfft(torch.einsum("kn...i,kio->kn...o", spectrum, weight), n=frames, dim=0)

    h, v = torch.randn(frames, 5, 3, dtype=torch.float64), torch.randn(frames, 3, 5, 3, dtype=torch.float64)
    expected = h + torch.nn.functional.leaky_relu(transformed(scalars, h))
    torch.testing.assert_close(scalars(h), expected, rtol=0, atol=1e-13)
    mixed = transformed(vectors, v.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(vectors(v), v + mixed, rtol=0, atol=1e-13)
    for layer, values in ((scalars, h), (vectors, v)):
        layer(values).square().sum().backward()
        assert all(value.grad is None or not value.numel() or value.grad.abs().min() > 0 for value in layer.parameters())


def test_lead_times_count_and_not_the_frame_numbers(tmp_path):
    builder, windows = graphs(tmp_path)
    model, batch = make(builder, start="static"), builder.build(windows)
    with torch.no_grad():
        model.time_embedding.weight.add_(1.0)
        plain = model(batch)[0]
        later = batch.clone()
        later.lead = batch.lead * 1.3
        assert (model(later)[0] - plain).abs().max() > 1e-3


def turned_error(model, builder, windows, matrix):
    """Largest |f(g x) − g f(x)| in units of the data's length."""
    plain, moved = model(builder.build(windows))[0], model(builder.build(windows.transformed(Orthogonal(matrix))))[0]
    return (moved - plain @ torch.as_tensor(matrix).T).abs().max().item()


def test_a_relaxed_network_dialled_to_zero_is_the_strict_one(tmp_path):
    builder, windows = graphs(tmp_path)
    relaxed, strict = make(builder, chain=["O(3)", "identity"]), make(builder)
    batch, kept = builder.build(windows), strict.state_dict()
    assert len(relaxed_layers(relaxed)) == 3
    assert not relaxed_layers(strict)
    assert all(torch.equal(value, relaxed.state_dict()[name]) for name, value in kept.items())
    assert not torch.equal(relaxed(batch)[0], strict(batch)[0])
    with dialled(relaxed, 0.0):
        assert torch.equal(relaxed(batch)[0], strict(batch)[0])


def test_a_relaxed_network_follows_the_groups_that_its_matrices_keep(tmp_path):
    builder, windows = graphs(tmp_path)
    relaxed, group = make(builder, chain=["O(3)", "SO(3)", "identity"]), parse_group("SO(2)(z)")
    yaw, mirror = group.sample(np.random.default_rng(0), 1)[0], np.diag([-1.0, 1.0, 1.0])
    assert turned_error(relaxed, builder, windows, yaw) > 1e-3
    with torch.no_grad():
        for layer in relaxed_layers(relaxed).values():
            layer.matrix.copy_(Projector(group, layer.irreps_in, layer.irreps_out, bias=True).project(layer.matrix))
    assert turned_error(relaxed, builder, windows, yaw) < 1e-11
    assert turned_error(relaxed, builder, windows, mirror) > 1e-3


def test_every_weight_of_a_relaxed_network_is_used(tmp_path):
    builder, windows = graphs(tmp_path)
    relaxed = make(builder, chain=["O(3)", "identity"])
    relaxed(builder.build(windows))[0].square().mean().backward()
    for name, value in relaxed.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, name
            assert value.grad.abs().sum() > 0 or name.endswith("_bias"), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "constant_velocty"}, "did you mean 'constant_velocity'"),
        ({"mode": 3}, "did you mean 'modes'"),
        ({"layers": 0}, "at least 1"),
        ({"time_width": 3}, "even"),
        ({"scalars": ["mass"]}, "no scalar field"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        build_model("egno", graphs(tmp_path)[0].schema, arguments)
