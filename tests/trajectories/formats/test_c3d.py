import contextlib
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ezc3d
import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from forecasting.errors import DataError, ForecastingError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.trajectory import Trajectory

UP = ReadOptions(up="z")
POINTS = np.arange(24, dtype=float).reshape(3, 2, 4) * np.array([1, 10, -1, 0]) + 0.5
ORDERS = {84: "<", 85: "<", 86: ">"}


def numbers(values: Any, kind: str, processor: int = 84) -> bytes:
    """Numbers of kind i2 or f4 as the processor stores them."""
    if kind == "f4" and processor == 85:
        return (np.asarray(values, "<f4") * 4).astype("<f4").view("<u2").reshape(-1, 2)[:, ::-1].tobytes()
    return np.asarray(values).astype(ORDERS[processor] + kind).tobytes()


def parameter(group: int, name: str, value: Any, processor: int = 84) -> bytes:
    if value and isinstance(value, list) and isinstance(value[0], str):
        width = max(len(text.encode()) for text in value) or 1
        kind, shape, content = -1, (width, len(value)), b"".join(text.encode().ljust(width) for text in value)
    elif isinstance(value, str):
        kind, shape, content = -1, (len(value),), value.encode()
    elif isinstance(value, float):
        kind, shape, content = 4, (), numbers([value], "f4", processor)
    else:
        values = value if isinstance(value, tuple) else (value,)
        kind, shape = 2, (len(values),) if isinstance(value, tuple) else ()
        content = numbers(np.array(values) % 65536, "u2", processor)
    body = struct.pack(f"bB{len(shape)}B", kind, len(shape), *shape) + content + b"\0"
    return struct.pack("bb", len(name), group) + name.encode() + numbers([len(body) + 2], "i2", processor) + body


