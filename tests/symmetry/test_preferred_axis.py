"""The axis, and the line of the plane, in which maps turn into themselves best."""

import numpy as np
import pytest
import torch

from forecasting.symmetry._representations import irreps_matrices
from forecasting.symmetry.preferred_axis import preferred_axis, preferred_line
from forecasting.symmetry.transforms import rotation_about

TURNS = np.radians([0.0, 10.0, 45.0, 89.0, 90.0, 131.0, 179.0])


def push(vector, count=2):
    """A bias along a vector (3,), in each of `count` outputs."""
    return "1x0e", f"{count}x1o", torch.from_numpy(np.tile(vector, count))[:, None]


def stretch(vector):
    """Vectors become their part along a vector (3,)."""
    return "1x1o", "1x1o", torch.from_numpy(np.outer(vector, vector))


def angle_between(one, two):
    """[rad] of two lines."""
    return float(np.arcsin(min(np.linalg.norm(np.cross(one, two)), 1.0)))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("make", [push, stretch], ids=["push", "stretch"])
def test_a_planted_line_of_the_plane_is_found(make, turn):
    vector = np.array([np.cos(turn), np.sin(turn), 0.0])
    found = preferred_line([make(vector)])
    assert found.axis[2] == 0
    assert np.linalg.norm(found.axis) == pytest.approx(1)
    if make is stretch:  # what is across the line is kept by the same mirror
        assert min(angle_between(found.axis, vector), abs(angle_between(found.axis, vector) - np.pi / 2)) < 2e-3
    else:
        assert angle_between(found.axis, vector) < 2e-3
    assert found.share == pytest.approx(1, abs=1e-4)
    assert found.size > 0.1


def test_the_line_turns_with_the_maps():
    generator = torch.Generator().manual_seed(0)
    before, after = "2x0e+2x1o", "1x0e+3x1o"
    matrix = torch.randn(10, 8, generator=generator, dtype=torch.float64)
    plain = preferred_line([(before, after, matrix)])
    for degrees in (20.0, 75.0, 160.0):
        turn = rotation_about(np.array([0.0, 0.0, 1.0]), np.radians(degrees))
        source, target = (torch.from_numpy(irreps_matrices(irreps, turn[None])[0]) for irreps in (before, after))
        found = preferred_line([(before, after, target @ matrix @ source.T)])
        assert angle_between(found.axis, turn @ plain.axis) < 5e-3
        assert found.share == pytest.approx(plain.share, abs=1e-4)
        assert found.size == pytest.approx(plain.size, rel=1e-9)


def test_what_all_turns_and_mirrors_keep_has_no_line():
    found = preferred_line([("1x1o", "1x1o", torch.eye(3, dtype=torch.float64)), push(np.zeros(3))])
    assert found.size == pytest.approx(0, abs=1e-20)
    assert np.isfinite(found.axis).all()


def test_several_maps_are_weighed_by_their_squares():
    x, y = np.eye(3)[:2]
    for one, two, expected in ((3.0, 1.0, x), (1.0, 3.0, y)):
        found = preferred_line([push(one * x), push(two * y)])
        assert angle_between(found.axis, expected) < 2e-3
        assert found.share == pytest.approx(0.9, abs=1e-3)
        assert found.size == pytest.approx(20.0)


@pytest.mark.parametrize("vector", [(0.0, 0.0, 1.0), (1.0, 2.0, 2.0), (-0.3, 0.9, 0.1)])
@pytest.mark.parametrize("make", [push, stretch], ids=["push", "stretch"])
def test_a_planted_axis_of_space_is_found(make, vector):
    unit = np.array(vector) / np.linalg.norm(vector)
    found = preferred_axis([make(unit)])
    assert angle_between(found.axis, unit) < 1e-5
    assert found.share == pytest.approx(1, abs=1e-9)


def test_nothing_has_no_axis():
    found = preferred_axis([push(np.zeros(3))])
    assert (found.share, found.size) == (0.0, 0.0)
