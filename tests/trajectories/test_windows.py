"""Windows against a slow loop, under transforms, and blind to the future."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import DataError, UsageError
from forecasting.symmetry.transforms import Orthogonal, Translation, random_rotation, rotation_about
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.cutting import cut_windows, whole_anchors
from forecasting.trajectories.memory_map import rows_of
from forecasting.trajectories.windows import WindowSpec

SPECS = st.builds(
    lambda history, horizon, step, score: WindowSpec(history, tuple(sorted(horizon)), step=step, score=score),
    st.integers(1, 4),
    st.sets(st.integers(1, 4), min_size=1),
    st.integers(1, 2),
    st.sampled_from(["any", "complete"]),
)


def about(scene):
    return {
        name: {"irreps": item.irreps, "translates": item.translates, "per_frame": item.per_frame}
        for name, item in scene.fields.items()
    }


def cut(scenes, spec, anchors=None):
    rows = rows_of(scenes, ("a", "b"), ("bone",))
    wanted = whole_anchors(rows, spec, range(len(scenes))) if anchors is None else anchors
    return cut_windows(rows, about(scenes[0]), spec, wanted)


@given(spec=SPECS, seed=st.integers(0, 999), velocity=st.booleans(), dim=st.sampled_from([2, 3]))
def test_windows_equal_a_loop_over_frames_and_nodes(spec, seed, velocity, dim):
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng, str(index), frames=10, nodes=n, dim=dim, velocity=velocity) for index, n in enumerate((3, 1, 4))]
    windows = cut(scenes, spec)
    row = 0
    for window, (index, anchor) in enumerate(zip(windows.scene, windows.anchor, strict=True)):
        scene = scenes[index]
        for node in np.flatnonzero(scene.valid[anchor]):
            past = anchor + np.arange(1 - spec.history, 1) * spec.step
            ahead = anchor + np.array(spec.horizon) * spec.step
            seen, later = scene.valid[past, node], scene.valid[ahead, node]
            assert windows.node[row] == node
            assert windows.window_of_node[row] == window
            assert np.array_equal(windows.position_valid[row], seen)
            assert np.array_equal(windows.position[row], np.where(seen[:, None], scene.positions[past, node], 0))
            scored = later & (spec.score == "any" or (seen.all() and later.all()))
            assert np.array_equal(windows.future_valid[row], scored)
            assert np.array_equal(windows.future[row], np.where(scored[:, None], scene.positions[ahead, node], 0))
            assert np.array_equal(windows.fields["heading"][row], scene.fields["heading"].values[anchor, node])
            assert np.array_equal(windows.fields["charge"][row], scene.fields["charge"].values[node])
            if velocity:
                expected = np.where(seen[:, None], scene.fields["velocity"].values[past, node], 0)
                assert np.array_equal(windows.velocity[row], expected)
            elif spec.history > 1:
                known = seen[1:] & seen[:-1]
                slope = np.diff(scene.positions[past, node], axis=0) / (spec.step * scene.dt)
                np.testing.assert_allclose(windows.velocity[row], np.where(known[:, None], slope, 0), atol=1e-9)
            row += 1
    assert row == len(windows.node)


@given(seed=st.integers(0, 999), dim=st.sampled_from([2, 3]), velocity=st.booleans())
def test_cutting_and_transforming_commute(seed, dim, velocity):
    rng = np.random.default_rng(seed)
    scene = random_scene(rng, dim=dim, velocity=velocity)
    spec = WindowSpec(3, (1, 4))
    turn = Orthogonal(random_rotation(rng) if dim == 3 else rotation_about(np.array([0, 0, 1.0]), rng.uniform(0, 6)))
    for transform in (turn, Translation(rng.normal(size=3))):
        one, two = cut([scene.transformed(transform)], spec), cut([scene], spec).transformed(transform)
        for name in ("position", "velocity", "future"):
            np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-11)
        for name in one.fields:
            np.testing.assert_allclose(one.fields[name], two.fields[name], atol=1e-12)


@given(seed=st.integers(0, 999), anchor=st.integers(3, 9))
def test_what_happens_after_the_anchor_changes_no_input(seed, anchor):
    rng = np.random.default_rng(seed)
    scene = random_scene(rng, frames=14)
    spec, place = WindowSpec(4, (1, 2)), np.array([[0, anchor]])
    later = np.arange(14)[:, None] > anchor
    vanish = later & (rng.random(scene.valid.shape) < 0.5)
    vanish[:, 0] = False
    changed = replace(
        scene,
        positions=np.where(
            (later & ~vanish)[..., None], scene.positions + rng.normal(size=scene.positions.shape), scene.positions
        ),
        valid=scene.valid & ~vanish,
        fields={
            name: replace(item, values=item.values + later[..., None]) if item.per_frame else item
            for name, item in scene.fields.items()
        },
    )
    one, two = cut([scene], spec, place), cut([changed], spec, place)
    for name in ("node", "node_type", "position", "position_valid", "velocity", "velocity_valid", "offsets", "edge_index"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    for name in one.fields:
        assert np.array_equal(one.fields[name], two.fields[name])


def test_missing_frames_stay_gaps():
    scene = random_scene(np.random.default_rng(0), frames=10, gaps=False)
    kept = [0, 1, 2, 6, 7, 8, 9]
    holed = replace(
        scene,
        time=scene.time[kept],
        positions=scene.positions[kept],
        valid=scene.valid[kept],
        fields={n: replace(f, values=f.values[kept]) if f.per_frame else f for n, f in scene.fields.items()},
    )
    windows = cut([holed], WindowSpec(2, (1,)))
    at = {int(anchor): windows.offsets[index] for index, anchor in enumerate(windows.anchor)}
    assert not windows.future_valid[at[2]].any()
    assert windows.position_valid[at[6]].tolist() == [False, True]
    assert np.diff(windows.offsets)[list(at).index(4)] == 0


def test_an_uneven_clock_is_refused_by_name():
    scene = random_scene(np.random.default_rng(0), "jittery")
    time = scene.time.copy()
    time[5] += 0.045
    with pytest.raises(DataError, match=r"'jittery'.*uneven clock.*--resample"):
        cut([replace(scene, time=time)], WindowSpec(2, (1,)))


@pytest.mark.parametrize("arguments", [(0, (1,)), (1, ()), (1, (0,)), (1, (2, 1)), (1, (1,), 0), (1, (1,), 1, 1, "some")])
def test_impossible_windows_are_refused(arguments):
    with pytest.raises(UsageError, match="window"):
        WindowSpec(*arguments)
