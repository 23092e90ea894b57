import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract, assert_same_trajectory
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.trajectory import Trajectory

PX = ReadOptions(unit="px", rate=25)


def read_one(path: Path, options: ReadOptions = PX) -> Trajectory:
    (scene,) = FORMATS["npz"].read(path, options)
    return scene


def ways(frames: int = 6, nodes: int = 3, dim: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(frames, nodes, dim))


class TestNpy(FormatContract):
    format = "npz"
    options = PX
    shapes = ((6, 3, 2),)

    def example(self, folder: Path) -> Path:
        np.save(folder / "fish.npy", ways())
        return folder / "fish.npy"


class TestPlainNpz(FormatContract):
    format = "npz"
    options = PX
    shapes = ((6, 3, 2),)

    def example(self, folder: Path) -> Path:
        np.savez_compressed(folder / "fish.npz", trajectories=ways(), border=np.zeros((16, 2)), body_length=57.0)
        return folder / "fish.npz"


def test_missing_points_are_masked_not_errors(tmp_path: Path) -> None:
    positions = ways()
    positions[2, 1, 0] = np.nan
    np.save(tmp_path / "a.npy", positions)
    scene = read_one(tmp_path / "a.npy")
    assert not scene.valid[2, 1]
    assert scene.valid.sum() == scene.valid.size - 1
    assert np.isnan(scene.positions[2, 1]).all()


def test_side_arrays_are_used(tmp_path: Path) -> None:
    sides = {
        "time": np.array([0.0, 0.1, 0.3, 0.4, 0.5, 0.6]),
        "valid": np.ones((6, 3), dtype=bool),
        "node_ids": np.array(["a", "b", "c"]),
        "node_types": np.array(["x", "y", "x"]),
        "edges": np.array([[0, 1], [2, 1]]),
        "unit": "cm",
        "up": "z",
        "handedness": "left",
        "velocity": ways(dim=3),
    }
    np.savez(tmp_path / "a.npz", pos=ways(dim=3), **sides)
    scene = read_one(tmp_path / "a.npz", ReadOptions())
    np.testing.assert_array_equal(scene.time, sides["time"])
    assert scene.node_ids.tolist() == ["a", "b", "c"]
    assert scene.edges.tolist() == [[0, 1], [2, 1]]
    assert (scene.unit.name, scene.frame.up, scene.frame.handedness) == ("cm", "+z", "left")
    assert scene.fields["velocity"].unit == "cm/s"


@pytest.mark.parametrize(("name", "value"), [("fps", 50.0), ("dt", 0.02), ("frames_per_second", 50)])
def test_rate_of_the_file_and_of_the_user(tmp_path: Path, name: str, value: float) -> None:
    np.savez(tmp_path / "a.npz", positions=ways(), **{name: value})
    assert read_one(tmp_path / "a.npz", ReadOptions(unit="px")).dt == pytest.approx(0.02)
    assert read_one(tmp_path / "a.npz", ReadOptions(unit="px", rate=10)).dt == pytest.approx(0.1)


def test_units_per_axis_multiply(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ways())
    scene = read_one(tmp_path / "a.npy", ReadOptions(unit="x=1.05m,y=0.68m", rate=1))
    np.testing.assert_allclose(scene.positions, ways() * [1.05, 0.68])
    np.testing.assert_allclose(scene.unit.to_file(scene.positions), ways())


def test_unit_rate_and_up_are_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ways(dim=3))
    for options, wanted in (
        (ReadOptions(rate=1, up="z"), "--unit"),
        (ReadOptions(unit="m", up="z"), "--rate"),
        (ReadOptions(unit="m", rate=1), "--up"),
    ):
        with pytest.raises(UsageError, match=wanted):
            read_one(tmp_path / "a.npy", options)


def test_key_is_asked_for_where_several_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=ways(), right=ways() + 1)
    with pytest.raises(UsageError, match=r"left \(6, 3, 2\), right .*--key"):
        read_one(tmp_path / "a.npz")
    scene = read_one(tmp_path / "a.npz", ReadOptions(unit="px", rate=25, key="right"))
    np.testing.assert_array_equal(scene.positions, ways() + 1)
    with pytest.raises(DataError, match="no array 'middle'; it holds left, right"):
        read_one(tmp_path / "a.npz", ReadOptions(unit="px", rate=25, key="middle"))


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", positions=np.array([{"a": 1}], dtype=object))
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        with pytest.raises(DataError, match="pickled"):
            read_one(path, ReadOptions(unit="px", rate=25, key="positions"))


def lying_npy(shape: tuple[int, ...]) -> bytes:
    stream = BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(800)


def test_headers_that_claim_too_much_are_found_before_memory_is_asked_for(tmp_path: Path) -> None:
    content = lying_npy((10**6, 10**5, 3))
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("positions.npy", content)
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        with pytest.raises(DataError, match="the file has 800"):
            read_one(path)


def test_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("positions.npy", lying_npy((10**6, 10**5, 3)))
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    size = len(lying_npy(())) - 800 + 2_400_000_000
    content[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_one(path)


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"edges": np.array([[0, 7]])}, "nodes 0..2"),
        ({"edges": np.array([0, 1])}, "integer pairs"),
        ({"node_ids": np.arange(4)}, "'node_ids' is of shape"),
        ({"node_ids": np.array([0.5, 1, 2])}, "integers or texts"),
        ({"time": np.arange(5.0)}, "'time' is of shape"),
        ({"unit": 3}, "expected one text"),
    ],
)
def test_side_arrays_that_do_not_fit(tmp_path: Path, sides: dict[str, object], message: str) -> None:
    np.savez(tmp_path / "a.npz", positions=ways(), **sides)
    with pytest.raises(DataError, match=message):
        read_one(tmp_path / "a.npz", PX if "time" not in sides else ReadOptions(unit="px"))


def test_scenes_of_one_file_may_differ_in_kind(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ways())
    np.save(tmp_path / "b.npy", ways(dim=3))
    scenes = [read_one(tmp_path / "a.npy"), read_one(tmp_path / "b.npy", ReadOptions(unit="m", rate=1, up="y"))]
    FORMATS["npz"].write(tmp_path / "both.npz", scenes)
    for found, expected in zip(FORMATS["npz"].read(tmp_path / "both.npz", ReadOptions()), scenes, strict=True):
        assert_same_trajectory(found, expected)


def test_npy_cannot_hold_everything(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.npz"):
        FORMATS["npz"].write(tmp_path / "a.npy", [])
