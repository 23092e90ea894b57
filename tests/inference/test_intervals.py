"""Regions hold what they say, say what they cannot, and turn with the scene."""

import json
from dataclasses import replace
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import DataError, PackageError, UsageError
from forecasting.evaluation._moved_windows import selected
from forecasting.evaluation.calibration import Coverage
from forecasting.inference import Predictor
from forecasting.inference._scores import conformal_quantiles, needed
from forecasting.inference.answers import Answers
from forecasting.inference.calibrating import calibrate
from forecasting.inference.following import Following
from forecasting.inference.intervals import Axes, Calibration
from forecasting.inference.predictor import Anchors
from forecasting.inference.regions import Interval, Regions
from forecasting.symmetry.transforms import Orthogonal, random_rotation, rotation_about
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.units import parse_unit
from forecasting.trajectories.windows import WindowSpec

LEVELS = (0.5, 0.8, 0.9)


class Says:
    """A predictor whose forecasts are the truth plus errors that a function draws."""

    def __init__(self, package, errors, weights=1, scale=None):
        self.package, self.errors, self.count, self.scale = package, errors, weights, scale

    def answers(self, windows):
        nodes, steps, dim = windows.future.shape
        off = self.errors(windows, (nodes, self.count, steps, dim))
        weights = np.full((len(windows), self.count), 1 / self.count)
        return Answers(windows.future[:, None] + off, weights, None if self.scale is None else self.scale(windows, off.shape[:3]))


def normal(seed, *, by_scene=0.0):
    """Errors of a size that differs from scene to scene, or from type to type."""
    rng = np.random.default_rng(seed)

    def draw(windows, shape):
        size = np.exp(by_scene * rng.normal(size=10_000))[windows.scene][windows.window_of_node]
        kind = 1.0 + 2.0 * windows.node_type
        return (size * kind)[:, None, None, None] * rng.normal(size=shape) * np.arange(1, shape[2] + 1)[:, None]

    return draw


@pytest.fixture
def world(package):
    """Many short scenes of one to six nodes, and a package for them."""
    made, dataset = package("constant_velocity", spec=WindowSpec(2, (1, 2, 3)), scenes=240, frames=8)
    anchors = dataset.anchors(made.window)
    first, second = (dataset.windows(made.window, anchors[anchors[:, 0] % 2 == half]) for half in (0, 1))
    return made, first, second


def test_split_conformal_is_the_rank_that_it_should_be():
    scores = np.random.default_rng(0).permutation(99).astype(float)
    found = conformal_quantiles(scores, np.arange(99), LEVELS)
    assert found.tolist() == [ceil(100 * level - 1e-9) - 1 for level in LEVELS]


