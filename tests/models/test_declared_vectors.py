"""Declared vectors in models: read as vectors, never as coordinates; whole worlds may be moved, from file to forecast."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.inference.predictor import Anchors, Predictor
from forecasting.packages import load_package, save_package
from forecasting.symmetry.transforms import Orthogonal, Translation, random_rotation, rotation_about
from forecasting.testing.runs import SMALLEST
from forecasting.trajectories.declared import Declared
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.windows import WindowSpec

STRICT = tuple(SMALLEST)
READS = (*STRICT, "gnn", "mlp")
UP = Declared("up", (0.0, 0.0, 1.0))
HEIGHT = Declared("height", (0.0, 0.0, 1.0), (0.5, -1.0, 0.25))


@pytest.fixture
def world(package, scene):
    """Makes a package whose weights all matter, that reads both vectors, and gives it with a scene."""

    def make(model, *declared, **kind):
        made, dataset = package(model, SMALLEST.get(model, {"hidden": 6}), WindowSpec(3, (1, 2), declared=declared), **kind)
        torch.manual_seed(1)
        noisy = {
            name: value + 0.1 * torch.randn_like(value) if value.is_floating_point() else value
            for name, value in made.weights.items()
        }
        return replace(made, weights=noisy), dataset

    return make


def forecasts(package, scene):
    predictor = Predictor(package, dtype=torch.float64)
    return np.concatenate([one.positions for one in predictor.trajectories([scene], Anchors(every=1))])


def declaring(package, transform):
    """The package of a world that was moved."""
    moved = tuple(
        replace(
            one,
            direction=tuple(transform.act(np.array(one.direction), "1o")),
            origin=None if one.origin is None else tuple(transform.act(np.array(one.origin), "1o", translates=True)),
        )
        for one in package.window.declared
    )
    return replace(package, window=replace(package.window, declared=moved))


@pytest.mark.parametrize("model", STRICT)
def test_a_world_moved_with_its_vectors_has_a_moved_forecast(world, scene, model):
    package, _ = world(model, UP, HEIGHT)
    plain, rng = forecasts(package, scene), np.random.default_rng(2)
    for transform in (Orthogonal(random_rotation(rng)), Orthogonal(-random_rotation(rng)), Translation(10 * rng.normal(size=3))):
        moved = forecasts(declaring(package, transform), scene.transformed(transform))
        np.testing.assert_allclose(moved, transform.act(plain, "1o", translates=True), rtol=0, atol=1e-10)


@pytest.mark.parametrize("model", STRICT)
def test_turning_the_scene_alone_is_another_question(world, scene, model):
    package, _ = world(model, UP)
    tilt, yaw = Orthogonal(rotation_about(np.array([1.0, 0, 0]), 1.0)), Orthogonal(rotation_about(np.array([0, 0, 1.0]), 1.0))
    plain = forecasts(package, scene)
    tilted, turned = (forecasts(package, scene.transformed(each)) for each in (tilt, yaw))
    assert np.abs(tilted - tilt.act(plain, "1o", translates=True)).max() > 1e-4
    np.testing.assert_allclose(turned, yaw.act(plain, "1o", translates=True), rtol=0, atol=1e-10)


@pytest.mark.parametrize("model", READS)
@pytest.mark.parametrize("name", ["up", "height"])
def test_models_read_both_and_stay_finite(world, model, name):
    package, dataset = world(model, UP, HEIGHT)
    windows = dataset.windows(package.window, dataset.anchors(package.window))
    batch = package.builder(torch.float64).build(windows)
    vectors = batch[name].requires_grad_()
    moved = package.forecaster(torch.float64)(batch)[0]
    (slope,) = torch.autograd.grad(moved.square().sum(), vectors)
    assert torch.isfinite(moved).all()
    assert torch.isfinite(slope).all()
    assert slope.abs().max() > 1e-6


@pytest.mark.parametrize("model", ["egnn", "mlp"])
def test_planar_worlds_have_directions_of_two_numbers(world, model):
    package, dataset = world(model, Declared("slope", (0.6, 0.8)), Declared("down", (0.6, 0.8), (1.0, 2.0)), dim=2)
    moved = forecasts(package, dataset.trajectory(3))
    assert moved.shape[-1] == 2
    assert np.isfinite(moved).all()


def test_another_unit_and_up_axis_change_nothing(world, scene):
    package, _ = world("segnn", UP, HEIGHT)
    plain = forecasts(package, scene)
    turn = Orthogonal(rotation_about(np.array([-1.0, 0, 0]), np.pi / 2))  # z up -> y up
    other = replace(scene.transformed(turn), frame=Frame("+y")).in_unit("cm")
    found = forecasts(package, replace(other, unit=replace(other.unit, per_axis=())))
    np.testing.assert_allclose(found, 100 * turn.act(plain, "1o", translates=True), rtol=0, atol=1e-8)


def test_a_package_keeps_what_was_declared(world, scene, tmp_path):
    package, _ = world("egnn", UP, HEIGHT)
    kept = load_package(save_package(package, tmp_path / "package"))
    assert kept.window == package.window
    assert kept.schema == package.schema
    np.testing.assert_array_equal(forecasts(kept, scene), forecasts(package, scene))
