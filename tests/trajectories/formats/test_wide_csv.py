from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.trajectory import Trajectory

WIDE = ReadOptions(unit="px", rate=400, wide=("x0", "y0", "x1", "y1"))


def read(path: Path, options: ReadOptions) -> Trajectory:
    (scene,) = FORMATS["wide_csv"].read(path, options)
    return scene


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class TestHeaderless(FormatContract):
    format = "wide_csv"
    options = WIDE
    shapes = ((3, 2, 2),)

    def example(self, folder: Path) -> Path:
        return write(folder / "pendulum.csv", "1,2,3,4\n2,3,4,\n3,4,5,6\n")

    def truncated(self, content: bytes) -> bytes:
        return content[: content.rstrip().rfind(b"\n") + 2]


class TestHeaded(FormatContract):
    format = "wide_csv"
    options = ReadOptions(unit="m", up="y", wide=("hip_x", "hip_y", "hip_z", "knee_x", "knee_y", "knee_z"))
    shapes = ((2, 2, 3),)

    def example(self, folder: Path) -> Path:
        names = "time,hip_x,hip_y,hip_z,knee_x,knee_y,knee_z"
        return write(folder / "legs.csv", f"{names}\n0.0,1,2,3,4,5,6\n0.5,1,2,3,4,5,6\n")

    def truncated(self, content: bytes) -> bytes:
        return content[: content.rstrip().rfind(b"\n") + 2]


def test_values_and_clock(tmp_path: Path) -> None:
    scene = read(write(tmp_path / "p.csv", "1,2,3,4\n2,3,4,\n3,4,5,6\n"), WIDE)
    assert scene.positions[0].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert scene.valid.tolist() == [[True, True], [True, False], [True, True]]
    np.testing.assert_allclose(scene.time, [0, 0.0025, 0.005])
    assert scene.node_ids.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("header", "columns", "times"),
    [
        ("t,x0,y0", {"time": "t"}, [3.0, 7.0]),
        ("frame,x0,y0", {}, [0.3, 0.7]),
        ("n,x0,y0", {"frame": "n"}, [0.3, 0.7]),
    ],
)
def test_clock_columns(tmp_path: Path, header: str, columns: dict[str, str], times: list[float]) -> None:
    options = ReadOptions(unit="m", rate=10, columns=columns)
    headed = read(write(tmp_path / "a.csv", f"{header}\n3,1,2\n7,1,2\n"), options)
    np.testing.assert_allclose(headed.time, times)
    wide = ReadOptions(unit="m", rate=10, columns=columns, wide=tuple(header.split(",")))
    bare = read(write(tmp_path / "b.csv", "3,1,2\n7,1,2\n"), wide)
    np.testing.assert_allclose(bare.time, times)


def test_columns_can_be_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "1,9,2\n3,9,4\n")
    scene = read(path, ReadOptions(unit="m", rate=1, wide=("x0", "_", "y0")))
    assert scene.positions[:, 0].tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("wide", "message"),
    [
        ((), "4 columns without a header, but --wide names 0.*--wide x0,y0,x1,y1"),
        (("x0", "y0"), "--wide names 2"),
        (("a", "b", "c", "d"), "names no axis"),
        (("x0", "x1", "y0", "y1"), "node by node"),
        (("x0", "y0", "x0", "y0"), "stands twice"),
    ],
)
def test_what_wide_must_say(tmp_path: Path, wide: tuple[str, ...], message: str) -> None:
    path = write(tmp_path / "p.csv", "1,2,3,4\n")
    with pytest.raises(UsageError, match=message):
        read(path, ReadOptions(unit="m", rate=1, wide=wide))


def test_faults_are_located(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2 has 3 columns, expected 4"):
        read(write(tmp_path / "p.csv", "1,2,3,4\n1,2,3\n"), WIDE)
    with pytest.raises(DataError, match="line 2, column 3: 'x' is not a number"):
        read(write(tmp_path / "p.csv", "1,2,3,4\n1,2,x,4\n"), WIDE)
    with pytest.raises(UsageError, match="--rate"):
        read(write(tmp_path / "p.csv", "1,2,3,4\n"), ReadOptions(unit="m", wide=WIDE.wide))
