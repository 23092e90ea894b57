"""The package that comes with the program: small, loadable, and good at what it is for."""

import os
from pathlib import Path

import numpy as np
import pytest

from forecasting.inference.predictor import Anchors, Predictor
from forecasting.packages import load_package
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.reading import read_trajectories
from forecasting.trajectories.trajectory import Frame, Trajectory
from forecasting.trajectories.units import Unit

FOLDER = Path(__file__).parents[2] / "checkpoints" / "cmu-motion"
DATA = os.environ.get("FORECASTING_TEST_DATA")
WALK = Path(DATA or "", "mocap", "cmu-walk-35-amc", "35_29.amc")
MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def package():
    return load_package(FOLDER)


def test_it_is_small_and_says_what_it_is(package):
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST_BYTES
    assert package.card["errors"]["rows"]["egnn"]["ade"] < package.card["errors"]["rows"]["mean_velocity"]["ade"] / 2
    assert package.symmetry["copies"]["yaw"]["residual"] < 1e-5
    assert not [line for line in (FOLDER / "package.json").read_text().splitlines() if '"/' in line]


def test_joints_are_known_by_their_names(package):
    names, time = package.schema.node_types, np.arange(20) / 120
    rng = np.random.default_rng(0)
    place = rng.normal(scale=8, size=(len(names), 3))
    clip = Trajectory(
        scene="clip",
        time=time,
        positions=place + time[:, None, None] * np.array([0.0, 0.0, 20.0]),
        valid=np.ones((len(time), len(names)), dtype=bool),
        node_ids=np.array(names),
        node_types=np.full(len(names), "joint"),
        unit=Unit("asf"),
        frame=Frame("+y"),
        edges=np.stack([np.arange(1, len(names)), np.zeros(len(names) - 1, dtype=int)], axis=1),
        edge_types=np.full(len(names) - 1, "bone"),
    )
    (forecast,) = Predictor(package).trajectories([clip])
    assert forecast.positions.shape == (31, 1, 24, 3)
    assert forecast.node_types.tolist() == ["joint"] * 31
    np.testing.assert_allclose(forecast.time[-1] - forecast.anchor_time, 0.8)


@pytest.mark.skipif(not WALK.is_file(), reason="needs FORECASTING_TEST_DATA with mocap/cmu-walk-35-amc")
def test_a_walk_is_forecast_from_its_file(package):
    (clip,) = read_trajectories([WALK], ReadOptions(), "")
    errors = []
    for forecast in Predictor(package).trajectories([clip], Anchors(40)):
        at = np.rint((forecast.time - clip.time[0]) * 120).astype(int)
        if at[-1] < len(clip.time):
            truth = clip.positions[at].transpose(1, 0, 2)
            errors.append(np.linalg.norm(forecast.positions[:, 0] - truth, axis=-1).mean())
    assert len(errors) > 3
    assert np.mean(errors) < 2.5  # 14 cm; the body's mean velocity is off by 17 cm
