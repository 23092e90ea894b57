"""A break of 1 %, planted in the input, in each layer, in the output: found everywhere, of the right size, in the right place."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.evaluation import _curves
from forecasting.evaluation.lie import lie_derivatives
from forecasting.evaluation.robustness import robustness
from forecasting.graphs.build import GraphBuilder
from forecasting.models.base import Forecaster, Hypotheses

MODELS = {
    "egnn": {"hidden": 6, "layers": 3, "chain": ["O(3)", "identity"]},
    "segnn": {"hidden": 6, "layers": 2, "chain": ["O(3)", "identity"]},
}
SIZE = 0.01
STRICT = 1e-5
FEW = {"scenes": 4, "frames": 9, "velocity": True}
STILL = np.eye(3)
PLACES = [("egnn", layer) for layer in range(3)] + [("segnn", layer) for layer in range(4)]


@pytest.fixture(autouse=True)
def fewer_angles(monkeypatch):
    monkeypatch.setattr(_curves, "ANGLES", (-150, -60, 0, 90, 180))


@pytest.fixture
def strict(package):
    """A network with relaxed maps that are all 0, and strict weights that all matter."""

    def make(model):
        torch.manual_seed(5)
        made, dataset = package(model, MODELS[model], **FEW)
        relaxed = {name: "relaxed" in name.split(".") for name in made.weights}
        weights = {
            name: value + 0.1 * torch.randn_like(value) if not relaxed[name] else 0 * value if name.endswith("matrix") else value
            for name, value in made.weights.items()
        }
        return replace(made, weights=weights), dataset

    return make


def curves(package, dataset):
    found = robustness(package, dataset, dataset.anchors(package.window), dtype=torch.float64)
    return {curve["name"].removesuffix(" (up)"): curve for curve in found["curves"]}


def turns(found):
    return [residual for name, curve in found.items() if name.startswith("rotation") for residual in curve["residual"]]


def lie(package, dataset):
    return lie_derivatives(package, dataset, dataset.anchors(package.window))


def displacements(package, dataset, turn=STILL):
    """(N, H, 3) [L] of all windows, turned."""
    windows = dataset.windows(package.window, dataset.anchors(package.window))
    heading = {**windows.fields, "heading": windows.fields["heading"] @ turn.T}
    windows = replace(windows, position=windows.position @ turn.T, velocity=windows.velocity @ turn.T, fields=heading)
    with torch.no_grad():
        return package.forecaster(torch.float64)(package.builder(torch.float64).build(windows)).displacement[:, 0].numpy()


def with_matrix(package, layer, matrix):
    return replace(package, weights={**package.weights, f"relaxed.{layer}.matrix": matrix})


def planted(package, dataset, layer, matrix):
    """The matrix in a layer, of the factor that changes forecasts by 1 %."""
    plain, factor = displacements(package, dataset), 1e-3
    for _ in range(4):
        changed = displacements(with_matrix(package, layer, factor * matrix), dataset) - plain
        factor *= SIZE * np.linalg.norm(plain) / np.linalg.norm(changed)
    return with_matrix(package, layer, factor * matrix)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_found_where_nothing_is_planted(strict, model):
    made, dataset = strict(model)
    found, derivatives = curves(made, dataset), lie(made, dataset)
    assert max(turns(found) + found["reflection"]["residual"]) < STRICT
    assert max(derivatives["end_to_end"].values()) < STRICT
    assert {value for layer in derivatives["layers"].values() for value in layer.values()} == {0.0}


@pytest.mark.parametrize(("model", "layer"), PLACES)
def test_a_matrix_in_a_layer(strict, model, layer):
    """Forecasts f + δ of a strict f, with |δ(x)| = 1 % of |f(x)|, are off by |δ(g x) − g δ(x)|."""
    whole, dataset = strict(model)
    shape = whole.weights[f"relaxed.{layer}.matrix"].shape
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(layer))
    made = planted(whole, dataset, layer, matrix)
    found, derivatives = curves(made, dataset), lie(made, dataset)
    quarter = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    change, turned = (displacements(made, dataset, turn) - displacements(whole, dataset, turn) for turn in (STILL, quarter))
    off = np.linalg.norm(turned - change @ quarter.T) / np.linalg.norm(displacements(made, dataset))
    curve = found["rotation about y"]
    assert curve["residual"][curve["x"].index(90)] == pytest.approx(off, rel=1e-4)
    residuals = [max(curve["residual"]) for name, curve in found.items() if name.startswith("rotation")]
    assert max(residuals) < 3 * SIZE
    assert min(residuals) > 0.3 * SIZE > 100 * STRICT
    blamed = {name for name, values in derivatives["layers"].items() if max(values.values()) > STRICT}
    assert blamed == {f"relaxed.{layer}"} == {name for name, size in derivatives["sizes"].items() if size}
    assert max(derivatives["end_to_end"].values()) > 0.1 * SIZE
    assert max(found["translation"]["residual"] + found["order of nodes"]["residual"]) < STRICT


def test_a_push_of_the_last_layer_follows_the_chord(strict):
    """A constant push δ is off by |δ| 2 sin(θ/2) when the scene is turned by θ across it, by nothing when turned about it."""
    whole, dataset = strict("egnn")
    matrix = torch.zeros_like(whole.weights["relaxed.2.matrix"])
    matrix[2::3, -1] = 1.0
    found = curves(planted(whole, dataset, 2, matrix), dataset)
    for axis, across in (("x", 1), ("y", 1), ("z", 0)):
        curve = found[f"rotation about {axis}"]
        expected = SIZE * across * np.abs(2 * np.sin(np.deg2rad(curve["x"]) / 2))
        np.testing.assert_allclose(curve["residual"], expected, rtol=0.02, atol=1e-6)
    assert found["reflection"]["residual"][:3] == pytest.approx([0, 0, 2 * SIZE], rel=0.02, abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_a_stretched_output(strict, model, monkeypatch):
    """f' = D f with D = diag(1.01, 1, 1) is off by |(D g − g D) f|, computed here from f alone."""
    made, dataset = strict(model)
    plain, forward, stretch = displacements(made, dataset), Forecaster.forward, np.diag([1 + SIZE, 1, 1])

    def stretched(self, batch):
        moved, weights, _ = forward(self, batch)
        return Hypotheses(moved @ torch.from_numpy(stretch).to(moved), weights)

    monkeypatch.setattr(Forecaster, "forward", stretched)
    found = curves(made, dataset)
    for letter, (first, second) in {"x": (1, 2), "y": (2, 0), "z": (0, 1)}.items():
        curve = found[f"rotation about {letter}"]
        for angle, residual in zip(curve["x"], curve["residual"], strict=True):
            turn, (cos, sin) = np.eye(3), (np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)))
            turn[[first, second], [first, second]], turn[second, first], turn[first, second] = cos, sin, -sin
            off = np.linalg.norm(plain @ (stretch @ turn - turn @ stretch).T) / np.linalg.norm(plain @ stretch)
            assert residual == pytest.approx(off, rel=1e-4, abs=1e-6)
    assert max(found["rotation about x"]["residual"]) < STRICT
    assert max(found["rotation about z"]["residual"]) > 0.3 * SIZE
    assert lie(made, dataset)["end_to_end"]["rotation z"] > 0.1 * SIZE


@pytest.mark.parametrize("model", MODELS)
def test_a_stretched_input(strict, model, monkeypatch):
    """One axis 1 % too long before the network sees anything: found end to end, and no layer is blamed."""
    made, dataset = strict(model)
    build = GraphBuilder.build

    def stretched(self, windows):
        stretch = np.array([1 + SIZE, 1, 1])
        return build(self, replace(windows, position=windows.position * stretch, velocity=windows.velocity * stretch))

    monkeypatch.setattr(GraphBuilder, "build", stretched)
    found, derivatives = curves(made, dataset), lie(made, dataset)
    assert max(found["rotation about x"]["residual"]) < STRICT
    for axis in "yz":
        assert 0.1 * SIZE < max(found[f"rotation about {axis}"]["residual"]) < 10 * SIZE
    assert max(found["reflection"]["residual"][:3]) < STRICT
    assert min(found["reflection"]["residual"][3:]) > 0.01 * SIZE
    assert {value for layer in derivatives["layers"].values() for value in layer.values()} == {0.0}
