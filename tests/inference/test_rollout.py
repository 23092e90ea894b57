"""Beyond the horizon, and several packages together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.errors import UsageError
from forecasting.inference import Predictor
from forecasting.inference.calibrating import calibrate
from forecasting.inference.ensemble import Ensemble
from forecasting.inference.predictor import Anchors
from forecasting.inference.regions import Interval
from forecasting.inference.rollout import Rollout
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.windows import WindowSpec


@pytest.fixture
def straight():
    scene = random_scene(np.random.default_rng(5), "new", frames=9, nodes=4, gaps=False)
    start, slope = scene.positions[0], np.random.default_rng(1).normal(size=(4, 3))
    return replace(scene, positions=start + slope * scene.time[:, None, None])


@pytest.mark.parametrize(
    ("history", "horizon", "until", "steps"),
    [
        (3, (1, 2), 7, [1, 2, 3, 4, 5, 6, 7]),
        (1, (4,), 12, [4, 8, 12]),
        (2, (1, 2, 5), 6, [1, 2, 3, 4, 5, 6]),
        (2, (3, 4), 11, [3, 4, 7, 8, 11]),
    ],
)
def test_straight_ways_go_on_straight(package, straight, history, horizon, until, steps):
    made, _ = package("constant_velocity", spec=WindowSpec(history, horizon))
    (found,) = Rollout(Predictor(made, dtype=torch.float64), until).trajectories([straight])
    if history == 1:  # nothing says how fast
        np.testing.assert_allclose(found.positions[:, 0], np.repeat(found.anchor[:, None], len(steps), 1))
    else:
        slope = (straight.positions[-1] - straight.positions[-2]) / 0.1
        expected = found.anchor[:, None] + slope[:, None] * np.array(steps)[:, None] * 0.1
        np.testing.assert_allclose(found.positions[:, 0], expected, atol=1e-9)
    np.testing.assert_allclose(found.time - found.anchor_time, np.array(steps) * 0.1)


def test_the_first_steps_are_those_of_the_model_and_each_hypothesis_goes_its_own_way(package, scene):
    torch.manual_seed(0)
    made, _ = package("egnn", {"hidden": 6, "head": {"name": "hypotheses", "count": 3}})
    plain, longer = Predictor(made), Rollout(Predictor(made), 5)
    (short,), (long,) = plain.trajectories([scene]), longer.trajectories([scene])
    assert long.positions.shape[1:3] == (3, 5)
    np.testing.assert_array_equal(long.positions[:, :, :2], short.positions)
    np.testing.assert_array_equal(long.time[:2], short.time)
    assert np.abs(long.positions[:, 0, 4] - long.positions[:, 1, 4]).max() > 0


@pytest.mark.parametrize("shape", ["ball", "ellipsoid"])
@pytest.mark.parametrize("head", ["single", "scale"])
def test_regions_end_with_the_horizon(package, scene, shape, head):
    made, dataset = package("egnn", {"hidden": 6, "head": {"name": head}})
    parts = [dataset.windows(made.window, dataset.anchors(made.window))]
    made = replace(made, calibration=calibrate(Predictor(made), parts, (0.8,), alike="windows", shape=shape).to_plain())
    (short,) = Predictor(made).trajectories([scene], interval=Interval((0.8,)))
    (long,) = Rollout(Predictor(made), 4).trajectories([scene], interval=Interval((0.8,)))
    np.testing.assert_array_equal(long.regions[0.8].radius[:, :, :2], short.regions[0.8].radius)
    assert np.isnan(long.regions[0.8].radius[:, :, 2:]).all()
    assert long.to_table()["radius_80"].null_count == long.positions[:, :, 2:, 0].size


@pytest.mark.parametrize(
    ("history", "horizon", "until", "message"),
    [
        (3, (1, 2), 2, "forecasts to step 2 by itself"),
        (2, (3, 4), 10, "take for instance 7, 8, 11, 12"),
        (2, (10,), 20, "make no history to go on from"),
    ],
)
def test_where_it_cannot_go(package, history, horizon, until, message):
    made, _ = package("constant_velocity", spec=WindowSpec(history, horizon))
    with pytest.raises(UsageError, match=message):
        Rollout(Predictor(made), until)


def test_an_ensemble_says_what_its_members_say(package, scene):
    torch.manual_seed(0)
    first, _ = package("egnn", {"hidden": 6, "head": {"name": "hypotheses", "count": 2}})
    second, _ = package("mlp")
    together = Ensemble([first, second])
    (found,), (one,), (two,) = (each.trajectories([scene]) for each in (together, Predictor(first), Predictor(second)))
    np.testing.assert_array_equal(found.positions, np.concatenate([one.positions, two.positions], axis=1))
    np.testing.assert_allclose(found.weights, [*one.weights / 2, 0.5])
    (long,) = Rollout(together, 4).trajectories([scene])
    (alone,) = Rollout(Predictor(second), 4).trajectories([scene])
    np.testing.assert_allclose(long.positions[:, 2], alone.positions[:, 0], rtol=1e-6)
    with pytest.raises(UsageError, match="not calibrated"):
        list(together.trajectories([scene], Anchors(), Interval((0.8,))))


OTHERS = {
    "horizon": lambda made: replace(made, window=WindowSpec(3, (1, 3))),
    "unit": lambda made: replace(made, unit="cm"),
    "time between frames": lambda made: replace(made, dt=0.2),
    "node types": lambda made: replace(made, schema=replace(made.schema, node_types=("a", "c"))),
}


@pytest.mark.parametrize("what", OTHERS)
def test_members_that_do_not_fit_are_named(package, what):
    made, _ = package("constant_velocity")
    with pytest.raises(UsageError, match=f"package 2 of the ensemble differs from the first in {what}"):
        Ensemble([made, OTHERS[what](made)])


def test_one_package_is_no_ensemble(package):
    with pytest.raises(UsageError, match="at least 2"):
        Ensemble([package()[0]])
