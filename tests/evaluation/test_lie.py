"""Lie derivatives: zero where a model is strict, the same by two methods, and of layers in closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.errors import DataError
from forecasting.evaluation import lie
from forecasting.evaluation._slopes import DIFFERENCES, EXACT, differences, exact, method_for
from forecasting.evaluation.lie import layer_derivatives, lie_derivatives
from forecasting.models.place import PlaceMap
from forecasting.models.relaxed import RelaxedMap
from forecasting.symmetry._representations import irreps_matrices
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.transforms import rotation_about

SMALL = {"scenes": 4, "frames": 8}
SPACE, PLANE = [parse_group("SE(3)")], [parse_group("SO(2)(z)"), parse_group("T(2)")]
RELAXED = {"hidden": 6, "layers": 2, "chain": ["O(3)", "identity"]}
FREE = {**RELAXED, "chain": ["translations", "O(3)", "identity"]}


def found(package, dataset, **options):
    return lie_derivatives(package, dataset, dataset.anchors(package.window), **options)


def shaken(package):
    """Weights that all matter."""
    generator = torch.Generator().manual_seed(2)
    weights = {
        name: value + 0.1 * torch.randn(value.shape, generator=generator) if name.split(".")[-1] == "matrix" else value
        for name, value in package.weights.items()
    }
    return replace(package, weights=weights)


@pytest.mark.parametrize(
    ("model", "arguments"), [("egnn", {"hidden": 6}), ("segnn", {"hidden": 6, "layers": 2}), ("constant_velocity", {})]
)
def test_strict_models_have_none(package, model, arguments):
    made, dataset = package(model, arguments, **SMALL)
    result = found(made, dataset)
    assert list(result["end_to_end"]) == [f"{what} {axis}" for what in ("rotation", "shift") for axis in "xyz"]
    assert max(result["end_to_end"].values()) < 1e-9
    assert result["layers"] == result["sizes"] == {}


def test_in_the_plane_there_is_one_rotation(package):
    made, dataset = package("mlp", dim=2, **SMALL)
    result = found(made, dataset)["end_to_end"]
    assert list(result) == ["rotation z", "shift x", "shift y"]
    assert result["rotation z"] > 1e-2
    assert result["shift x"] == result["shift y"] == 0


@pytest.mark.parametrize(
    ("model", "arguments", "groups", "kind"),
    [
        ("egnn", RELAXED, SPACE, {}),
        ("egnn", FREE, SPACE, {}),
        ("segnn", RELAXED, SPACE, {"velocity": True}),
        ("mlp", {"hidden": 6}, PLANE, {"dim": 2}),
        ("gnn", {"hidden": 6}, SPACE, {"gaps": False}),
    ],
)
def test_differences_agree_with_forward_mode(package, model, arguments, groups, kind):
    torch.manual_seed(0)
    made, dataset = package(model, arguments, **SMALL, **kind)
    made = shaken(made)
    net, windows = made.forecaster(torch.float64), dataset.windows(made.window, dataset.anchors(made.window))
    batch = made.builder(torch.float64).build(windows)
    assert method_for(net, batch, groups) is EXACT
    one, other = exact(net, batch, groups), differences(net, batch, groups)
    assert one[0] > 1e-3
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)
    assert (one[-1] > 1e-3) == (arguments is FREE)


def test_a_model_without_forward_mode_is_differentiated_by_differences(package):
    made, dataset = package("newton", {}, velocity=True, **SMALL)
    batch = made.builder(torch.float64).build(dataset.windows(made.window, dataset.anchors(made.window)))
    assert method_for(made.forecaster(torch.float64), batch, SPACE) is DIFFERENCES
    result = found(made, dataset)
    assert result["method"] == "central differences of 0.0001"
    assert max(result["end_to_end"].values()) < 1e-7


def test_chunks_do_not_matter(package, monkeypatch):
    made, dataset = package("mlp", **SMALL)
    whole = found(made, dataset)
    from forecasting.evaluation import robustness

    monkeypatch.setattr(robustness, "CHUNK", 5)
    calls = []
    parts = found(made, dataset, progress=lambda *counts: calls.append(counts))
    assert parts["end_to_end"] == pytest.approx(whole["end_to_end"], rel=1e-9)
    assert calls[-1] == (whole["windows"],) * 2
    assert lie.chunks is robustness.chunks


@pytest.mark.parametrize("irreps_out", ["3x0e+2x1o", "2x1o+1x1e"])
def test_of_a_layer_by_turning_a_little(irreps_out):
    """|D'(t) M − M D(t)| / t |M| of a small turn."""
    torch.manual_seed(0)
    layer = RelaxedMap("4x0e+2x1o", irreps_out).double()
    generators, step = parse_group("SO(3)").generators(), 1e-6
    matrix = layer.effective().detach().numpy()
    for axis, value in zip(np.eye(3), layer_derivatives(layer, generators), strict=True):
        turn = rotation_about(axis, step)[None]
        before, after = irreps_matrices("4x0e+2x1o+0e", turn)[0], irreps_matrices(irreps_out, turn)[0]
        assert value == pytest.approx(np.linalg.norm(after @ matrix - matrix @ before) / step / np.linalg.norm(matrix), rel=1e-5)
        assert value > 0.1


def test_a_bias_along_an_axis_breaks_the_rotations_across_it():
    layer = RelaxedMap("1x0e", "1x1o").double()
    with torch.no_grad():
        layer.matrix.zero_()
        layer.matrix[:, -1] = torch.tensor([0.0, 0.0, 0.3])
    np.testing.assert_allclose(layer_derivatives(layer, parse_group("SO(3)").generators()), [1, 1, 0], atol=1e-12)
    with torch.no_grad():
        layer.matrix.zero_()
    np.testing.assert_array_equal(layer_derivatives(layer, parse_group("SO(3)").generators()), 0)


def test_of_places_shifts_count(package):
    made, dataset = package("egnn", FREE, **SMALL)
    weights = dict(made.weights)
    name = next(key for key in weights if key.endswith("shift.matrix"))
    weights[name] = torch.zeros_like(weights[name])
    weights[name][-1, 2] = 1.0
    made = replace(made, weights=weights)
    result = found(made, dataset)
    assert isinstance(dict(made.forecaster().named_modules())[name.removesuffix(".matrix")], PlaceMap)
    layer = result["layers"][name.removesuffix(".matrix")]
    assert [layer[f"shift {axis}"] for axis in "xyz"] == pytest.approx([0, 0, 1], abs=1e-12)
    assert result["layers"][name.removesuffix(".shift.matrix")]["shift z"] == 0


def test_what_has_no_number(package):
    made, dataset = package("static", **SMALL)
    assert set(found(made, dataset)["end_to_end"].values()) == {None}
    made, dataset = package("egnn", {**RELAXED, "chain": ["mlp"]}, **SMALL)
    result = found(made, dataset)
    assert set(result["layers"]["relaxed.0"].values()) == {None} == {result["sizes"]["relaxed.0"]}
    assert result["end_to_end"]["rotation x"] > 0
    with pytest.raises(DataError, match="no window"):
        lie_derivatives(made, dataset, np.zeros((0, 2), dtype=int))
