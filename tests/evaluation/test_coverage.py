"""Which directions data take: known headings, laws, worlds, and the ladder of real recordings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import DataError
from forecasting.evaluation._motion import observe
from forecasting.evaluation.coverage import coverage, covers
from forecasting.symmetry.transforms import Orthogonal, rotation_about
from forecasting.trajectories.dataset import Dataset, build_dataset
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions, ingest
from forecasting.trajectories.simulators.base import build_simulator
from forecasting.trajectories.trajectory import Frame, Trajectory
from forecasting.trajectories.units import Unit

CIRCLE = np.arange(2.0, 360, 6)


def walkers(name: str, degrees, frames: int = 6, dim: int = 2, up: str = "none", seed: int = 0) -> Trajectory:
    """One walker for each heading [°] about z, at 1 m/s from random places."""
    degrees = np.asarray(degrees, dtype=float)
    heading = np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0 * degrees][:dim], axis=1)
    start = np.random.default_rng(seed).normal(size=(len(degrees), dim)) * 5
    time = np.arange(frames) * 0.5
    return Trajectory(
        scene=name,
        time=time,
        positions=start + heading * time[:, None, None],
        valid=np.ones((frames, len(degrees)), dtype=bool),
        node_ids=np.arange(len(degrees)),
        node_types=np.full(len(degrees), "pedestrian"),
        unit=Unit("m"),
        frame=Frame(up),
    )


HEADINGS = {
    # headings [°] -> R1, R2, whether all of them are covered
    "everywhere": (CIRCLE, 0, 0, True),
    "one way": (np.full(60, 30.0), 1, 1, False),
    "one line, both ways": (np.tile([30.0, 210.0], 30), 0, 1, False),
    "two lines": (np.tile([0.0, 90.0, 180.0, 270.0], 15), 0, 0, False),
    "half of the circle": (np.arange(1.5, 180, 3), 2 / np.pi, 0, False),
}


@pytest.mark.parametrize("name", HEADINGS)
def test_known_headings(tmp_path, name):
    degrees, one, two, everywhere = HEADINGS[name]
    found = coverage(build_dataset([walkers(f"{seed}", degrees, seed=seed) for seed in range(6)], tmp_path / "set"))
    assert found["heading"]["R1"] == pytest.approx(one, abs=0.02)
    assert found["heading"]["R2"] == pytest.approx(two, abs=0.02)
    assert found["covers_yaw"] is everywhere
    assert found["covers_space"] is None
    assert ("cannot tell" in found["because"]) is not everywhere
    assert sum(found["heading"]["bins"]) == found["heading"]["n"]


@settings(max_examples=25)
@given(st.floats(-180, 180), st.integers(0, 99))
def test_turning_the_data_turns_the_mean_and_keeps_the_lengths(tmp_path_factory, angle, seed):
    degrees = np.random.default_rng(seed).vonmises(0.5, 2, size=30) * 180 / np.pi
    scene = walkers("a", degrees)
    turn = Orthogonal(rotation_about(np.array([0.0, 0.0, 1.0]), np.radians(angle)))
    plain, turned = (
        coverage(build_dataset([one], tmp_path_factory.mktemp("set") / "x"))["heading"]
        for one in (scene, scene.transformed(turn))
    )
    assert turned["R1"] == pytest.approx(plain["R1"], abs=1e-9)
    assert turned["R2"] == pytest.approx(plain["R2"], abs=1e-9)
    away = np.exp(1j * np.radians(turned["mean_degrees"] - plain["mean_degrees"] - angle))
    assert away == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("up", ["+x", "+y", "-z"])
def test_yaw_is_about_the_up_axis(tmp_path, up):
    """Headings all around up, and a fast way up that is no heading."""
    flat = [walkers(f"{seed}", CIRCLE, dim=3, seed=seed) for seed in range(6)]
    axis = Frame(up).up_vector
    side = np.roll(np.eye(3)[np.abs(axis).argmax()], 1)
    place = np.stack([side, np.cross(axis, side), axis])
    rise = np.array([0, 0, 3.0]) * flat[0].time[:, None, None]
    moved = [replace(one, positions=(one.positions + rise) @ place, frame=Frame(up)) for one in flat]
    found = coverage(build_dataset(moved, tmp_path / "set"))
    assert found["heading"]["about"] == up
    assert found["heading"]["R1"] < 0.02
    assert found["covers_yaw"]
    assert not found["covers_space"]
    assert np.array(found["sphere"]["mean"]) @ axis == pytest.approx(3 / np.sqrt(10), abs=1e-6)


def test_a_long_scene_does_not_outweigh_the_others(tmp_path):
    long, short = walkers("long", np.zeros(10), frames=300), [walkers(f"{n}", np.full(10, 180.0), frames=12) for n in range(3)]
    heading = coverage(build_dataset([long, *short], tmp_path / "set"))["heading"]
    assert heading["mean_degrees"] == pytest.approx(180)
    assert heading["R1"] == pytest.approx(0.5)


def test_intervals_are_over_scenes(tmp_path):
    scenes = [walkers(f"{n}", np.full(20, angle)) for n, angle in enumerate(np.random.default_rng(0).uniform(-60, 60, 12))]
    heading = coverage(build_dataset(scenes, tmp_path / "many"))["heading"]
    low, high = heading["R1_interval"]
    assert low < heading["R1"] < high
    alone = coverage(build_dataset(scenes[:1], tmp_path / "one"))["heading"]
    assert alone["R1_interval"] is None
    assert "one scene" in alone["intervals_because"]


def test_nodes_that_hardly_move_have_no_heading(tmp_path):
    scene = walkers("a", np.concatenate([np.zeros(20), np.full(20, 90.0)]))
    slow = scene.positions.copy()
    slow[:, 20:] = slow[0, 20:] + (slow[:, 20:] - slow[0, 20:]) * 0.1
    heading = coverage(build_dataset([replace(scene, positions=slow)], tmp_path / "set"))["heading"]
    assert heading["R1"] == pytest.approx(1)
    assert heading["slow"] == pytest.approx(0.5)


GROUPS = {
    # of people who all walk along x, forward and a few degrees to either side
    "SO(2)(z)": False,
    "O(2)": False,
    "C_2(z)": False,
    "mirror(y)": True,
    "mirror(x)": False,
    "identity": True,
    "T(2)": False,
}


@pytest.mark.parametrize("group", GROUPS)
def test_what_a_crowd_in_one_direction_covers(tmp_path, group):
    known, why = covers(group, build_dataset([walkers("a", np.linspace(-9, 9, 600), frames=4)], tmp_path / "set"))
    assert known is GROUPS[group]
    assert ("cannot tell" in why) is not known


@pytest.fixture(scope="module")
def charged(tmp_path_factory):
    scenes = build_simulator("nbody_charged_clean", {}).partitioned({"train": 60, "validation": 1, "test": 20}, 1)
    return observe(build_dataset(scenes, tmp_path_factory.mktemp("charged") / "set"))


@pytest.mark.parametrize(
    "group", ["SO(2)(0.1,0.2,0.97)", "C∞v(x)", "SO(3)", "O(3)", "E(3)", "mirror(z)", "inversion", "D∞h(y)", "O_h"]
)
def test_bodies_in_random_positions_cover_every_group(charged, group):
    assert covers(group, charged)[0]


def test_bodies_in_random_positions(charged):
    found = coverage(charged)
    assert found["covers_yaw"]
    assert found["covers_space"]
    assert np.allclose(found["sphere"]["second_moments"], 1 / 3, atol=0.05)
    assert found["sphere"]["R_interval"][0] < found["sphere"]["R"] < found["sphere"]["R_interval"][1]


def test_what_cannot_be_judged_is_said(tmp_path):
    scene = walkers("a", CIRCLE)
    still = replace(scene, positions=np.broadcast_to(scene.positions[0], scene.positions.shape))
    with pytest.raises(DataError, match="nothing moves"):
        coverage(build_dataset([still], tmp_path / "still"))
    with pytest.raises(DataError, match="three frames"):
        coverage(build_dataset([walkers("a", CIRCLE, frames=2)], tmp_path / "short"))
    lonely = coverage(build_dataset([walkers(f"{angle}", [angle]) for angle in CIRCLE], tmp_path / "lonely"))
    assert lonely["covers_yaw"] is True
    assert "single nodes" in lonely["because"]
    assert lonely["overlap"]["yaw"]["relative positions"] is None


def test_only_the_anchors_are_looked_at(tmp_path):
    dataset = build_dataset([walkers("a", np.zeros(20)), walkers("b", np.full(20, 90.0))], tmp_path / "set")
    heading = coverage(dataset, np.array([[1, 2], [1, 3], [1, 0]]))["heading"]
    assert heading["mean_degrees"] == pytest.approx(90)
    assert heading["n"] == 40  # frame 0 has no frame before it


ETH_UCY, JUELICH = "pedestrians/eth-ucy-raw", "pedestrians/juelich-pedpy"
LADDER = {
    # place, what a user must say -> R1, R2 measured, whether turns about the vertical can be judged
    "zebrafish 15": ("others/zebrafish-trajectorytools/trajectories_with_points.npz", ReadOptions(unit="px"), 0.04, 0.10, True),
    "students001": (f"{ETH_UCY}/students001.txt", ReadOptions(), 0.19, 0.26, True),
    "students003": (f"{ETH_UCY}/students003.txt", ReadOptions(), 0.14, 0.46, True),
    "uni_examples": (f"{ETH_UCY}/uni_examples.txt", ReadOptions(), 0.10, 0.73, False),
    "zara01": (f"{ETH_UCY}/crowds_zara01.txt", ReadOptions(), 0.05, 0.84, False),
    "zara02": (f"{ETH_UCY}/crowds_zara02.txt", ReadOptions(), 0.04, 0.78, False),
    "zara03": (f"{ETH_UCY}/crowds_zara03.txt", ReadOptions(), 0.02, 0.80, False),
    "eth": (f"{ETH_UCY}/biwi_eth.txt", ReadOptions(), 0.19, 0.89, False),
    "hotel": (f"{ETH_UCY}/biwi_hotel.txt", ReadOptions(), 0.05, 0.90, False),
    "bi_corr": (f"{JUELICH}/bi_corr_400_b_03.txt", ReadOptions(), 0.02, 0.88, False),
    "040": (f"{JUELICH}/040_c_56_h-.txt", ReadOptions(), 0.62, 0.21, False),
    "uo-070": (f"{JUELICH}/uo-070-180-180.txt", ReadOptions(unit="cm", rate=16), 0.99, 0.96, False),
    "CMU 131": ("mocap/cmu-131-bvh", ReadOptions(unit="asf"), 0.53, 0.21, False),
    "CMU walk": ("mocap/cmu-walk-35-amc", ReadOptions(), 0.99, 0.96, False),
    "CMU run": ("mocap/cmu-run-09-egno", ReadOptions(), 0.99, 0.97, False),
}


def real_set(folder: Path, tmp_path: Path, name: str) -> Dataset:
    place, read, *_ = LADDER[name]
    return ingest([folder / place], tmp_path / name.replace(" ", "_"), IngestOptions(read=read, fields=()))


@pytest.mark.parametrize("name", LADDER)
def test_the_ladder_of_real_recordings(real_data, tmp_path, name):
    found = coverage(real_set(real_data, tmp_path, name))
    *_, one, two, judged = LADDER[name]
    assert found["heading"]["R1"] == pytest.approx(one, abs=0.02)
    assert found["heading"]["R2"] == pytest.approx(two, abs=0.02)
    assert found["covers_yaw"] is judged
    assert ("cannot tell" in found["because"].split(".")[0]) is not judged


def test_the_order_of_the_ladder(real_data, tmp_path):
    names = ("zebrafish 15", "students003", "uo-070", "CMU run")
    one = [coverage(real_set(real_data, tmp_path, name))["heading"]["R1"] for name in names]
    assert one[0] < one[1] < one[2]
    assert one[3] > one[2] - 0.005, "the two are level: limbs swing aside about as much as heads sway"
