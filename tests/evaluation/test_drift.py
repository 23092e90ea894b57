"""Forecasts fed back: as by hand, exact where the model is, and honest where they cannot go on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.errors import DataError, NumericalError
from forecasting.evaluation.drift import drift
from forecasting.graphs.build import schema_of
from forecasting.graphs.topology import Complete
from forecasting.inference.feedback import DIFFERENCES, MEAN_VELOCITIES, advance_of, fed_back
from forecasting.inference.predictor import Predictor
from forecasting.packages import Package
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.simulators.base import build_simulator
from forecasting.trajectories.windows import WindowSpec


@pytest.mark.parametrize(
    ("history", "horizon", "advance"),
    [
        *((1, (1,), 1), (1, (5,), 5), (1, (2, 9), 9), (2, (1, 2), 2), (2, (1, 2, 4), 2), (2, (5, 6), 6), (3, (1,), 1)),
        *((3, (4, 5, 6), 6), (3, (2, 4), None), (2, (10,), None)),
    ],
)
def test_how_far_the_anchor_moves(history, horizon, advance):
    assert advance_of(WindowSpec(history, horizon)) == advance


@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize(("history", "horizon"), [(1, (2, 3)), (2, (1, 2)), (4, (1, 2)), (3, (1,)), (2, (2, 3))])
def test_feeding_back_the_truth_is_the_later_window(package, measured, history, horizon):
    spec = WindowSpec(history, horizon)
    _, dataset = package("static", spec=spec, velocity=measured, gaps=False)
    advance = advance_of(spec)
    anchors = dataset.anchors(replace(spec, horizon=(2 * horizon[-1],)))
    before, after = (dataset.windows(spec, anchors + np.array([0, more])) for more in (0, advance))
    fed = fed_back(before, spec, advance, before.future, measured)
    np.testing.assert_array_equal(fed.anchor, after.anchor)
    for name in ("anchor_time", "position", "position_valid", "velocity_valid"):
        np.testing.assert_allclose(getattr(fed, name), getattr(after, name), atol=1e-12)
    assert fed.velocity.shape == after.velocity.shape
    if not measured:
        np.testing.assert_allclose(fed.velocity, after.velocity, atol=1e-9)
    else:
        since = advance - max(step for step in (0, *horizon) if step < advance)
        earlier = dataset.windows(WindowSpec(1, (1,)), anchors + np.array([0, advance - since])).position[:, -1]
        np.testing.assert_allclose(fed.velocity[:, -1], (after.position[:, -1] - earlier) / (0.1 * since), atol=1e-9)


@pytest.mark.parametrize("measured", [False, True])
def test_a_rollout_by_hand(package, measured):
    """Window by window, one forecast after the other, from arrays alone."""
    torch.manual_seed(3)
    made, dataset = package("mlp", spec=WindowSpec(2, (1, 2)), velocity=measured, gaps=False, scenes=3)
    anchors = dataset.anchors(made.window)
    found = drift(made, dataset, anchors, rounds=3)
    model, squared, count = Predictor(made), np.zeros(3), np.zeros(3)
    for scene, anchor in anchors:
        windows = dataset.windows(made.window, np.array([[scene, anchor]]))
        truth = dataset.trajectory(int(scene)).positions
        for number in range(3):
            forecast = model.windows(windows)[0][:, 0]
            speed = np.diff(np.concatenate([windows.position[:, -1:], forecast], axis=1), axis=1) / 0.1
            windows = replace(windows, position=forecast, velocity=speed if measured else speed[:, 1:])
            at = anchor + 2 * (number + 1)
            if at < len(truth):
                squared[number] += ((forecast[:, 1] - truth[at]) ** 2).sum()
                count[number] += truth[at].size
    assert found["rollout"]["error"] == pytest.approx(squared / count, rel=1e-6)
    assert found["rollout"]["positions"] == (count / 3).tolist()
    assert found["rollout"]["time"] == pytest.approx([0.2, 0.4, 0.6])
    assert found["rollout"]["energy"] is None
    assert found["velocities"] == (MEAN_VELOCITIES if measured else DIFFERENCES)


def charged(folder, spec, model="constant_velocity"):
    parameters = {"steps": 601, "sample_every": 20}
    scenes = build_simulator("nbody_charged_clean", parameters).scenes(12, 1)
    dataset = build_dataset(scenes, folder, provenance={"simulator": "nbody_charged_clean", "parameters": parameters})
    windows = dataset.windows(spec, dataset.anchors(spec))
    schema, scale = schema_of(dataset.manifest, spec, Complete()), Normalization.fit(windows)
    given = (
        model,
        {},
        schema,
        spec,
        "complete",
        {},
        scale,
        0.02,
        "unitless",
        dataset.manifest.frame,
        dataset.manifest.fields,
        {},
    )
    return Package(*given), dataset


def test_what_a_world_conserves(tmp_path):
    """Constant velocity keeps momenta and loses energy; forecasts without error keep all, as far as differences show it."""
    package, dataset = charged(tmp_path / "data", WindowSpec(1, (1, 2)))
    anchors = dataset.anchors(package.window)
    found = drift(package, dataset, anchors[anchors[:, 1] < 8], rounds=8)["rollout"]
    assert max(found["momentum"] + found["angular_momentum"] + found["momentum_of_truth"]) < 1e-6
    assert max(found["energy_of_truth"]) < 0.05
    assert found["energy"][-1] > 3 * found["energy_of_truth"][-1]
    assert found["error"] == pytest.approx(found["baseline"], rel=1e-4)
    assert found["error"] == sorted(found["error"])
    still, _ = charged(tmp_path / "again", WindowSpec(1, (1, 2)), "static")
    lost = drift(still, dataset, anchors, rounds=2)["rollout"]
    assert min(lost["momentum"][0], lost["energy"][0]) > 0.1


def test_where_truth_and_forecasts_end(package, monkeypatch):
    made, dataset = package("constant_velocity", spec=WindowSpec(1, (4,)), velocity=True, frames=10)
    calls = []
    found = drift(made, dataset, dataset.anchors(made.window), rounds=4, progress=lambda *at: calls.append(at))
    assert found["ended"] == ""
    assert [error is None for error in found["rollout"]["error"]] == [False, False, True, True]
    assert calls[-1] == (4 * found["windows"],) * 2
    plain, left = Predictor.answers, [2]

    def tired(self, windows):
        left[0] -= 1
        if left[0] < 0:
            raise NumericalError("the forecast is not finite")
        return plain(self, windows)

    monkeypatch.setattr(Predictor, "answers", tired)
    found = drift(made, dataset, dataset.anchors(made.window)[:8], rounds=4)
    assert len(found["rollout"]["time"]) == len(found["rollout"]["error"]) == 2
    assert "not finite" in found["ended"]


def test_what_cannot_go_on(package):
    made, dataset = package("static", spec=WindowSpec(3, (4,)))
    assert "make no history to go on from" in drift(made, dataset, dataset.anchors(made.window))["failed"]
    with pytest.raises(DataError, match="no window"):
        drift(made, dataset, np.zeros((0, 2), dtype=int))
