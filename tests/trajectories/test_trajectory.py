from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import UsageError
from forecasting.symmetry.transforms import Orthogonal, Translation, random_rotation, rotation_about
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.trajectory import Field, Frame, Trajectory
from forecasting.trajectories.units import Unit


def scene(**changes: object) -> Trajectory:
    return replace(random_scene(np.random.default_rng(0), velocity=True), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": np.arange(3.0)}, "time has shape"),
        ({"valid": np.ones((2, 5), dtype=bool)}, "valid has shape"),
        ({"node_ids": np.arange(4)}, "node_ids has shape"),
        ({"node_types": np.full(4, "a")}, "node_types has shape"),
        ({"positions": np.zeros((14, 5, 4))}, "4 coordinates"),
        ({"edges": np.zeros((1, 2), dtype=np.int64)}, "edge types differ"),
        (
            {"fields": {"v": Field(np.zeros((14, 5, 2)), "1o")}},
            r"field 'v' has shape \(14, 5, 2\), expected \(14, 5, 3\)",
        ),
        ({"fields": {"v": Field(np.zeros((4, 1)))}}, "field 'v'"),
    ],
)
def test_shapes_must_agree(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        scene(**changes)


@pytest.mark.parametrize(("up", "vector"), [("+x", [1, 0, 0]), ("-y", [0, -1, 0]), ("+z", [0, 0, 1])])
def test_up_vector(up: str, vector: list[float]) -> None:
    found = Frame(up).up_vector
    assert found is not None
    assert found.tolist() == vector


def test_frames_that_are_none() -> None:
    assert Frame().up_vector is None
    with pytest.raises(UsageError, match="up axis 'z'"):
        Frame("z")
    with pytest.raises(UsageError, match="handedness"):
        Frame(handedness="both")


def test_median_step() -> None:
    assert scene().dt == pytest.approx(0.1)
    one = scene()
    assert replace(one, time=one.time[:1], positions=one.positions[:1], valid=one.valid[:1], fields={}).dt == 0.0


def test_transforms_act_on_every_field() -> None:
    base, rotation = scene(), random_rotation(np.random.default_rng(3))
    turned = base.transformed(Orthogonal(rotation))
    np.testing.assert_allclose(turned.positions, base.positions @ rotation.T)
    np.testing.assert_allclose(turned.fields["velocity"].values, base.fields["velocity"].values @ rotation.T)
    np.testing.assert_array_equal(turned.fields["charge"].values, base.fields["charge"].values)
    shifted = base.transformed(Translation(np.array([1.0, 2.0, 3.0])))
    np.testing.assert_allclose(shifted.positions, base.positions + np.array([1, 2, 3]))
    np.testing.assert_array_equal(shifted.fields["velocity"].values, base.fields["velocity"].values)
    assert np.isnan(turned.positions[~base.valid]).all()


def test_planar_scenes_turn_in_their_plane() -> None:
    base = random_scene(np.random.default_rng(0), dim=2)
    turned = base.transformed(Orthogonal(rotation_about(np.array([0.0, 0.0, 1.0]), np.pi / 2)))
    np.testing.assert_allclose(turned.positions[..., 0], -base.positions[..., 1], atol=1e-12)


def test_other_length_units() -> None:
    base = scene()
    other = base.in_unit("cm")
    np.testing.assert_allclose(other.positions, base.positions * 100)
    np.testing.assert_allclose(other.fields["velocity"].values, base.fields["velocity"].values * 100)
    assert other.fields["velocity"].unit == "cm/s"
    assert other.fields["charge"] is base.fields["charge"]
    np.testing.assert_allclose(other.unit.to_file(other.positions), base.positions)
    assert base.in_unit("m") is base
    with pytest.raises(UsageError, match="px"):
        scene(unit=Unit("px")).in_unit("m")
