from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy.spatial.transform import Rotation

from forecasting.errors import DataError, ForecastingError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.reading import read_trajectories, sniff
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import validate

ASF = """# by hand
:version 1.10
:name test
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   begin of :nothing
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name hip
     direction 0 -1 0
     length 2
     axis 0 0 0 XYZ
  end
  begin
     id 2
     name knee
     direction 0 -1 0
     length 3
     axis 0 0 20 XYZ
    dof rx rz
    limits (-160.0 20.0)
           (-70.0 70.0)
  end
  begin
     id 3
     name spine
     direction 0 1 0
     length 4
     axis 90 0 0 XYZ
    dof ry
  end
:hierarchy
  begin
    root hip spine
    hip knee
  end
"""
AMC = """#!OML:ASF other.ASF
:FULLY-SPECIFIED
:DEGREES
7
root 1 2 3 0 0 0
knee 90 0
spine 0
8
root 1 2 4 0 90 0
knee 0 0
spine 90
9
root 1 2 5 0 0 90
knee 0 0
spine 0
"""


def write(folder: Path, asf: str = ASF, amc: str = AMC) -> Path:
    (folder / "35.asf").write_text(asf)
    (folder / "35_01.amc").write_text(amc)
    return folder / "35_01.amc"


def read(folder: Path, asf: str = ASF, amc: str = AMC, **options: object) -> Trajectory:
    (scene,) = FORMATS["amc"].read(write(folder, asf, amc), ReadOptions(**options))
    return scene


def lengths(scene: Trajectory) -> np.ndarray:
    ends = scene.positions[:, scene.edges]
    return np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)


class TestAmc(FormatContract):
    format = "amc"
    shapes = ((3, 4, 3),)
    kin = ("walk.amc",)

    def example(self, folder: Path) -> Path:
        return write(folder)


def test_scene(tmp_path: Path) -> None:
    scene = read(tmp_path)
    assert scene.scene == "35_01"
    assert scene.node_ids.tolist() == ["root", "hip", "knee", "spine"]
    assert set(scene.node_types) == {"joint"}
    assert scene.edges.tolist() == [[1, 0], [2, 1], [3, 0]]
    assert set(scene.edge_types) == {"bone"}
    assert (str(scene.unit), scene.frame.up, scene.frame.handedness) == ("asf", "+y", "right")
    np.testing.assert_array_equal(scene.time, np.array([7, 8, 9]) / 120)
    assert scene.source.options == {"rate": 120.0, "skeleton": "35.asf"}
    np.testing.assert_allclose(lengths(scene), np.tile([2.0, 3.0, 4.0], (3, 1)), rtol=1e-12)