@pytest.mark.parametrize(("level", "least"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_how_many_a_level_takes(level, least):
    assert needed(level) == least
    scores = np.arange(float(least))
    assert conformal_quantiles(scores, np.arange(least), (level,)) is not None
    assert conformal_quantiles(scores[1:], np.arange(least - 1), (level,)) is None


@given(st.lists(st.lists(st.floats(0, 10), min_size=1, max_size=4), min_size=9, max_size=20), st.integers(1, 3))
def test_a_group_counts_once_however_often_it_speaks(groups, times):
    """Repeating all scores of some groups changes nothing, and quantiles rise with the level."""

    def quantiles(parts):
        index = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return conformal_quantiles(np.concatenate(parts), index, LEVELS)

    plain = quantiles(groups)
    assert np.array_equal(plain, quantiles([part * (times if place % 2 else 1) for place, part in enumerate(groups)]))
    assert (np.diff(plain) >= 0).all()


@pytest.mark.parametrize("shape", ["ball", "ellipsoid"])
@pytest.mark.parametrize("case", ["one", "several", "scaled"])
def test_regions_hold_as_often_as_they_say(world, shape, case):
    """On other scenes, though the size of errors differs from scene to scene; for each type and for whole ways."""
    made, first, second = world
    count = 3 if case == "several" else 1

    def scale(windows, of):
        return np.broadcast_to((1.0 + 2.0 * windows.node_type)[:, None, None], of)

    about = {"weights": count, "scale": scale if case == "scaled" else None}
    calibration = calibrate(Says(made, normal(1, by_scene=0.5), **about), [first], LEVELS, shape=shape)
    coverage = Coverage(Calibration.of_plain(json.loads(json.dumps(calibration.to_plain()))))
    coverage.add(Says(made, normal(2, by_scene=0.5), **about).answers(second), second)
    for row in coverage.summary()["levels"]:
        for name in ("overall", "joint"):
            assert row[name] == pytest.approx(row["level"], abs=0.07), (name, row)
        assert row["worst"]["overall"] == pytest.approx(row["level"], abs=0.12)
    assert calibration.scaled == (case == "scaled")
    assert calibration.about["pooled"] == []


def test_each_type_has_its_size_and_rare_ones_that_of_all(world):
    made, first, _ = world
    own = calibrate(Says(made, normal(1)), [first], (0.8,))
    assert own.steps[0, 1, 0] / own.steps[0, 0, 0] == pytest.approx(3, rel=0.25)
    rare = replace(first, node_type=np.where(first.scene[first.window_of_node] == 10, first.node_type, 0))
    pooled = calibrate(Says(made, normal(1)), [rare], (0.8,))
    assert pooled.about["pooled"] == ["b"]
    assert pooled.steps[0, 1, 0] == pytest.approx(pooled.steps[0, 0, 0], rel=0.05)


@pytest.mark.parametrize(("alike", "message"), [("scenes", "12 scenes .* takes 24; .*--alike blocks"), ("blocks", "takes 24")])
def test_too_few_to_say_anything(world, alike, message):
    made, first, _ = world
    few = selected(first, np.flatnonzero((first.scene < 24)[first.window_of_node]))
    with pytest.raises(DataError, match=message):
        calibrate(Says(made, normal(0)), [few], (0.95,), alike=alike)
    assert calibrate(Says(made, normal(0)), [few], (0.9,), alike=alike).about["groups"] == 12


def test_nothing_to_calibrate_on(world):
    with pytest.raises(DataError, match="no window"):
        calibrate(Says(world[0], normal(0)), [], (0.8,))


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


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]))
def test_a_linear_map_keeps_what_lies_inside(seed, dim):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(dim, dim)) + 2 * np.eye(dim)
    shape = root @ root.T
    ellipsoid = Regions(np.full((1, 1, 1), 1.3), (shape / np.linalg.det(shape) ** (1 / dim))[None, None, None])
    matrix, away = rng.normal(size=(dim, dim)) + 2 * np.eye(dim), rng.normal(size=(1, 1, 1, dim))
    for region in (ellipsoid, Regions(ellipsoid.radius)):
        moved = region.carried(matrix)
        before, after = region.sizes(away) / region.radius, moved.sizes(away @ matrix.T) / moved.radius
        np.testing.assert_allclose(after, before, rtol=1e-6)
    turned = Regions(ellipsoid.radius).carried(3 * np.linalg.qr(matrix)[0])
    assert turned.shape is None
    assert turned.radius.item() == pytest.approx(3.9)


def test_following_finds_the_size_that_a_recording_has(world):
    """Errors are three times as large as when the package was calibrated, and grow; the bound on the share of misses holds."""
    made, first, second = world
    calibration = calibrate(Says(made, normal(1)), [first], (0.8,))
    errors, following = normal(2), Following(calibration, 0.05)
    still, moving = Coverage(calibration), Coverage(calibration, following)
    order = np.unique(second.scene)
    for place, scene in enumerate(order):
        windows = selected(second, np.flatnonzero((second.scene == scene)[second.window_of_node]))
        larger = Says(made, lambda of, shape, at=place: errors(of, shape) * (3 + 2 * at / len(order)))
        answers = larger.answers(windows)
        for coverage in (still, moving):
            coverage.add(answers, windows)
        following.learn(answers, windows)
    fixed, found = (each.summary()["levels"][0] for each in (still, moving))
    assert fixed["overall"] < 0.5
    assert found["overall"] == pytest.approx(0.8, abs=0.03)
    assert found["joint"] == pytest.approx(0.8, abs=0.05)
