import time
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.spatial.transform import Rotation

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import validate

BVH = """HIERARCHY
ROOT Hips
{
	OFFSET 0.0 0.0 0.0
	CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation 
	JOINT Left Leg
	{
		OFFSET 1.0 -2.0 0.0
		CHANNELS 3 Xrotation Zrotation Yrotation
		JOINT Foot
		{
			OFFSET 0.0 -3.0 0.0
			CHANNELS 6 Yrotation Xrotation Zrotation Zposition Xposition Yposition
			End Site
			{
				OFFSET 0.0 0.0 1.0
			}
		}
	}
	JOINT Head
	{
		OFFSET 0.0 4.0 0.0
		CHANNELS 0
		End Site
		{
			OFFSET 0.0 1.0 0.0
		}
	}
}
MOTION
Frames: 3
Frame Time: .04
1 2 3 0 0 0  0 0 0  0 0 0 7 8 9
1 2 3 90 0 0  0 0 0  0 0 0 7 8 9
1 2 4 0 0 0  90 0 0  0 0 0 7 8 9
"""  # noqa: W291
UNIT = ReadOptions(unit="cm")


def write(folder: Path, text: str = BVH) -> Path:
    (folder / "hop.bvh").write_text(text)
    return folder / "hop.bvh"


def read(folder: Path, text: str = BVH, options: ReadOptions = UNIT) -> Trajectory:
    (scene,) = FORMATS["bvh"].read(write(folder, text), options)
    return scene


class TestBvh(FormatContract):
    format = "bvh"
    options = UNIT
    shapes = ((3, 4, 3),)
    kin = ("walk.bvh",)

    def example(self, folder: Path) -> Path:
        return write(folder)


def test_scene(tmp_path: Path) -> None:
    scene = read(tmp_path)
    assert scene.scene == "hop"
    assert scene.node_ids.tolist() == ["Hips", "Left Leg", "Foot", "Head"]
    assert set(scene.node_types) == {"joint"}
    assert scene.edges.tolist() == [[1, 0], [2, 1], [3, 0]]
    assert set(scene.edge_types) == {"bone"}
    assert (scene.unit.name, scene.frame.up, scene.frame.handedness) == ("cm", "+y", "right")
    np.testing.assert_allclose(scene.time, [0, 0.04, 0.08])
    assert scene.source.options == {"rate": 25.0}
    assert read(tmp_path, options=ReadOptions(unit="cm", rate=50, up="z")).dt == pytest.approx(0.02)
    with pytest.raises(UsageError, match="--unit"):
        read(tmp_path, options=ReadOptions())


def test_kinematics(tmp_path: Path) -> None:
    root, leg, foot, head = read(tmp_path).positions.swapaxes(0, 1)
    np.testing.assert_array_equal(root, [[1, 2, 3], [1, 2, 3], [1, 2, 4]])
    np.testing.assert_allclose(leg - root, [[1, -2, 0], [2, 1, 0], [1, -2, 0]], atol=1e-12)
    np.testing.assert_allclose(foot - leg, [[8, 9, 7], [-9, 8, 7], [8, -7, 9]], atol=1e-12)
    np.testing.assert_allclose(head - root, [[0, 4, 0], [-4, 0, 0], [0, 4, 0]], atol=1e-12)


def test_layout_does_not_matter(tmp_path: Path) -> None:
    expected = read(tmp_path).positions
    for text in (BVH.replace("\n", "\r\n"), BVH.replace("\n\t", " "), "\ufeff" + BVH, BVH.replace("Frame Time", "frame  time")):
        np.testing.assert_array_equal(read(tmp_path, text).positions, expected)


ORDERS = st.sampled_from(("xyz", "xzy", "yxz", "yzx", "zxy", "zyx"))
ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)


def chain(orders: tuple[str, ...], angles: tuple[tuple[float, ...], ...]) -> str:
    """A root and two joints one after the other, each with an Euler order of its own."""
    channels = [" ".join(f"{letter.upper()}rotation" for letter in order) for order in orders]
    return (
        f"HIERARCHY\nROOT a\n{{\nOFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition {channels[0]}\n"
        f"JOINT b\n{{\nOFFSET 1 2 3\nCHANNELS 3 {channels[1]}\nJOINT c\n{{\nOFFSET -2 0.5 1\nCHANNELS 3 {channels[2]}\n"
        "End Site\n{\nOFFSET 0 1 0\n}\n}\n}\n}\nMOTION\nFrames: 2\nFrame Time: 0.01\n"
        + ("4 5 6 " + " ".join(f"{angle:.17g}" for triple in angles for angle in triple) + "\n")
        * 2
    )


@given(orders=st.tuples(ORDERS, ORDERS, ORDERS), angles=st.tuples(ANGLES, ANGLES, ANGLES))
def test_any_euler_order(tmp_path_factory: pytest.TempPathFactory, orders: tuple, angles: tuple) -> None:
    scene = read(tmp_path_factory.mktemp("any"), chain(orders, angles))
    first, second = (
        Rotation.from_euler(order.upper(), angle, degrees=True) for order, angle in zip(orders[:2], angles[:2], strict=True)
    )
    b = np.array([4, 5, 6]) + first.apply([1, 2, 3])
    np.testing.assert_allclose(scene.positions[0], [[4, 5, 6], b, b + (first * second).apply([-2, 0.5, 1])], atol=1e-9)


@settings(max_examples=20)
@given(orders=st.tuples(ORDERS, ORDERS, ORDERS), angles=st.tuples(ANGLES, ANGLES, ANGLES))
def test_another_reader_agrees(tmp_path_factory: pytest.TempPathFactory, orders: tuple, angles: tuple) -> None:
    folder = tmp_path_factory.mktemp("second")
    scene = read(folder, chain(orders, angles))
    np.testing.assert_allclose(scene.positions, second_reader(folder / "hop.bvh", scene), rtol=1e-9, atol=1e-9)