def test_kinematics(tmp_path: Path) -> None:
    root, hip, knee, spine = read(tmp_path).positions.swapaxes(0, 1)
    np.testing.assert_array_equal(root, [[1, 2, 3], [1, 2, 4], [1, 2, 5]])
    np.testing.assert_allclose(hip - root, [[0, -2, 0], [0, -2, 0], [2, 0, 0]], atol=1e-12)
    tilt = np.deg2rad(20)
    swing = 3 * np.sin(tilt) * np.array([-np.cos(tilt), -np.sin(tilt), 0]) + 3 * np.cos(tilt) * np.array([0, 0, -1])
    np.testing.assert_allclose(knee - hip, [swing, [0, -3, 0], [3, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(spine - root, [[0, 4, 0], [0, 0, 4], [-4, 0, 0]], atol=1e-12)


ORDERS = st.sampled_from(("xyz", "xzy", "yxz", "yzx", "zxy", "zyx"))
ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)


@given(axis=ORDERS, dof=ORDERS, pre=ANGLES, angles=ANGLES, radians=st.booleans())
def test_any_euler_order(
    tmp_path_factory: pytest.TempPathFactory, axis: str, dof: str, pre: tuple, angles: tuple, radians: bool
) -> None:
    asf = ASF.replace("axis 0 0 20 XYZ", f"axis {pre[0]!r} {pre[1]!r} {pre[2]!r} {axis.upper()}")
    asf = asf.replace("dof rx rz", "dof " + " ".join(f"r{letter}" for letter in dof))
    values = np.deg2rad(angles) if radians else np.array(angles)
    amc = f":FULLY-SPECIFIED\n:{'RADIANS' if radians else 'DEGREES'}\n1\nroot 0 0 0 0 0 0\nspine 0\nknee "
    scene = read(tmp_path_factory.mktemp("any"), asf, amc + " ".join(repr(float(value)) for value in values) + "\n")
    basis, motion = Rotation.from_euler(axis, pre, degrees=True), Rotation.from_euler(dof, angles, degrees=True)
    expected = (basis * motion * basis.inv()).apply([0, -3, 0])
    np.testing.assert_allclose(scene.positions[0, 2] - scene.positions[0, 1], expected, atol=1e-9)


def test_root_presets_and_order(tmp_path: Path) -> None:
    asf = ASF.replace("order TX TY TZ RX RY RZ", "order RZ RY RX TZ TY TX").replace("position 0 0 0", "position 10 20 30")
    amc = ":FULLY-SPECIFIED\n:DEGREES\n1\nroot 30 20 10 3 2 1\nknee 0 0\nspine 0\n"
    scene = read(tmp_path, asf, amc)
    np.testing.assert_allclose(scene.positions[0, 0], [11, 22, 33])
    turned = Rotation.from_euler("zyx", [30, 20, 10], degrees=True).apply([0, -2, 0])
    np.testing.assert_allclose(scene.positions[0, 1] - scene.positions[0, 0], turned, atol=1e-12)


def test_bones_that_shift_and_stretch(tmp_path: Path) -> None:
    asf = ASF.replace("axis 90 0 0 XYZ\n    dof ry", "axis 0 0 90 XYZ\n    dof tx ry l")
    scene = read(tmp_path, asf, ":FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\nknee 0 0\nspine 5 0 1.5\n")
    np.testing.assert_allclose(scene.positions[0, 3], [0, 5 + 4 + 1.5, 0], atol=1e-12)


def test_radians_of_the_skeleton(tmp_path: Path) -> None:
    half, tilt = f"{np.pi / 2:.17g}", f"{np.deg2rad(20):.17g}"
    asf = ASF.replace("angle deg", "angle rad").replace("0 0 20", f"0 0 {tilt}").replace("90 0 0", f"{half} 0 0")
    amc = AMC.replace(":DEGREES\n", "").replace("90", half)
    np.testing.assert_allclose(read(tmp_path, asf, amc).positions, read(tmp_path).positions, atol=1e-12)


def test_units_and_rate(tmp_path: Path) -> None:
    inches = ASF.replace("length 0.45", "length 1.0")
    with pytest.raises(UsageError, match="--unit"):
        read(tmp_path, inches)
    assert read(tmp_path, inches, unit="in").unit.name == "in"
    metres = read(tmp_path, unit="0.056444m", up="z", rate=60)
    np.testing.assert_allclose(metres.positions[0, 0], 0.056444 * np.array([1, 2, 3]))
    assert (metres.frame.up, metres.dt) == ("+z", pytest.approx(1 / 60))
    sampled = AMC.replace(":DEGREES", ":DEGREES\n:SAMPLES-PER-SECOND 30")
    assert read(tmp_path, amc=sampled).dt == pytest.approx(1 / 30)
    with pytest.raises(DataError, match="line 4: found ':SAMPLES-PER-SECOND"):
        read(tmp_path, amc=sampled.replace(" 30", " none"))


def test_frames_out_of_order_are_passed_on(tmp_path: Path) -> None:
    scene = read(tmp_path, amc=AMC.replace("\n9\n", "\n7\n"))
    np.testing.assert_array_equal(scene.time, np.array([7, 8, 7]) / 120)
    assert "backward_time" in {finding.check for finding in validate(scene)}


def test_carriage_returns_change_nothing(tmp_path: Path) -> None:
    expected = read(tmp_path).positions
    np.testing.assert_array_equal(read(tmp_path, ASF.replace("\n", "\r\n"), AMC.replace("\n", "\r\n")).positions, expected)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("knee 0 0\nspine 90\n", "spine 90\n", r"line 10: found 2 word\(s\), expected 3"),
        ("knee 0 0\nspine 90\n", "knee 0 0 0\nspine 90\n", r"line 10: found 4 word\(s\), expected 3"),
        ("knee 0 0\nspine 90\n", "ankle 0 0\nspine 90\n", "line 10: found bone 'ankle', expected bone 'knee'"),
        ("knee 90 0\n", "knee 90\n", r"line 6: found 1 value\(s\) of bone 'knee', expected 2 as in 35.asf"),
        ("knee 90 0\n", "ankle 90 0\n", "line 6: found bone 'ankle', expected a movable bone of 35.asf"),
        ("knee 90 0\n", "knee 90 0\nknee 90 0\n", "line 7: found bone 'knee', expected a movable bone of 35.asf, each once"),
        ("knee 90 0\n", "", "line 6: found the end of the frame without knee, expected every movable bone"),
        ("spine 90\n", "spine 9o\n", "line 11: found '9o', expected a number"),
        ("spine 90\n", "spine nan\n", "line 11: found 'nan', expected a number"),
        ("spine 90\n", "spine 1_0\n", "line 11: found '1_0', expected a number"),
        ("\n8\n", "\n8.5\n", "line 8: found '8.5', expected a whole frame number"),
        ("\n9\n", "\nnine\n", "line 12: found 'nine', expected a number"),
        ("knee 0 0\nspine 0\n", "", "line 13: found the end of the file within a frame"),
        ("7\n", "", "line 4: found 7 words, expected a frame number alone"),
        (AMC.partition("7\n")[2], "", "line 4: found the end of the frame without knee, root, spine"),
        (AMC.partition(":DEGREES\n")[2], "", "the file holds no frames"),
    ],
)
def test_motion_that_does_not_fit(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert AMC.count(old) >= 1
    with pytest.raises(DataError, match=message):
        read(tmp_path, amc=AMC.replace(old, new, 1) if len(old) < 40 else AMC.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":hierarchy", ":other", "no section :hierarchy"),
        ("hip knee", "hip ankle", "line 44: the hierarchy names the bone 'ankle'"),
        ("hip knee", "hip spine", "line 44: bone 'spine' gets a second parent"),
        ("hip knee", "knee hip", "line 44: bone 'hip' gets a second parent"),
        ("    hip knee\n", "", "does not connect knee to the root"),
        ("root hip spine\n    hip knee", "root spine\n    hip knee\n    knee hip", "does not connect hip, knee"),
        ("name spine", "name knee", "a bone ends here whose name is 'knee'"),
        ("name spine", "name", "a bone ends here whose name is ''"),
        ("angle deg", "angle grad", "line 7: angle unit 'grad'"),
        ("length 3", "length three", "line 27: 'three', expected 1 number"),
        ("length 3", "length inf", "line 27: 'inf'"),
        ("     length 3\n", "", "bone 'knee' has no length"),
        ("direction 0 1 0", "direction 0 1 1", "the direction of bone 'spine' is not of length 1"),
        ("0 0 20 XYZ", "0 0 20 XXZ", "axis order 'xxz'"),
        ("dof rx rz", "dof rx rx", "channels 'rx rx'"),
        ("dof rx rz", "dof rx q", "channels 'rx q'"),
        ("dof ry\n  end", "dof ry", "this bone has no end"),
    ],
)
def test_skeleton_that_does_not_fit(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert ASF.count(old) == 1
    with pytest.raises(DataError, match=message):
        read(tmp_path, asf=ASF.replace(old, new))


def test_damaged_skeleton_is_never_a_crash(tmp_path: Path) -> None:
    path, rng = write(tmp_path), np.random.default_rng(0)
    content = np.frombuffer(ASF.encode(), dtype=np.uint8)
    for _ in range(100):
        other = content.copy()
        other[rng.integers(0, len(other), size=3)] = rng.integers(0, 256, size=3)
        (tmp_path / "35.asf").write_bytes(other.tobytes())
        assert "\n" not in refusal(path)


def refusal(path: Path) -> str:
    try:
        list(FORMATS["amc"].read(path, ReadOptions()))
    except ForecastingError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["35_01.asf", "35.asf", "any.ASF"])
