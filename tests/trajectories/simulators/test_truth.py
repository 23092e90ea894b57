"""Every world against the truth it declares: motion from a moved state compared with the moved motion."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import UsageError
from forecasting.symmetry.groups import GROUPS
from forecasting.trajectories.simulators.base import SIMULATORS, build_simulator

OBLIQUE = [0.3, -0.5, 0.81]
KEPT, BROKEN = 1e-9, 1e-3
STRENGTHS = {"gravity": 9.0, "trap": 30.0, "field": 9.0, "cubic": 30.0, "drag": 5.0}
AROUND = [*({name: strength} for name, strength in STRENGTHS.items()), {}, STRENGTHS]
BODIES = ("nbody_charged", "nbody_charged_clean", "springs", "nbody_gravity")
WORLDS = [
    *((name, {"axis": OBLIQUE, **around}) for name in BODIES for around in AROUND),
    *(("nbody_charged", {"axis": [0, 2, 0], **{name: STRENGTHS[name]}}) for name in ("gravity", "trap", "field")),
    ("nbody_charged_clean", {"trap": 30.0, "axis": [1, 0, 0], "cubic": 30.0}),
    ("nbody_charged_clean", {"gravity": 9.0, "field": 9.0}),
    ("nbody_charged", {"bodies": 1, "field": 9.0, "axis": OBLIQUE}),
    ("springs", {"length": 0}),
    ("springs", {"length": 0, "trap": 30.0, "drag": 5.0, "axis": OBLIQUE}),
    ("springs", {"density": 0.4, "graph_seed": 2, "field": 9.0}),
    ("springs", {"bodies": 2, "density": 0, "gravity": 9.0}),
    ("double_pendulum", {"axis": OBLIQUE}),
    ("double_pendulum", {"gravity": 0}),
    ("double_pendulum", {"gravity": 0, "drag": 5.0}),
    ("double_pendulum", {"gravity": -9.0, "drag": 5.0, "axis": OBLIQUE}),
]


def short(name, parameters):
    frames = {"steps": 301} if name.startswith("nbody_charged") else {"frames": 5}
    return build_simulator(name, {**parameters, **frames, "sample_every": 20})


def start(world, scenes=5):
    """A state that the world could be in; charged bodies so near to each other that forces are clipped."""
    state = world.draw(np.random.RandomState(5), scenes)
    near = 0.45 if world.name.startswith("nbody_charged") else 1.0
    fields = {name: values[..., None] for name, values in state.scalars.items()}
    return near * state.positions, state.velocities, fields


def elements(name, axis, rng):
    """(n, 3, 3) matrices, (n, 3) shifts and (n,) factors of some elements of a group of the table."""
    across = np.cross(axis, [0.2, 0.9, -0.4])
    shifts = {"translations along n": [axis], "translations across n": [across], "translations": [axis, across, axis + across]}
    if name in shifts:
        return np.tile(np.eye(3), (len(shifts[name]), 1, 1)), np.array(shifts[name]), np.ones(len(shifts[name]))
    if name == "scale":
        return np.eye(3)[None], np.zeros((1, 3)), np.array([1.3])
    key = name.removesuffix("(n)")
    group = GROUPS[key](direction=tuple(axis)) if key != name else GROUPS[name]()
    matrices = np.concatenate([group.components()[:12], group.sample(rng, 4)])
    return matrices, np.zeros((len(matrices), 3)), np.ones(len(matrices))


def space_error(world, group, frames=10):
    """Largest distance of the motion from a moved state to the moved motion; infinite if the state has left the world."""
    positions, velocities, fields = start(world)
    axis = np.array(OBLIQUE) / np.linalg.norm(OBLIQUE) if world.axis is None else world.axis
    matrices, shifts, factors = elements(group, axis, np.random.default_rng(0))

    def moved(values, shifts):
        return factors[(slice(None),) + (None,) * values.ndim] * np.einsum("gij,...j->g...i", matrices, values) + shifts

    plain, _ = world.continue_from(positions, velocities, fields, frames)
    states = moved(positions, shifts[:, None, None]), moved(velocities, 0)
    copies = {name: np.concatenate([values] * len(matrices)) for name, values in fields.items()}
    try:
        found, _ = world.continue_from(*(state.reshape(-1, world.points, 3) for state in states), copies, frames)
    except UsageError:
        return np.inf
    return np.abs(found.reshape(len(matrices), *plain.shape) - moved(plain, shifts[:, None, None, None])).max()


def reversal_error(world, frames=10):
    """Largest distance of the way back, with reversed velocities, to the way there."""
    positions, velocities, fields = start(world)
    there, speeds = world.continue_from(positions, velocities, fields, frames)
    reversed_ = world.turned_back(there[:, -1], speeds[:, -1], fields)
    back, _ = world.continue_from(there[:, -1], reversed_, fields, frames)
    return np.abs(back - np.concatenate([positions[:, None], there[:, :-1]], axis=1)[:, ::-1]).max()


@pytest.mark.parametrize(("name", "parameters"), WORLDS, ids=lambda value: value if isinstance(value, str) else json.dumps(value))
def test_groups_are_kept_to_round_off_or_clearly_broken(name, parameters):
    world = short(name, parameters)
    for group, kept in world.truth.items():
        error = reversal_error(world) if group == "time reversal" else space_error(world, group)
        assert error < KEPT if kept else error > BROKEN, (group, kept, error)


@given(chosen=st.sets(st.sampled_from(sorted(STRENGTHS))), aligned=st.booleans(), name=st.sampled_from(BODIES))
@settings(max_examples=15)
def test_any_combination_of_surroundings_keeps_what_it_says(chosen, aligned, name):
    around = {key: STRENGTHS[key] for key in chosen}
    test_groups_are_kept_to_round_off_or_clearly_broken(name, {"axis": [0, 0, 1] if aligned else OBLIQUE, **around})


def test_a_shifted_double_pendulum_is_refused():
    world = short("double_pendulum", {})
    positions, velocities, fields = start(world)
    with pytest.raises(UsageError, match=r"scene \d is no double pendulum hung from the origin: its velocities stretch rod 1"):
        world.continue_from(positions + 1.0, velocities, fields, 2)


@pytest.mark.parametrize("name", SIMULATORS.names())
def test_every_world_is_in_the_table(name):
    assert any(name == world for world, _ in WORLDS)


def test_subgroups_of_a_kept_group_are_kept():
    order = [("O(3)", "SO(3)"), ("O(3)", "O_h"), ("O(3)", "D∞h(n)"), ("SO(3)", "SO(2)(n)"), ("O_h", "inversion")]
    order += [("D∞h(n)", part) for part in ("C∞h(n)", "C∞v(n)", "inversion")]
    order += [(whole, "SO(2)(n)") for whole in ("C∞h(n)", "C∞v(n)")] + [("C∞h(n)", "inversion")]
    order += [("translations", "translations along n"), ("translations", "translations across n")]
    for name, parameters in WORLDS:
        truth = short(name, parameters).truth
        assert all(truth[part] for whole, part in order if truth[whole]), (name, parameters)
