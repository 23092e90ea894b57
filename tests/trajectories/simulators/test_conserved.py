"""What worlds say they conserve: to the order of their integrator; and where a data set's provenance finds it."""

import json

import numpy as np
import pytest

from forecasting.errors import UsageError
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.simulators import axis_of, conserved_of, double_pendulum, truth_of
from forecasting.trajectories.simulators.base import build_simulator

OBLIQUE = np.array([0.3, -0.5, 0.81]) / np.linalg.norm([0.3, -0.5, 0.81])
AXIS = {"axis": OBLIQUE.tolist()}
ALL, ALONG, ACROSS = np.eye(3), np.outer(OBLIQUE, OBLIQUE), np.eye(3) - np.outer(OBLIQUE, OBLIQUE)
# What acts -> the part of the momentum and of the angular momentum that is left
LEFT = {
    "": (ALL, ALL),
    "gravity": (ACROSS, ALONG),
    "trap": (ACROSS, ALONG),
    "gravity trap": (ACROSS, ALONG),
    "field": (ALONG, None),
    "gravity field": (None, None),
    "cubic": (None, None),
    "drag": (None, None),
}


def around(names):
    return AXIS | dict.fromkeys(names.split(), 2.0)


def as_arrays(scene):
    fields = {name: field.values for name, field in scene.fields.items()}
    return scene.positions, fields.pop("velocity"), fields


def change(quantity, positions, velocities, fields):
    """Largest change (scenes,) over the frames of runs (S, T, N, 3), with fields (S, N, C)."""
    fields = {name: values[:, None] for name, values in fields.items()}
    values = quantity(positions, velocities, fields)
    return np.abs(values - values[:, :1]).reshape(len(values), -1).max(axis=1)


def runs(world, scenes=20, frames=20):
    state = world.draw(np.random.RandomState(1), scenes)
    fields = {name: values[..., None] for name, values in state.scalars.items()}
    return *world.continue_from(state.positions, state.velocities, fields, frames), fields


@pytest.mark.parametrize("acting", ["", "gravity", "trap", "field", "cubic", "gravity trap field cubic"])
@pytest.mark.parametrize("name", ["springs", "nbody_gravity"])
def test_halving_the_step_quarters_the_error_of_the_energy(name, acting):
    world = build_simulator(name, around(acting))
    coarse = change(world.conserved.energy, *runs(world))
    world.step, world.sample_every = world.step / 2, 2 * world.sample_every
    fine = change(world.conserved.energy, *runs(world))
    assert np.median(coarse) < 0.01
    assert 3 < np.median(coarse / fine) < 5


def test_halving_the_step_of_charged_bodies_halves_the_error_of_the_energy_where_no_force_is_clipped():
    world = build_simulator("nbody_charged_clean", {"steps": 1001})
    found = world.runs(100, 0)
    free = found.first_clipped == 1001
    state = found.positions[free][:, 0], found.velocities[free][:, 0], {"charge": found.charges[free][..., None]}
    errors = []
    for parts in (1, 2):
        world.step, world.sample_every = 1e-3 / parts, 100 * parts
        errors.append(change(world.conserved.energy, *world.continue_from(*state, 5), state[2]))
    assert 1.8 < np.median(errors[0] / errors[1]) < 2.2


def test_a_clip_changes_what_charged_bodies_otherwise_conserve():
    world = build_simulator("nbody_charged_clean", {"steps": 3001})
    found = world.runs(200, 0)
    clipped = found.first_clipped < 3001
    moved = change(world.conserved.momentum, found.positions, found.velocities, {"charge": found.charges[..., None]})
    assert moved[~clipped].max() < 1e-11
    assert np.median(moved[clipped]) > 1e-5
    assert "clipped" in world.conserved.provided


@pytest.mark.parametrize("gravity", [0.0, 9.81])
def test_a_double_pendulum_keeps_its_energy_and_what_gravity_leaves_of_its_turning(gravity, monkeypatch):
    world = build_simulator("double_pendulum", AXIS | {"gravity": gravity})
    coarse = runs(world)
    rods = np.linalg.norm(np.diff(coarse[0], axis=2, prepend=0), axis=-1)
    assert np.ptp(rods, axis=1).max() < 1e-6
    assert np.median(change(world.conserved.energy, *coarse)) < 1e-6
    assert np.median(change(world.conserved.angular_momentum, *coarse)) < 1e-8
    assert world.conserved.momentum is None
    monkeypatch.setattr(double_pendulum, "STEP", 2e-3)
    world.sample_every = world.sample_every // 2
    ratio = change(world.conserved.energy, *runs(world)) / change(world.conserved.energy, *coarse)
    assert 10 < np.median(ratio) < 50
    turning = world.conserved.angular_momentum(*coarse[:2], {"mass": coarse[2]["mass"][:, None]})
    assert np.linalg.matrix_rank(turning.reshape(-1, 3), tol=1e-9) == (1 if gravity else 3)


@pytest.mark.parametrize("acting", LEFT)
@pytest.mark.parametrize("name", ["springs", "nbody_gravity"])
def test_momenta_are_conserved_as_far_as_forces_leave_them(name, acting):
    world = build_simulator(name, around(acting))
    found = runs(world)
    free = build_simulator(name, {}).conserved
    for quantity, left in zip(("momentum", "angular_momentum"), LEFT[acting], strict=True):
        function = getattr(world.conserved, quantity)
        assert (function is None) == (left is None), quantity
        if left is not None:
            assert change(function, *found).max() < 1e-11
            fields = {key: values[:, None] for key, values in found[2].items()}
            everything = getattr(free, quantity)(*found[:2], fields)
            np.testing.assert_allclose(function(*found[:2], fields), everything @ left, atol=1e-12)
        if acting:
            assert np.median(change(getattr(free, quantity), *found)) > 1e-3
    assert (world.conserved.energy is None) == ("drag" in acting)


@pytest.mark.parametrize("name", ["nbody_charged", "springs", "nbody_gravity", "double_pendulum"])
def test_quantities_take_one_scene_as_it_is_written(name):
    world = build_simulator(name, {"gravity": 1.0})
    scene = next(iter(world.scenes(1, 0)))
    assert world.conserved.energy(*as_arrays(scene)).shape == scene.time.shape
    assert world.conserved.angular_momentum(*as_arrays(scene)).shape == (*scene.time.shape, 3)


def test_a_data_set_knows_the_truth_of_its_world(tmp_path):
    parameters = {"gravity": 9.81, "axis": [0.0, 3.0, 4.0], "frames": 3}
    world = build_simulator("springs", parameters)
    dataset = build_dataset(world.scenes(2, 0), tmp_path / "d", provenance={"simulator": "springs", "parameters": parameters})
    provenance = dataset.manifest.provenance
    assert truth_of(provenance) == world.truth
    np.testing.assert_allclose(axis_of(provenance), [0, 0.6, 0.8])
    positions, velocities, fields = as_arrays(dataset.trajectory(1))
    assert np.ptp(conserved_of(provenance).energy(positions, velocities, fields)) < 1e-2


@pytest.mark.parametrize("provenance", [{}, {"simulator": "of somebody else", "parameters": {}}, {"files": ["a.csv"]}])
def test_data_of_no_known_world_have_no_known_truth(provenance):
    assert truth_of(provenance) is conserved_of(provenance) is axis_of(provenance) is None


def test_a_world_that_no_longer_takes_its_parameters_is_named():
    with pytest.raises(UsageError, match="did you mean 'gravity'"):
        truth_of(json.loads('{"simulator": "springs", "parameters": {"gravty": 1}}'))
