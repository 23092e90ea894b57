import time
from pathlib import Path

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import validate

UP = ReadOptions(up="y")
HEADER = (
    "PathFileType\t4\t(X/Y/Z)\twalk.trc\n"
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
    "60.00\t60.00\t3\t2\tmm\t60.00\t1\t3\n"
    "Frame#\tTime\tR.ASIS\t\t\tL Knee\t\t\n"
    "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
)
ROWS = (
    "1\t0.000\t1.5\t2.0\t3.0\t4.0\t5.0\t6.0\n"
    "2\t0.017\t1.6\t2.1\t3.1\t\t\t\n"
    "3\t0.033\t1.7\t2.2\t\t4.2\t5.2\t-6e0\n"
)  # fmt: skip
TRC = HEADER + "\n" + ROWS


def write(folder: Path, text: str = TRC) -> Path:
    (folder / "walk.trc").write_text(text)
    return folder / "walk.trc"


def read(folder: Path, text: str = TRC, options: ReadOptions = UP) -> Trajectory:
    (scene,) = FORMATS["trc"].read(write(folder, text), options)
    return scene


class TestTrc(FormatContract):
    format = "trc"
    options = UP
    shapes = ((3, 2, 3),)

    def example(self, folder: Path) -> Path:
        return write(folder)


def test_scene(tmp_path: Path) -> None:
    scene = read(tmp_path)
    assert scene.scene == "walk"
    assert scene.node_ids.tolist() == ["R.ASIS", "L Knee"]
    assert set(scene.node_types) == {"marker"}
    assert (str(scene.unit), scene.frame.up, scene.frame.handedness) == ("mm", "+y", "right")
    assert scene.source.options == {"rate": 60.0}
    np.testing.assert_array_equal(scene.time, [0, 0.017, 0.033])
    np.testing.assert_array_equal(scene.valid, [[True, True], [True, False], [False, True]])
    np.testing.assert_array_equal(scene.positions[:, 1], [[4, 5, 6], [np.nan] * 3, [4.2, 5.2, -6]])
    np.testing.assert_array_equal(scene.positions[2, 0], [np.nan] * 3)


def test_what_the_user_says(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--up"):
        read(tmp_path, options=ReadOptions())
    scene = read(tmp_path, options=ReadOptions(up="z", unit="cm", rate=100, node_type="ball"))
    assert (str(scene.unit), scene.frame.up, scene.node_types[0]) == ("cm", "+z", "ball")
    np.testing.assert_allclose(scene.time, [0.01, 0.02, 0.03])


@pytest.mark.parametrize("unit", ["m", "cm", "MM"])
def test_units(tmp_path: Path, unit: str) -> None:
    assert read(tmp_path, TRC.replace("mm", unit)).unit.name == unit.lower()


def test_unknown_unit_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--unit"):
        read(tmp_path, TRC.replace("mm", "furlongs"))


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROWS,
        HEADER + "\n\n\n" + ROWS + "\n\t\n\n",
        HEADER + "\t\t\n" + ROWS.replace("\n", "\t\n"),
        TRC.replace("\n", "\r\n"),
        TRC.removesuffix("\n"),
        "\ufeff" + TRC,
        HEADER + ROWS.replace("\t\t\t\n", "\tNaN\tnan\t \n"),
    ],
    ids=["no blank line", "blank lines", "trailing tabs", "carriage returns", "no last newline", "mark", "nan"],
)
def test_layout_does_not_matter(tmp_path: Path, text: str) -> None:
    np.testing.assert_array_equal(read(tmp_path, text).positions, read(tmp_path).positions)


def test_last_row_may_end_in_missing_markers(tmp_path: Path) -> None:
    text = HEADER + "1\t0\t1\t2\t3\t\t\t\n2\t0.0167\t1\t2\t3\t\t\t\n3\t0.0333\t1\t2\t3\t\t\t\n"
    assert read(tmp_path, text).valid.tolist() == [[True, False]] * 3


