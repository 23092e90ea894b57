"""Declared directions and heights: what is understood, what is refused, and that they turn with the scene."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import UsageError
from forecasting.graphs.build import schema_of
from forecasting.graphs.topology import Complete
from forecasting.symmetry.transforms import Orthogonal, Translation, mirror, random_rotation, rotation_about
from forecasting.testing.scenes import random_dataset, random_scene
from forecasting.trajectories.cutting import cut_windows, whole_anchors
from forecasting.trajectories.declared import Declared, declare
from forecasting.trajectories.memory_map import rows_of
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.windows import WindowSpec


def cut(scene, *declared):
    about = {name: {**vars(item), "per_frame": item.per_frame} for name, item in scene.fields.items()}
    rows, spec = rows_of([scene], ("a", "b"), ("bone",)), WindowSpec(2, (1, 3), declared=declared)
    return cut_windows(rows, about, spec, whole_anchors(rows, spec, [0]))


@pytest.mark.parametrize(
    ("plain", "dim", "up", "expected"),
    [
        ({"up": {"direction": "up"}}, 3, "+y", Declared("up", (0, 1, 0))),
        ({"up": {"direction": "up"}}, 3, "-z", Declared("up", (0, 0, -1))),
        ({"gravity": {"direction": [0, -2, 0]}}, 3, "none", Declared("gravity", (0, -1, 0))),
        ({"height": {"direction": "up", "from": [1, 2, 3]}}, 3, "+x", Declared("height", (1, 0, 0), (1, 2, 3))),
        ({"slope": {"direction": [3, 4]}}, 2, "none", Declared("slope", (0.6, 0.8))),
        ({"downhill": {"direction": [0, 2], "from": [5, 5]}}, 2, "none", Declared("downhill", (0, 1), (5, 5))),
    ],
)
def test_what_is_understood(plain, dim, up, expected):
    (found,) = declare(plain, dim, Frame(up), ["velocity"])
    assert found == expected
    assert Declared.of_plain(json.loads(json.dumps(asdict(found)))) == expected


@pytest.mark.parametrize(
    ("plain", "dim", "words"),
    [
        ({"up": {"direction": "up"}}, 3, r"data\.declared\.up\.direction is up, but nobody said .* data\.read\.up=z"),
        ({"up": {"direction": "up"}}, 2, "planar data have no up axis, or write the direction as 2 numbers"),
        ({"g": {"direction": [0, 0, 0]}}, 3, r"data\.declared\.g\.direction must not be 0"),
        ({"g": {"direction": [0, 1]}}, 3, r"must be up, or 3 finite numbers .* found \[0, 1\]"),
        ({"g": {"direction": [0, "nan", 1]}}, 3, "3 finite numbers"),
        ({"g": {"direction": "down"}}, 3, "up, or 3 finite numbers .* found 'down'"),
        ({"g": {"direction": [0, 1], "from": [0, 0, 0]}}, 2, r"data\.declared\.g\.from must be 2 finite numbers"),
        ({"g": {"direktion": [0, 1]}}, 2, "'direktion'; did you mean 'direction'"),
        ({"g": {"from": [0, 1]}}, 2, "needs the argument 'direction'"),
        ({"g": [0, 1]}, 2, r"found \[0, 1\]"),
        ({"charge": {"direction": [0, 1]}}, 2, "have a field of this name"),
    ],
)
def test_what_is_refused(plain, dim, words):
    with pytest.raises(UsageError, match=words):
        declare(plain, dim, Frame("none"), ["charge"])


def test_a_name_that_graphs_need_is_refused(tmp_path):
    spec = WindowSpec(2, (1,), declared=(Declared("position", (0, 0, 1)),))
    with pytest.raises(UsageError, match=r"data\.declared\.position"):
        schema_of(random_dataset(tmp_path / "data").manifest, spec, Complete())


@given(seed=st.integers(0, 999), dim=st.sampled_from([2, 3]))
def test_every_node_gets_the_vector_of_its_anchor(seed, dim):
    rng = np.random.default_rng(seed)
    scene = random_scene(rng, dim=dim)
    direction = rng.normal(size=dim)
    direction /= np.linalg.norm(direction)
    origin = rng.normal(size=dim)
    windows = cut(scene, Declared("up", tuple(direction)), Declared("height", tuple(direction), tuple(origin)))
    plain = cut(scene)
    assert set(windows.fields) == {*plain.fields, "up", "height"}
    for row, node in enumerate(windows.node):
        position = scene.positions[windows.anchor[windows.window_of_node[row]], node]
        np.testing.assert_array_equal(windows.fields["up"][row], direction)
        np.testing.assert_allclose(windows.fields["height"][row], (position - origin) @ direction * direction, rtol=0, atol=1e-14)
    assert windows.irreps["up"] == windows.irreps["height"] == "1o"
    assert windows.translating == plain.translating


def test_heights_far_from_the_origin_keep_their_digits():
    scene = random_scene(np.random.default_rng(0))
    far = replace(scene, positions=scene.positions + 1e7)
    near, away = cut(scene, Declared("h", (0, 0, 1), (0, 0, 0))), cut(far, Declared("h", (0, 0, 1), (1e7, 1e7, 1e7)))
    np.testing.assert_allclose(near.fields["h"], away.fields["h"], rtol=0, atol=1e-8)


def moves(rng, dim):
    up = np.array([0.0, 0.0, 1.0])
    if dim == 2:
        return [
            Orthogonal(rotation_about(up, 1.0)),
            Orthogonal(mirror(np.array([0.6, 0.8, 0.0]))),
            Translation(np.array([3.0, -4, 0])),
        ]
    return [Orthogonal(random_rotation(rng)), Orthogonal(-random_rotation(rng)), Translation(rng.normal(size=3))]


@pytest.mark.parametrize("dim", [2, 3])
def test_transformed_windows_are_those_of_the_transformed_world(dim):
    rng = np.random.default_rng(3)
    scene, direction, origin = random_scene(rng, dim=dim), np.eye(dim)[1], rng.normal(size=dim)
    declared = [Declared("up", tuple(direction)), Declared("height", tuple(direction), tuple(origin))]
    for transform in moves(rng, dim):
        turned = tuple(transform.act(direction, "1o"))
        there = tuple(transform.act(origin, "1o", translates=True))
        moved = cut(scene, *declared).transformed(transform)
        again = cut(scene.transformed(transform), Declared("up", turned), Declared("height", turned, there))
        for name in ("up", "height"):
            np.testing.assert_allclose(moved.fields[name], again.fields[name], rtol=0, atol=1e-12)
