"""What all worlds have in common: one stream, scenes that go on from any frame, parameters that are checked and described."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from forecasting.cli.main import build_parser
from forecasting.errors import UsageError
from forecasting.trajectories.simulators import SIMULATORS, _streams
from forecasting.trajectories.simulators.base import build_simulator

PAGE = (Path(__file__).parents[3] / "docs/worlds.md").read_text(encoding="utf-8")
NEW = ("springs", "nbody_gravity", "double_pendulum")


def same(scenes, others):
    for scene, other in zip(scenes, others, strict=True):
        assert np.array_equal(scene.positions, other.positions)
        assert np.array_equal(scene.edges, other.edges)
        assert scene.fields.keys() == other.fields.keys()
        assert all(np.array_equal(field.values, other.fields[name].values) for name, field in scene.fields.items())


@pytest.mark.parametrize("name", NEW)
def test_the_first_scenes_do_not_depend_on_how_many_are_asked_for_nor_on_blocks(name, monkeypatch):
    world = build_simulator(name, {"frames": 5})
    expected = list(world.scenes(12, 7))
    same(world.scenes(3, 7), expected[:3])
    monkeypatch.setattr(_streams, "BLOCK", 5)
    same(world.scenes(12, 7), expected)
    assert not np.array_equal(next(iter(world.scenes(1, 8))).positions, expected[0].positions)


@pytest.mark.parametrize("name", SIMULATORS.names())
def test_motion_goes_on_from_any_frame(name):
    world = build_simulator(name, {"gravity": 2.0})
    for scene in world.scenes(3, 0):
        fields = {key: field.values[None] for key, field in scene.fields.items() if not field.per_frame}
        velocity = scene.fields["velocity"].values
        positions, velocities = world.continue_from(scene.positions[None, 4], velocity[None, 4], fields, 6)
        np.testing.assert_allclose(positions[0], scene.positions[5:11], atol=1e-8)
        np.testing.assert_allclose(velocities[0], velocity[5:11], atol=1e-8)


@pytest.mark.parametrize("name", NEW)
def test_starts_prefer_no_direction(name):
    state = build_simulator(name, {}).draw(np.random.RandomState(0), 4000)
    for values in (state.positions, state.velocities):
        each = values[:, 0] / np.linalg.norm(values[:, 0], axis=-1, keepdims=True)
        np.testing.assert_allclose(each.mean(axis=0), 0, atol=0.05)
        np.testing.assert_allclose(each.T @ each / len(each), np.eye(3) / 3, atol=0.03)
    if "mass" in state.scalars:
        np.testing.assert_allclose((state.scalars["mass"][..., None] * state.velocities).mean(axis=(0, 1)), 0, atol=0.05)


def test_two_bodies_on_a_spring_swing_with_the_frequency_of_their_stiffness():
    world = build_simulator("springs", {"bodies": 2, "stiffness": 2.0, "length": 1.0})
    start = np.array([[[0.0, 0, 0], [1.5, 0, 0]]])
    positions, _ = world.continue_from(start, np.zeros_like(start), {}, 40)
    time = world.interval * np.arange(1, 41)
    np.testing.assert_allclose(positions[0, :, 1, 0] - positions[0, :, 0, 0], 1 + 0.5 * np.cos(2 * time), atol=1e-4)


def test_two_bodies_circle_as_kepler_says():
    world = build_simulator("nbody_gravity", {"bodies": 2, "softening": 0.001})
    masses, distance = np.array([1.5, 0.5]), 1.0
    rate = np.sqrt(masses.sum() / distance**3)
    positions = np.array([[[-0.25, 0, 0], [0.75, 0, 0]]])
    velocities = rate * np.array([[[0, -0.25, 0], [0, 0.75, 0]]])
    found, _ = world.continue_from(positions, velocities, {"mass": masses[None, :, None]}, 70)
    angle = rate * world.interval * np.arange(1, 71)
    np.testing.assert_allclose(found[0, :, 1, 0], 0.75 * np.cos(angle), atol=1e-4)
    np.testing.assert_allclose(found[0, :, 1, 1], 0.75 * np.sin(angle), atol=1e-4)


def test_a_double_pendulum_swings_with_the_frequencies_of_small_angles():
    world = build_simulator("double_pendulum", {"gravity": 9.0})
    ratio, slow = np.sqrt(2), np.sqrt(9.0 * (2 - np.sqrt(2)))
    angles = 1e-3 * np.array([1.0, ratio])
    rods = np.stack([np.sin(angles), np.zeros(2), -np.cos(angles)], axis=-1)
    positions = np.cumsum(rods, axis=0)[None]
    found, _ = world.continue_from(positions, np.zeros_like(positions), {"mass": np.ones((1, 2, 1))}, 50)
    swing = np.cos(slow * world.interval * np.arange(1, 51))
    np.testing.assert_allclose(found[0, :, 0, 0], 1e-3 * swing, atol=1e-7)
    np.testing.assert_allclose(found[0, :, 1, 0], 1e-3 * (1 + ratio) * swing, atol=1e-7)


def test_drag_slows_bodies_by_its_rate():
    world = build_simulator("springs", {"bodies": 1, "drag": 2.0})
    scene = next(iter(world.scenes(1, 0)))
    speed = np.linalg.norm(scene.fields["velocity"].values[:, 0], axis=-1)
    np.testing.assert_allclose(speed, speed[0] * np.exp(-2 * (scene.time - scene.time[0])), rtol=1e-9)


def test_a_share_of_the_pairs_is_joined_and_springs_are_edges():
    worlds = [build_simulator("springs", {"density": 0.5, "bodies": 8, "graph_seed": seed}) for seed in (0, 0, 1)]
    edges = [next(iter(world.scenes(1, 0))).edges for world in worlds]
    assert edges[0].shape == (14, 2)
    assert np.array_equal(edges[0], edges[1])
    assert not np.array_equal(edges[0], edges[2])
    scene = next(iter(worlds[0].scenes(1, 0)))
    assert set(scene.edge_types) == {"spring"}


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("springs", {"density": 1.5}, "density must be a number from 0 to 1, found 1.5"),
        ("springs", {"length": -1}, "length must be a number of at least 0"),
        ("springs", {"graph_seed": -1}, "graph_seed must be a whole number of at least 0"),
        ("springs", {"frames": True}, "frames must be a whole number"),
        ("nbody_gravity", {"softening": 0}, r"softening must be a number of at least 0\.001"),
        ("nbody_gravity", {"cubic": "much"}, "cubic must be a finite number"),
        ("double_pendulum", {"trap": 1.0}, "has no argument 'trap'"),
        ("double_pendulum", {"axis": [0, 0]}, "axis must be three numbers"),
    ],
)
def test_wrong_parameters_are_named(name, parameters, message):
    with pytest.raises(UsageError, match=message):
        build_simulator(name, parameters)


@pytest.mark.parametrize(
    ("positions", "fields", "message"),
    [
        (np.ones((2, 5, 3)), {}, "missing: mass"),
        (np.ones((2, 4, 3)), {"mass": np.ones((2, 4, 1))}, r"found \(2, 4, 3\)"),
        (np.ones((5, 3)), {"mass": np.ones((5, 1))}, r"positions and velocities \(scenes, 5, 3\)"),
    ],
)
def test_states_of_another_world_are_refused(positions, fields, message):
    with pytest.raises(UsageError, match=message):
        build_simulator("nbody_gravity", {}).continue_from(positions, positions, fields, 2)


def help_text():
    verbs = next(action for action in build_parser()._actions if action.dest == "verb")
    return verbs.choices["simulate"].format_help()


@pytest.mark.parametrize("name", SIMULATORS.names())
def test_the_help_and_the_page_name_every_world_with_all_its_parameters(name):
    parameters = inspect.signature(SIMULATORS[name]).parameters
    described = re.search(rf"^  {name}\n(?:    .*\n)+", help_text(), re.MULTILINE).group()
    assert SIMULATORS[name].summary in " ".join(described.split())
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
    around = PAGE[PAGE.index("| surroundings") :]
    for parameter in parameters:
        assert re.search(rf"\b{parameter}=", described), parameter
        assert f"`{parameter}`" in row or ("surroundings" in row and f"`{parameter}`" in around), parameter