def test_backward_clock_is_passed_on(tmp_path: Path) -> None:
    scene = read(tmp_path, TRC.replace("0.033", "0.001"))
    np.testing.assert_array_equal(scene.time, [0, 0.017, 0.001])
    assert "backward_time" in {finding.check for finding in validate(scene)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("PathFileType", "Path", "line 1: expected PathFileType"),
        ("\t3\t2\tmm", "\t4\t2\tmm", "there are 3 frames, NumFrames says 4"),
        ("\t3\t2\tmm", "\t2\t2\tmm", "there are 3 frames, NumFrames says 2"),
        ("\t3\t2\tmm", "\t3\t3\tmm", "line 4 names 2 markers, line 5 has 6 coordinates, and NumMarkers is 3"),
        ("\t3\t2\tmm", "\t3\t2.5\tmm", "NumMarkers is 2.5, expected a whole number"),
        ("\t3\t2\tmm", "\tmany\t2\tmm", "NumFrames is 'many', expected a number"),
        ("NumMarkers\t", "", "NumMarkers is ''"),
        ("L Knee", "", "line 4 names 1 markers"),
        ("\tZ2", "", "line 5 has 5 coordinates"),
        ("Frame#\tTime", "Time\tFrame#", "line 4: found 'Time Frame#'"),
        ("60.00\t60.00\t3", "nan\t60.00\t3", "DataRate is 'nan'"),
        ("60.00\t60.00\t3", "120\t60.00\t3", r"frames 1 to 3 take 0.033 s by the Time column, expected 0.0166667 s"),
        ("0.017", "", "line 8, column 2 is empty, expected a time"),
        ("\n2\t", "\n\t", "line 8, column 1 is empty, expected a frame number"),
        ("2.1", "2,1", "line 8, column 4: '2,1' is not a number"),
        ("4.2\t5.2\t-6e0", "4.2\t5.2", "line 9 has 7 columns, expected 8"),
        ("4.2\t5.2\t-6e0", "4.2\t5.2\t-6e0\t1", "line 9 has 9 columns, expected 8"),
        ("1.5\t2.0", "2.0", "line 7 has 7 columns, expected 8"),
        ("4.2\t5.2\t-6e0", "4.2\tNA\t-6e0", "a cell is neither a number nor empty"),
        ("\n3\t", "\n\n3\t", "line 9 has 1 columns, expected 8"),
        (ROWS, "", "the file holds no frames"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert TRC.count(old) == 1
    with pytest.raises(DataError, match=message):
        read(tmp_path, TRC.replace(old, new))


@given(values=npst.arrays(np.float64, (3, 6), elements=st.floats(allow_nan=True, allow_infinity=False)))
def test_numbers_are_exact(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    rows = [
        [str(frame + 1), f"{frame / 60:.3f}", *("" if np.isnan(x) else repr(float(x)) for x in row)]
        for frame, row in enumerate(values)
    ]
    scene = read(tmp_path_factory.mktemp("exact"), HEADER + "".join("\t".join(row) + "\n" for row in rows))
    expected = values.reshape(3, 2, 3)
    missing = np.isnan(expected).any(axis=2, keepdims=True)
    np.testing.assert_array_equal(scene.positions, np.where(missing, np.nan, expected))


def test_hostile_files_are_refused_quickly(tmp_path: Path) -> None:
    begin, many = time.monotonic(), 60_000
    head = "PathFileType\t4\nDataRate\tNumFrames\tNumMarkers\tUnits\n"
    wide = (
        f"{head}60\t1\t{many}\tmm\nFrame#\tTime"
        + "\ta" * many
        + "\n\t\t"
        + "\tX" * 3 * many
        + "\n1\t0"
        + "\t" * 3 * many
        + "\tx\n"
    )
    with pytest.raises(DataError):
        read(tmp_path, wide)
    with pytest.raises(DataError, match="NumFrames says 4000000000"):
        read(tmp_path, TRC.replace("\t3\t2\tmm", "\t4e9\t2\tmm"))
    with pytest.raises(DataError):
        read(tmp_path, HEADER + "\n" * 1_000_000 + "x")
    assert time.monotonic() - begin < 4