def second_reader(path: Path, scene: Trajectory) -> np.ndarray:
    pybvh = pytest.importorskip("pybvh")
    other = pybvh.read_bvh_file(str(path))
    names = [node.name for node in other.nodes]
    return other.node_positions()[:, [names.index(name) for name in scene.node_ids]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Frames: 3", "Frames: 4", "there are 3 frames, the header says 4"),
        ("Frames: 3", "Frames: 2", "there are 3 frames, the header says 2"),
        ("Frames: 3", "Frames: many", "line 31: found Frames: many"),
        ("Frames: 3\n", "", "line 31: expected 'Frames: N'"),
        ("Time: .04", "Time: 0", "line 32: found Frame Time: 0"),
        ("Time: .04", "Time: -.04", "line 32: found Frame Time: -.04"),
        ("1 2 4 0 0 0  90", "1 2 4 0 0  90", "line 35 has 14 numbers, expected 15"),
        ("1 2 4 0", "1 2 4o 0", "line 35: '4o' is not a number"),
        ("1 2 4 0", "1 2 nan 0", "line 35: 'nan' is not a number"),
        ("1 2 4 0", "1 2 1e999 0", "line 35: '1e999' is not a number"),
        ("MOTION", "MOTIONS", "no line MOTION"),
        ("HIERARCHY", "TREE", "line 1: found 'TREE', expected HIERARCHY"),
        ("ROOT Hips", "JOINT Hips", "line 2: found JOINT here"),
        ("JOINT Foot", "ROOT Foot", "line 10: found ROOT here"),
        ("JOINT Foot", "JOINT Head", "line 20: found a joint called 'Head', expected a name that no other joint has"),
        ("JOINT Foot", "JOINT ", "line 10: found a joint called ''"),
        ("JOINT Foot", "KNEE Foot", "line 10: found 'KNEE', expected OFFSET"),
        ("OFFSET 0.0 -3.0 0.0", "OFFSET 0.0 -3.0", "line 12: found OFFSET 0.0 -3.0 CHANNELS"),
        ("OFFSET 0.0 4.0 0.0", "OFFSET 0.0 inf 0.0", "line 22: found OFFSET 0.0 inf 0.0"),
        ("\t\tOFFSET 0.0 4.0 0.0\n", "", "line 20: found 'Head' without OFFSET"),
        ("CHANNELS 3 X", "CHANNELS 2 X", "line 9: found 'Yrotation'"),
        ("CHANNELS 3 X", "CHANNELS -3 X", "line 9: found CHANNELS -3"),
        ("CHANNELS 3 X", "CHANNELS 3 W", "line 9: found channels wrotation"),
        ("Zposition Xposition Yposition\n", "Zposition Zposition Yposition\n", "line 13: found channels yrotation"),
        ("CHANNELS 0\n", "CHANNELS 1 Xrotation\nCHANNELS 1 Xrotation\n", "line 24: found CHANNELS of 'Head'"),
        ("\t\t\t\tOFFSET 0.0 0.0 1.0\n", "CHANNELS 1 Xrotation\n", "line 16: found CHANNELS of 'End Site'"),
        ("}\nMOTION", "MOTION", "line 2: found 'Hips' without its closing }"),
        ("}\nMOTION", "}\n}\nMOTION", "line 30: found '}', expected ROOT or MOTION"),
        ("{\n\t\t\tOFFSET 0.0 1.0 0.0\n\t\t}\n\t}\n}\n", "", "the hierarchy ends within a joint"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert BVH.count(old) == 1
    with pytest.raises(DataError, match=message):
        read(tmp_path, BVH.replace(old, new))


def test_hostile_files_are_refused_quickly(tmp_path: Path) -> None:
    begin = time.monotonic()
    deep = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n"
    deep += "".join(f"JOINT j{i}\n{{\nOFFSET 0 1 0\n" for i in range(20_000)) + "}\n" * 20_001
    with pytest.raises(DataError, match="20001 joints have 1 channels"):
        read(tmp_path, deep + "MOTION\nFrames: 250000\nFrame Time: 1\n" + "1\n" * 250_000)
    with pytest.raises(DataError, match="there are 0 frames, the header says 4e9"):
        read(tmp_path, BVH.partition("Frames")[0] + "Frames: 4e9\nFrame Time: 1\n")
    with pytest.raises(DataError, match="the hierarchy ends within a joint"):
        read(tmp_path, "HIERARCHY ROOT " + "a " * 500_000 + "\nMOTION\n")
    assert time.monotonic() - begin < 4


@pytest.mark.parametrize(("trial", "frames"), [("01", 994), ("02", 1247), ("03", 1102)])
def test_real_files(real_data: Path, trial: str, frames: int) -> None:
    path = real_data / f"mocap/cmu-131-bvh/131_{trial}.bvh"
    (scene,) = FORMATS["bvh"].read(path, ReadOptions(unit="asf"))
    assert scene.positions.shape == (frames, 31, 3)
    assert len(scene.edges) == 30
    assert scene.dt == pytest.approx(0.0083333, rel=1e-9)
    assert 0 <= scene.positions[..., 1].min() < 1.1
    assert not [finding for finding in validate(scene) if finding.severity == "error"]
    np.testing.assert_allclose(scene.positions, second_reader(path, scene), rtol=1e-12, atol=1e-11)
    ends = scene.positions[:, scene.edges]
    lengths = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-9)
