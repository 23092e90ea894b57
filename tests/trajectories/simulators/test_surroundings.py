"""Gravity, trap and magnetic field: the motion they should give, and exactly the symmetry they say."""

import numpy as np
import pytest

from forecasting.errors import UsageError
from forecasting.symmetry.transforms import mirror, rotation_about
from forecasting.trajectories.simulators import charged
from forecasting.trajectories.simulators.base import build_simulator

AXIS = np.array([0.3, -0.5, 0.81]) / np.linalg.norm([0.3, -0.5, 0.81])
ACROSS = np.cross(AXIS, [1.0, 0, 0]) / np.linalg.norm(np.cross(AXIS, [1.0, 0, 0]))
ELEMENTS = {
    "turn about": rotation_about(AXIS, 0.7),
    "mirror along": mirror(ACROSS),
    "mirror across": mirror(AXIS),
    "half turn": rotation_about(ACROSS, np.pi),
    "turn away": rotation_about(ACROSS, 0.7),
}
WORLDS = {
    "C_inf_v about the axis, translations": ({"gravity": 9.81}, {"turn about", "mirror along"}),
    "D_inf_h about the axis, translations across it": ({"trap": 20.0}, set(ELEMENTS) - {"turn away"}),
    "C_inf_h about the axis, translations": ({"field": 3.0}, {"turn about", "mirror across"}),
    "SO(2) about the axis, translations across it": ({"field": 3.0, "trap": 20.0, "gravity": 1.0}, {"turn about"}),
    "O(3), translations": ({}, set(ELEMENTS)),
}


def one_body(**around):
    world = charged.CleanCharged(bodies=1, steps=1001, sample_every=50, axis=tuple(AXIS), **around)
    return world.runs(3, 0)


@pytest.mark.parametrize("name", WORLDS)
def test_the_symmetry_is_what_the_world_says(name):
    around, kept = WORLDS[name]
    world = charged.CleanCharged(steps=301, axis=tuple(AXIS), **around)
    assert world.symmetry == name
    x, v, q = world._draw(np.random.RandomState(0), 16)
    plain = world._integrate(x, v, q)[0]
    for element, matrix in ELEMENTS.items():
        turned = world._integrate(*(np.einsum("ij,sjn->sin", matrix, part) for part in (x, v)), q)[0]
        error = np.abs(turned @ matrix - plain).max(axis=(1, 2, 3))
        assert (np.median(error) < 1e-9) == (element in kept), element


def test_gravity_makes_bodies_fall():
    runs = one_body(gravity=9.81)
    fallen = (runs.positions[:, -1] - runs.positions[:, 0])[:, 0] @ AXIS
    straight = 0.95 * runs.velocities[:, 0, 0] @ AXIS
    np.testing.assert_allclose(fallen, straight - 0.5 * 9.81 * 0.95**2, atol=0.02)


def test_a_trap_makes_bodies_swing():
    runs = one_body(trap=25.0)
    height = runs.positions[:, :, 0] @ AXIS
    speed = runs.velocities[:, :, 0] @ AXIS
    energy = 25 * height**2 + speed**2
    np.testing.assert_allclose(energy, np.broadcast_to(energy[:, :1], energy.shape), rtol=0.02)
    assert (height.max(axis=1) > 0).all()
    assert (height.min(axis=1) < 0).all()


def test_a_field_makes_bodies_circle():
    runs = one_body(field=2 * np.pi)
    speed = np.linalg.norm(runs.velocities[:, :, 0], axis=-1)
    np.testing.assert_allclose(speed, np.broadcast_to(speed[:, :1], speed.shape), rtol=1e-12)
    along = runs.velocities[:, :, 0] @ AXIS
    np.testing.assert_allclose(along, np.broadcast_to(along[:, :1], along.shape), atol=1e-12)
    half = runs.velocities[:, 10, 0] - along[:, :1] * AXIS
    np.testing.assert_allclose(half, -(runs.velocities[:, 0, 0] - along[:, :1] * AXIS), atol=1e-9)


@pytest.mark.parametrize("name", ["trap", "field"])
def test_strengths_are_numbers(name):
    with pytest.raises(UsageError, match=f"{name} must be a finite number"):
        build_simulator("nbody_charged_clean", {name: "strong"})


@pytest.mark.parametrize(
    ("name", "parameters", "symmetry"),
    [
        ("nbody_charged_clean", {"cubic": 1.0}, "O_h, no translations"),
        ("nbody_charged_clean", {"drag": 1.0}, "O(3), translations"),
        ("nbody_charged_clean", {"cubic": 1.0, "gravity": 1.0}, "C_4v about the axis, no translations"),
        (
            "springs",
            {"cubic": 1.0, "trap": 1.0, "axis": [1, 1, 0]},
            "what O_h shares with D_inf_h about the axis, no translations",
        ),
        ("nbody_gravity", {"field": 1.0, "trap": 1.0}, "C_inf_h about the axis, translations across it"),
        ("nbody_charged", {"drag": 1.0}, "O_h, translations"),
        ("nbody_charged", {"gravity": 1.0, "axis": [0, -3, 0]}, "C_4v about the axis, translations"),
        ("nbody_charged", {"trap": 1.0}, "D_4h about the axis, translations across it"),
        ("nbody_charged", {"field": 1.0}, "C_4h about the axis, translations"),
        ("nbody_charged", {"gravity": 1.0, "field": 1.0}, "C_4 about the axis, translations"),
        ("nbody_charged", {"gravity": 1.0, "axis": [1, 1, 0]}, "what O_h shares with C_inf_v about the axis, translations"),
        ("nbody_charged", {"bodies": 1}, "O(3), translations"),
        ("double_pendulum", {}, "C_inf_v about the axis, no translations"),
        ("double_pendulum", {"gravity": 0}, "O(3), no translations"),
    ],
)
def test_the_symmetry_of_a_combination_is_said_in_words(name, parameters, symmetry):
    assert build_simulator(name, parameters).symmetry == symmetry