def test_skeleton_beside(tmp_path: Path, name: str) -> None:
    path = write(tmp_path)
    (tmp_path / "35.asf").rename(tmp_path / name)
    (scene,) = FORMATS["amc"].read(path, ReadOptions())
    assert scene.source.options["skeleton"] == name


def test_skeleton_missing_or_unclear(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "35.asf").rename(tmp_path / "a.asf")
    (tmp_path / "b.asf").write_text(ASF)
    with pytest.raises(UsageError, match=r"looked for 35_01.asf and 35.asf .* several others \(a, b\)"):
        list(FORMATS["amc"].read(path, ReadOptions()))
    for name in ("a.asf", "b.asf"):
        (tmp_path / name).unlink()
    with pytest.raises(UsageError, match=r"no \.asf file"):
        list(FORMATS["amc"].read(path, ReadOptions()))


def test_skeletons_are_passed_over_in_a_folder(tmp_path: Path) -> None:
    write(tmp_path)
    assert [scene.scene for scene in read_trajectories(tmp_path)] == ["35_01"]
    with pytest.raises(DataError, match="no known format"):
        sniff(tmp_path / "35.asf")


def test_skeleton_that_hardly_moves_is_refused(tmp_path: Path) -> None:
    extra = "".join(f"begin\nname b{i}\ndirection 0 1 0\nlength 1\nend\n" for i in range(300))
    tree = "root hip spine " + " ".join(f"b{i}" for i in range(300))
    with pytest.raises(DataError, match="304 joints have 9 channels"):
        read(tmp_path, ASF.replace(":hierarchy", extra + ":hierarchy").replace("root hip spine", tree))


