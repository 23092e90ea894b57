"""Sizes of regions: they hold as often as they say, and nothing is said from too little."""

import json
from dataclasses import replace
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import DataError
from forecasting.evaluation._moved_windows import selected
from forecasting.evaluation.calibration import Coverage
from forecasting.inference._scores import conformal_quantiles, needed
from forecasting.inference.answers import Answers
from forecasting.inference.calibrating import calibrate
from forecasting.inference.following import Following
from forecasting.inference.intervals import Calibration
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
