"""Even clocks without a look ahead."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import UsageError
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.resampling import resample


@given(seed=st.integers(0, 999), step=st.floats(0.03, 0.3), cut=st.integers(4, 12))
def test_later_frames_never_change_earlier_output(seed, step, cut):
    rng = np.random.default_rng(seed)
    scene = random_scene(rng)
    scene = replace(scene, time=scene.time + np.cumsum(rng.uniform(0, 0.02, len(scene.time))))
    after = np.arange(len(scene.time)) >= cut
    changed = replace(scene, positions=scene.positions + 10 * after[:, None, None])
    one, two = resample(scene, step), resample(changed, step)
    early = one.time < scene.time[cut] - 1e-6
    assert np.array_equal(one.valid[early], two.valid[early])
    np.testing.assert_array_equal(one.positions[early], two.positions[early])
    assert np.allclose(np.diff(one.time), step)


def test_straight_lines_stay_straight():
    scene = random_scene(np.random.default_rng(0), gaps=False)
    start, slope = scene.positions[0], np.ones_like(scene.positions[0])
    straight = replace(scene, positions=start + slope * scene.time[:, None, None])
    found = resample(straight, 0.07)
    expected = start + slope * found.time[:, None, None]
    np.testing.assert_allclose(found.positions[2:], expected[2:], atol=1e-12)
    assert found.valid.all()


def test_long_gaps_stay_gaps():
    scene = random_scene(np.random.default_rng(0), gaps=False, nodes=2)
    valid = scene.valid.copy()
    valid[3:10, 1] = False
    found = resample(replace(scene, valid=valid), 0.05)
    assert found.valid[:, 0].all()
    gap = (found.time > 0.2 + 0.2 + 1e-9) & (found.time < 1.0 - 1e-9)
    assert gap.any()
    assert not found.valid[gap, 1].any()


@pytest.mark.parametrize("step", [0.0, -1.0, 99.0])
def test_impossible_steps_are_refused(step):
    with pytest.raises(UsageError, match="cannot be resampled"):
        resample(random_scene(np.random.default_rng(0)), step)