WALKS = {"01": (224, 135), "02": (387, 20), "05": (418, 10), "07": (360, 1), "11": (370, 16), "12": (378, 20)}


@pytest.mark.parametrize(("trial", "frames", "first"), [(key, *value) for key, value in WALKS.items()])
def test_real_walks(real_data: Path, trial: str, frames: int, first: int) -> None:
    path = real_data / f"mocap/cmu-walk-35-amc/35_{trial}.amc"
    (scene,) = FORMATS["amc"].read(path, ReadOptions())
    assert scene.positions.shape == (frames, 31, 3)
    np.testing.assert_allclose(scene.time * 120, np.arange(first, first + frames), rtol=1e-12)
    assert scene.positions[..., 1].min() == pytest.approx(0.1, abs=0.15)
    assert scene.positions[:, scene.node_ids == "head", 1].max() == pytest.approx(29.5, abs=0.15)
    walked = scene.positions[-1, 0] - scene.positions[0, 0]
    assert abs(np.rad2deg(np.arctan2(walked[0], walked[2]))) < 1.2
    assert not validate(scene)
    bone = lengths(scene)
    np.testing.assert_allclose(bone, np.broadcast_to(bone[0], bone.shape), atol=1e-9)
    np.testing.assert_allclose(bone[0], _asf_lengths(path.with_name("35.asf")), atol=1e-9)


def _asf_lengths(path: Path) -> list[float]:
    words = path.read_text().split()
    lines = [index for index, word in enumerate(words) if word == "direction"]
    return [np.linalg.norm(np.array(words[at + 1 : at + 4], dtype=float)) * float(words[at + 5]) for at in lines]


def test_real_walks_agree_with_the_arrays_of_the_benchmark(real_data: Path) -> None:
    (walk,) = FORMATS["amc"].read(real_data / "mocap/cmu-walk-35-amc/35_01.amc", ReadOptions())
    run = next(FORMATS["cmu_npz"].read(real_data / "mocap/cmu-run-09-egno/motion_run.npz", ReadOptions()))
    assert walk.node_ids.tolist() == run.node_ids.tolist()
    assert walk.edges.tolist() == run.edges.tolist()
    assert (walk.unit, walk.frame, walk.edge_types.tolist()) == (run.unit, run.frame, run.edge_types.tolist())
    ratio = lengths(walk)[0] / lengths(run)[0]
    assert np.sum(lengths(walk)[0]) / np.sum(lengths(run)[0]) == pytest.approx(1, abs=0.05)
    assert np.abs(ratio - 1).max() < 0.17
