"""Regions turn with the scene, come back in the numbers of the file, and say what they cannot."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from forecasting.errors import PackageError, UsageError
from forecasting.inference import Predictor
from forecasting.inference.calibrating import calibrate
from forecasting.inference.intervals import Axes, Calibration
from forecasting.inference.predictor import Anchors
from forecasting.inference.regions import Interval, Regions
from forecasting.symmetry.transforms import Orthogonal, random_rotation, rotation_about
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.units import parse_unit


def fitted(made, dataset, **options):
    """The package, calibrated on all windows of its data, taken one by one."""
    parts = [dataset.windows(made.window, dataset.anchors(made.window))]
    return replace(made, calibration=calibrate(Predictor(made), parts, (0.5, 0.8), alike="windows", **options).to_plain())


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("shape", ["ball", "ellipsoid"])
@pytest.mark.parametrize("head", [{"name": "single"}, {"name": "hypotheses", "count": 3}, {"name": "scale"}])
def test_regions_turn_with_the_input(package, scene, head, shape, joint):
    """From a scene to regions in its own frame, in float32: g regions(x) = regions(g x)."""
    torch.manual_seed(0)
    made, dataset = package("egnn", {"hidden": 6, "head": head})
    made = fitted(made, dataset, shape=shape)
    interval = Interval((0.8,), joint)
    (plain,) = Predictor(made).trajectories([scene], interval=interval)
    rng = np.random.default_rng(0)
    for _ in range(3):
        turn = Orthogonal(random_rotation(rng))
        (turned,) = Predictor(made).trajectories([scene.transformed(turn)], interval=interval)
        expected = plain.regions[0.8].carried(turn.matrix)
        found = turned.regions[0.8]
        np.testing.assert_allclose(found.radius, expected.radius, rtol=1e-5)
        assert (found.shape is None) == (shape == "ball")
        if found.shape is not None:
            np.testing.assert_allclose(found.shape, expected.shape, atol=1e-5 * np.abs(expected.shape).max())
            assert np.ptp(np.linalg.eigvalsh(found.shape), axis=-1).max() > 1e-2


def test_planar_regions_turn_in_their_plane(package):
    made, dataset = package("egnn", {"hidden": 6}, dim=2)
    made, plane = fitted(made, dataset, shape="ellipsoid"), random_scene(np.random.default_rng(5), dim=2, frames=9, nodes=4)
    turn = Orthogonal(rotation_about(np.array([0.0, 0, 1]), 0.7))
    (plain,), (turned,) = (
        Predictor(made).trajectories([each], interval=Interval((0.8,))) for each in (plane, plane.transformed(turn))
    )
    expected = plain.regions[0.8].carried(turn.matrix[:2, :2])
    assert expected.shape.shape[-2:] == (2, 2)
    np.testing.assert_allclose(turned.regions[0.8].radius, expected.radius, rtol=1e-5)
    np.testing.assert_allclose(turned.regions[0.8].shape, expected.shape, atol=1e-5 * np.abs(expected.shape).max())


def test_an_ellipsoid_is_a_ball_where_nothing_moves():
    axes = Axes(np.array([[3.0]]), np.array([[1.0]]), 0.1)
    velocity = np.array([[0.0, 0, 0], [1e-9, 0, 0], [10.0, 0, 0]])
    still, slow, fast = axes.shapes(velocity, np.zeros(3, dtype=int))[:, 0]
    np.testing.assert_allclose(still, np.eye(3) * 11 / 3)
    np.testing.assert_allclose(slow, still, atol=1e-12)
    np.testing.assert_allclose(fast, np.diag([9, 1, 1]), rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("unit", ["cm", "0.5m", "x=2m,y=0.5m,z=4m"])
@pytest.mark.parametrize("shape", ["ball", "ellipsoid"])
def test_regions_come_back_in_the_numbers_of_the_file(package, scene, unit, shape):
    """A point lies as deep in its region whatever the unit, also where each axis has its own."""
    made, dataset = package("egnn", {"hidden": 6})
    made = fitted(made, dataset, shape=shape)
    (plain,) = Predictor(made, dtype=torch.float64).trajectories([scene], interval=Interval((0.8,)))
    parsed = parse_unit(unit, 3)
    factor = 100.0 if parsed.name == "cm" else 1.0
    fields = {n: replace(f, values=f.values * factor, unit=parsed.name) if f.unit == "m" else f for n, f in scene.fields.items()}
    other_scene = replace(scene, positions=scene.positions * factor, unit=parsed, fields=fields)
    (other,) = Predictor(made, dtype=torch.float64).trajectories([other_scene], interval=Interval((0.8,)))
    away = np.random.default_rng(0).normal(size=plain.positions.shape)
    depth = plain.regions[0.8].sizes(away) / plain.regions[0.8].radius
    moved = parsed.to_file(away * factor)
    np.testing.assert_allclose(other.regions[0.8].sizes(moved) / other.regions[0.8].radius, depth, rtol=1e-9)


def test_columns_and_files(package, scene, tmp_path):
    made, dataset = package("egnn", {"hidden": 6})
    made = fitted(made, dataset, shape="ellipsoid")
    rng = np.random.default_rng(0)
    scenes = [scene, *(random_scene(rng, f"s{index}", nodes=2) for index in range(2))]
    (batch,) = Predictor(made).batches(scenes, Anchors(3), Interval((0.5, 0.8)))
    table = batch.to_table()
    assert [name for name in table.column_names if name.startswith("shape_80")] == [
        f"shape_80_{a}" for a in ("xx", "xy", "xz", "yy", "yz", "zz")
    ]
    rows = [one.to_table() for one in batch]
    assert table.to_pylist() == [row for part in rows for row in part.to_pylist()]
    first = batch[0]
    radius = first.regions[0.5].radius
    np.testing.assert_array_equal(rows[0]["radius_50"].to_numpy(), radius.reshape(-1))
    assert np.linalg.det(first.regions[0.5].matrices(3)).reshape(-1) == pytest.approx(radius.reshape(-1) ** 6)
    first.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    assert np.array_equal(first.quantile(0.5), first.positions[:, 0])


WRONG = {
    "level": (Interval((0.7,)), UsageError, "levels 0.5, 0.8, not for 0.7"),
    "none": (Interval((0.8,)), UsageError, "not calibrated"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_was_not_calibrated_is_said(package, scene, case):
    interval, error, message = WRONG[case]
    made, dataset = package("egnn", {"hidden": 6})
    made = made if case == "none" else fitted(made, dataset)
    with pytest.raises(error, match=message):
        list(Predictor(made).trajectories([scene], interval=interval))


DAMAGE = {
    "schema": lambda plain: plain | {"schema": 2},
    "missing": lambda plain: {key: value for key, value in plain.items() if key != "steps"},
    "shape": lambda plain: plain | {"steps": plain["steps"][:1]},
    "ragged": lambda plain: plain | {"profile": [[1.0], [1.0, 2.0]]},
    "text": lambda plain: plain | {"joint": "wide"},
    "negative": lambda plain: plain | {"profile": [[-1.0] * 2] * 2},
    "infinite": lambda plain: plain | {"profile": [[float("inf")] * 2] * 2},
    "flat": lambda plain: plain | {"axes": {"along": [[0.0] * 2] * 2, "across": [[1.0] * 2] * 2, "speed": 1.0}},
    "huge": lambda plain: plain | {"levels": [10**400, 1]},
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_calibration_is_refused(package, case):
    made, dataset = package("egnn", {"hidden": 6})
    plain = fitted(made, dataset).calibration
    assert Calibration.of_plain(plain).to_plain() == plain
    with pytest.raises(PackageError, match="calibration is damaged"):
        Calibration.of_plain(DAMAGE[case](plain))


OTHER = {
    "steps": lambda plain: plain | {"steps": [[row[:1] for row in kinds] for kinds in plain["steps"]], "profile": [[1.0]] * 2},
    "types": lambda plain: plain | {"node_types": ["x", "y"]},
}


@pytest.mark.parametrize("case", OTHER)
def test_a_calibration_of_another_model_is_refused(package, case):
    made, dataset = package("egnn", {"hidden": 6})
    made = fitted(made, dataset)
    with pytest.raises(PackageError, match="the package's calibration is for"):
        Predictor(replace(made, calibration=OTHER[case](made.calibration)))


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]))
def test_a_linear_map_keeps_what_lies_inside(seed, dim):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(dim, dim)) + 2 * np.eye(dim)
    shape = root @ root.T
    ellipsoid = Regions(np.full((1, 1, 1), 1.3), (shape / np.linalg.det(shape) ** (1 / dim))[None, None, None])
    matrix, away = rng.normal(size=(dim, dim)) + 2 * np.eye(dim), rng.normal(size=(1, 1, 1, dim))
    assume(np.linalg.cond(root) < 100 and np.linalg.cond(matrix) < 100)  # beyond, rounding is larger than what is asked for
    for region in (ellipsoid, Regions(ellipsoid.radius)):
        moved = region.carried(matrix)
        before, after = region.sizes(away) / region.radius, moved.sizes(away @ matrix.T) / moved.radius
        np.testing.assert_allclose(after, before, rtol=1e-6)
    turned = Regions(ellipsoid.radius).carried(3 * np.linalg.qr(matrix)[0])
    assert turned.shape is None
    assert turned.radius.item() == pytest.approx(3.9)