def c3d(
    points: np.ndarray = POINTS,
    *,
    scale: float = -1.0,
    processor: int = 84,
    analog: int = 0,
    header: Mapping[int, int] | None = None,
    rates: Sequence[float] = (100.0, 100.0),
    **changes: Any,
) -> bytes:
    """A whole C3D file; `header` changes words of the header by number, `changes` parameters (GROUP__NAME), None removes."""
    frames, count, _ = points.shape
    said: dict[str, Any] = {
        "POINT__USED": count,
        "POINT__FRAMES": frames,
        "POINT__SCALE": float(scale),
        "POINT__RATE": float(rates[1]),
        "POINT__UNITS": "mm",
        "POINT__LABELS": [f"M{index}" for index in range(count)],
        "ANALOG__USED": analog,
    } | changes
    groups = {name: -index for index, name in enumerate(dict.fromkeys(key.split("__")[0] for key in said), start=1)}
    records = b"".join(
        struct.pack("bb", len(name), index) + name.encode() + numbers([3], "i2", processor) + b"\0"
        for name, index in groups.items()
    )
    for key, value in said.items():
        if value is not None:
            records += parameter(-groups[key.split("__")[0]], key.split("__")[1], value, processor)
    section = bytes([1, 0x50, (len(records) + 6 + 511) // 512, processor]) + records
    section = section.ljust(-(-(len(section) + 2) // 512) * 512, b"\0")
    words = {0: count, 1: analog, 2: 1, 3: frames, 4: 10, 7: 2 + len(section) // 512, 8: 1} | dict(header or {})
    head = bytearray(512)
    head[:2] = bytes([2, 0x50])
    for index, value in words.items():
        head[2 + 2 * index : 4 + 2 * index] = numbers([value], "u2", processor)
    head[12:16], head[20:24] = numbers([scale], "f4", processor), numbers([rates[0]], "f4", processor)
    stored = points / [scale, scale, scale, 1] if scale > 0 else points
    rows = np.concatenate([stored.reshape(frames, -1), np.zeros((frames, analog))], axis=1)
    return bytes(head) + section + numbers(np.rint(rows) if scale > 0 else rows, "i2" if scale > 0 else "f4", processor)


def write(folder: Path, content: bytes) -> Path:
    (folder / "walk.c3d").write_bytes(content)
    return folder / "walk.c3d"


def read(folder: Path, content: bytes, options: ReadOptions = UP) -> Trajectory:
    (scene,) = FORMATS["c3d"].read(write(folder, content), options)
    return scene


class Contract(FormatContract):
    format = "c3d"
    options = UP
    shapes = ((3, 2, 3),)


class TestFloats(Contract):
    def example(self, folder: Path) -> Path:
        return write(folder, c3d())


class TestScaledBigEndian(Contract):
    def example(self, folder: Path) -> Path:
        return write(folder, c3d(scale=0.5, processor=86, analog=3))


class TestOfEzc3d(Contract):
    def example(self, folder: Path) -> Path:
        made = ezc3d.c3d()
        made["parameters"]["POINT"]["RATE"]["value"] = [50]
        made["parameters"]["POINT"]["LABELS"]["value"] = ("head", "toe")
        made["parameters"]["POINT"]["UNITS"]["value"] = ("m",)
        made["data"]["points"] = np.concatenate([POINTS[..., :3].transpose(2, 1, 0), np.ones((1, 2, 3))])
        made.write(str(folder / "walk.c3d"))
        return folder / "walk.c3d"


def test_scene(tmp_path: Path) -> None:
    points = POINTS.copy()
    points[1, 0, 3], points[2, 1, 0], points[0, 1, 3] = -1, np.nan, np.nan
    scene = read(tmp_path, c3d(points, POINT__LABELS=["R.ASIS", "*12"]))
    assert (scene.scene, scene.node_ids.tolist(), set(scene.node_types)) == ("walk", ["R.ASIS", "*12"], {"marker"})
    assert (str(scene.unit), scene.frame.up, scene.frame.handedness) == ("mm", "+z", "right")
    np.testing.assert_array_equal(scene.time, [0, 0.01, 0.02])
    np.testing.assert_array_equal(scene.valid, [[True, False], [False, True], [True, False]])
    np.testing.assert_array_equal(scene.positions, np.where(scene.valid[..., None], points[..., :3], np.nan))
    assert scene.source.options == {"rate": 100.0, "first_frame": 1}


@pytest.mark.parametrize("processor", ORDERS)
@pytest.mark.parametrize("scale", [-1.0, -0.1, 0.5])
@pytest.mark.parametrize("analog", [0, 5])
def test_every_way_to_store(tmp_path: Path, processor: int, scale: float, analog: int) -> None:
    scene = read(tmp_path, c3d(processor=processor, scale=scale, analog=analog))
    np.testing.assert_array_equal(scene.positions, POINTS[..., :3])
    assert scene.valid.all()


@given(values=npst.arrays(np.float32, (4, 3, 4), elements=st.floats(width=32, allow_infinity=False)))
def test_numbers_are_exact(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    scene = read(tmp_path_factory.mktemp("exact"), c3d(values))
    valid = (values[..., 3] >= 0) & ~np.isnan(values[..., :3]).any(axis=2)
    np.testing.assert_array_equal(scene.valid, valid)
    np.testing.assert_array_equal(scene.positions, np.where(valid[..., None], values[..., :3].astype(float), np.nan))


def test_same_as_ezc3d(tmp_path: Path) -> None:
    points = np.random.default_rng(3).normal(size=(7, 2, 4)) * [900, 900, 900, 1]
    scene = read(tmp_path, c3d(points))
    other = ezc3d.c3d(str(tmp_path / "walk.c3d"))["data"]["points"]
    np.testing.assert_array_equal(scene.positions, other[:3].transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("labels", "ids"),
    [
        (["a", "a", "a#2"], ["a", "a#3", "a#2"]),
        (["a"], ["a", "*2", "*3"]),
        (["", "*1", "b"], ["*1", "*1#2", "b"]),
        (["a", "b", "c", "d"], ["a", "b", "c"]),
        (["Männ ", " x", "é"], ["Männ", "x", "é"]),
        (None, ["*1", "*2", "*3"]),
    ],
)
def test_labels(tmp_path: Path, labels: list[str] | None, ids: list[str]) -> None:
    assert read(tmp_path, c3d(np.zeros((2, 3, 4)), POINT__LABELS=labels)).node_ids.tolist() == ids


def test_more_labels_than_one_parameter_holds(tmp_path: Path) -> None:
    more = {"POINT__LABELS": ["a", "b"], "POINT__LABELS2": ["c"], "POINT__LABELS3": ["d"]}
    assert read(tmp_path, c3d(np.zeros((2, 4, 4)), **more)).node_ids.tolist() == ["a", "b", "c", "d"]


def test_computed_quantities_are_left_out(tmp_path: Path) -> None:
    more = {"POINT__LABELS": ["a", "angle", "b", "power"], "POINT__ANGLES": ["angle"], "POINT__POWERS": ["power", ""]}
    scene = read(tmp_path, c3d(np.arange(32.0).reshape(2, 4, 4), **more))
    assert scene.node_ids.tolist() == ["a", "b"]
    np.testing.assert_array_equal(scene.positions[0], [[0, 1, 2], [8, 9, 10]])
    with pytest.raises(DataError, match="all 1 points are computed"):
        read(tmp_path, c3d(POINTS[:, :1], POINT__LABELS=["angle"], POINT__ANGLES=["angle"]))


@pytest.mark.parametrize(
    ("said", "unit"), [("mm", "mm"), ("M", "m"), ("cm  ", "cm"), ("Millimeters", "mm"), ("inches", "in"), ("metres", "m")]
)
def test_units(tmp_path: Path, said: str, unit: str) -> None:
    assert read(tmp_path, c3d(POINT__UNITS=said)).unit.name == unit


@pytest.mark.parametrize(("said", "up"), [("+Z", "+z"), ("-y", "-y"), ("Z", "+z"), ("+Y ", "+y")])
def test_up(tmp_path: Path, said: str, up: str) -> None:
    assert read(tmp_path, c3d(POINT__X_SCREEN="+X", POINT__Y_SCREEN=said), ReadOptions()).frame.up == up
    assert read(tmp_path, c3d(POINT__Y_SCREEN=said), ReadOptions(up="x")).frame.up == "+x"


@pytest.mark.parametrize(
    ("changes", "options", "flag"),
    [
        ({}, ReadOptions(), "--up"),
        ({"POINT__Y_SCREEN": "up"}, ReadOptions(), "--up"),
        ({"POINT__UNITS": "furlongs"}, UP, "--unit"),
        ({"POINT__UNITS": None}, UP, "--unit"),
        ({"rates": (0, 0)}, UP, "--rate"),
    ],
)
def test_what_the_user_must_say(tmp_path: Path, changes: dict[str, Any], options: ReadOptions, flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        read(tmp_path, c3d(**changes), options)
    said = read(tmp_path, c3d(**changes), ReadOptions(up="-z", unit="0.5cm", rate=50, node_type="ball"))
    assert (str(said.unit), said.frame.up, said.time[1], said.node_types[0]) == ("0.5cm", "-z", 0.02, "ball")
    np.testing.assert_array_equal(said.positions, POINTS[..., :3] / 2)


def test_more_frames_than_two_bytes_count(tmp_path: Path) -> None:
    points = np.zeros((70_000, 1, 4))
    full = {"header": {3: 65535}, "POINT__LABELS": ["a"]}
    for counts in (
        {"POINT__FRAMES": 70_000.0},
        {"POINT__FRAMES": 65535, "POINT__LONG_FRAMES": 70_000.0},
        {"POINT__FRAMES": 65535, "TRIAL__ACTUAL_START_FIELD": (1, 0), "TRIAL__ACTUAL_END_FIELD": (4464, 1)},
    ):
        assert read(tmp_path, c3d(points, **full, **counts)).positions.shape == (70_000, 1, 3)
    with pytest.raises(DataError, match="nothing says how many frames"):
        read(tmp_path, c3d(points, **full, POINT__FRAMES=65535))


def test_zeros_may_fill_the_last_block(tmp_path: Path) -> None:
    for rest in (bytes(100), b"x" * 100, bytes(5000)):
        assert read(tmp_path, c3d() + rest).positions.shape == (3, 2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (c3d()[:-1], "3 frames of 2 points are announced, 2 whole ones are there; the file is cut"),
        (c3d() + b"x" * 600, "600 bytes follow the 3 frames"),
        (c3d(header={0: 3}), "POINT:USED is 2, the header says 3 points per frame"),
        (c3d(header={0: 3}, POINT__USED=None), "the file is cut"),
        (c3d(header={3: 4}), "frames are 4 by the header, 3 by POINT:FRAMES"),
        (c3d(header={3: 4}, POINT__FRAMES=4), "4 frames of 2 points are announced, 3 whole ones"),
        (c3d(POINT__FRAMES=2.5, header={3: 65535}), "frames are 2.5"),
        (c3d(POINT__FRAMES=-2.0, header={3: 65535}), "frames are -2"),
        (c3d(POINT__FRAMES=float("nan"), header={3: 65535}), "frames are nan"),
        (c3d(header={2: 9}, POINT__FRAMES=None), "frames are -5"),
        (c3d(header={7: 900}), "points begin in block 900"),
        (c3d(header={7: 2}), "points begin in block 2"),
        (c3d(POINT__DATA_START=7), "POINT:DATA_START is 7"),
        (c3d(analog=2, ANALOG__USED=1), "ANALOG:USED is 1, the header says 2 analog channels"),
        (c3d(POINT__SCALE=1.0), "POINT:SCALE is 1, the header says -1"),
        (c3d(scale=0.5, POINT__SCALE=0.6), "POINT:SCALE is 0.6, the header says 0.5"),
        (c3d(scale=-1, POINT__SCALE=float("nan")), "POINT:SCALE is nan"),
        (c3d(rates=(100, 120)), "POINT:RATE is 120, the header says 100"),
        (c3d(np.zeros((2, 0, 4)), POINT__LABELS=None, analog=1), "no points, only analog"),
        (c3d().replace(b"LABELS\x0b\0\xff\x02", b"LABELS\x0b\0\x07\x02"), "'LABELS' is of the unknown kind 7"),
        (c3d().replace(b"LABELS\x0b\0\xff\x02\x02", b"LABELS\x0b\0\xff\x02\xff"), "LABELS"),
        (c3d().replace(b"LABELS\x0b\0", b"LABELS\x01\0"), "points back into itself"),
        (c3d().replace(b"LABELS\x0b\0", b"LABELS\xff\x7f"), "the parameters run into the points"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_damaged_files_are_never_a_crash(tmp_path: Path) -> None:
    content, rng = np.frombuffer(c3d(analog=2), dtype=np.uint8), np.random.default_rng(5)
    begin = time.monotonic()
    for _ in range(500):
        other = content.copy()
        other[rng.integers(0, len(other), size=12)] = rng.integers(0, 256, size=12)
        with contextlib.suppress(ForecastingError):
            read(tmp_path, other.tobytes()[: rng.integers(1, 2 * len(other))])
    assert time.monotonic() - begin < 10


def test_hostile_parameters_are_refused_quickly(tmp_path: Path) -> None:
    begin, record = time.monotonic(), b"\x01\x01A\x05\0\x01\x00x"
    head = bytearray(c3d()[:512])
    head[16:18] = struct.pack("<H", 2000)
    with pytest.raises(DataError, match="more than 10000 parameters"):
        read(tmp_path, bytes(head) + b"\x01\x50\x01\x54" + record * 130_000)
    assert time.monotonic() - begin < 2


def test_cmu(real_data: Path) -> None:
    path = real_data / "mocap/cmu-c3d/85_02.c3d"
    (scene,) = FORMATS["c3d"].read(path, UP)
    assert scene.positions.shape == (810, 41, 3)
    assert (str(scene.unit), scene.dt) == ("mm", pytest.approx(1 / 120))
    assert scene.valid.all()
    assert scene.node_ids[0] == "Male:LFWT"
    assert scene.positions[..., 2].min() == pytest.approx(11, abs=1)
    other = ezc3d.c3d(str(path))["data"]["points"]
    np.testing.assert_array_equal(scene.positions, other[:3].transpose(2, 1, 0))
    with pytest.raises(UsageError, match="--up"):
        list(FORMATS["c3d"].read(path, ReadOptions()))
