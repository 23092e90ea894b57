import time
from collections.abc import Sequence
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from forecasting.errors import DataError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.reading import read_trajectories
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import validate

DAYS = (2458398.5, 2458399.5, 2458400.5)
STATE = (1.0, -2.0, 3.0, 0.1, 0.2, -0.3)


def table(
    body: str = "Earth (399)",
    days: Sequence[float] = DAYS,
    units: str = "AU-D",
    center: str = "Solar System Barycenter (0)",
    columns: str = "JDTDB, Calendar Date (TDB), X, Y, Z, VX, VY, VZ,",
    state: Sequence[float] = STATE,
) -> str:
    numbers = ", ".join(f"{value:.15E}" for value in state)
    rows = "".join(f"{day:.9f}, A.D. 2018-Oct-07 00:00:00.0000,  {numbers},\n" for day in days)
    return (
        f"{'*' * 79}\nTarget body name: {body}                     {{source: DE431mx}}\n"
        f"Center body name: {center}     {{source: DE431mx}}\nOutput units    : {units}\nReference frame : ICRF/J2000.0\n"
        f"{'*' * 79}\n    {columns}\n{'*' * 79}\n$$SOE\n{rows}$$EOE\n{'*' * 79}\nCoordinate system description:\n"
    )


def read(path: Path, text: str | None = None, options: ReadOptions | None = None) -> Trajectory:
    if text is not None:
        path.write_text(text)
    return next(FORMATS["horizons"].read(path, options or ReadOptions()))


class TestFile(FormatContract):
    format = "horizons"
    shapes = ((3, 1, 3),)

    def example(self, folder: Path) -> Path:
        (folder / "earth.txt").write_text(table())
        return folder / "earth.txt"


class TestFolder(FormatContract):
    format = "horizons"
    shapes = ((3, 2, 3),)

    def example(self, folder: Path) -> Path:
        folder = folder / "system"
        folder.mkdir()
        (folder / "earth.dat").write_text(table())
        (folder / "sun.dat").write_text(table("Sun (10)"))
        (folder / "README.md").write_text("# Bodies\n")
        return folder

    def _damaged(self, path: Path) -> Path:
        return path / "earth.dat" if path.is_dir() else path


def test_a_body(tmp_path: Path) -> None:
    scene = read(tmp_path / "home.dat", table())
    assert (scene.scene, scene.node_ids.tolist(), scene.node_types.tolist()) == ("home", ["Earth"], ["body"])
    assert (scene.unit.name, scene.frame.up) == ("au", "none")
    np.testing.assert_array_equal(scene.time / 86400 + 2451545, DAYS)
    np.testing.assert_array_equal(scene.positions[0, 0], STATE[:3])
    velocity = scene.fields["velocity"]
    assert (velocity.irreps, velocity.unit) == ("1o", "au/s")
    np.testing.assert_allclose(velocity.values[0, 0] * 86400, STATE[3:], rtol=1e-15)


@pytest.mark.parametrize(
    ("units", "unit", "per_day"), [("KM-S", "km", 86400.0), ("KM-D", "km", 1.0), ("AU-S, deg", "au", 86400.0), ("", "au", 1.0)]
)
def test_units_of_the_header(tmp_path: Path, units: str, unit: str, per_day: float) -> None:
    scene = read(tmp_path / "a.txt", table(units=units))
    assert (scene.unit.name, scene.fields["velocity"].unit) == (unit, f"{unit}/s")
    np.testing.assert_allclose(scene.fields["velocity"].values[0, 0] * 86400, np.array(STATE[3:]) * per_day, rtol=1e-15)


def test_the_user_knows_better(tmp_path: Path) -> None:
    scene = read(tmp_path / "a.txt", table(), ReadOptions(unit="2km", up="z", node_type="planet"))
    np.testing.assert_array_equal(scene.positions[0, 0], 2 * np.array(STATE[:3]))
    np.testing.assert_allclose(scene.fields["velocity"].values[0, 0] * 86400, 2 * np.array(STATE[3:]), rtol=1e-15)
    assert (scene.unit.name, scene.frame.up, scene.node_types[0]) == ("km", "+z", "planet")


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    turned = read(tmp_path / "a.txt", table(columns="JDTDB, Calendar Date (TDB), Z, Y, X, VX, VY, VZ,"))
    assert turned.positions[0, 0].tolist() == [3.0, -2.0, 1.0]


@given(st.lists(st.floats(-1e9, 1e9), min_size=6, max_size=6))
def test_printed_numbers_come_back(tmp_path_factory: pytest.TempPathFactory, state: list[float]) -> None:
    scene = read(tmp_path_factory.mktemp("law") / "a.txt", table(state=state))
    np.testing.assert_allclose(scene.positions[0, 0], state[:3], rtol=1e-15)


def test_bodies_with_other_epochs_share_a_clock(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(table("Sun (10)", DAYS[:2]))
    (tmp_path / "b.txt").write_text(table("Venus (299)", DAYS[1:]))
    scene = read(tmp_path)
    assert scene.valid.tolist() == [[True, False], [True, True], [False, True]]
    assert np.isnan(scene.fields["velocity"].values[~scene.valid]).all()


def test_times_of_one_body_stay_in_file_order(tmp_path: Path) -> None:
    scene = read(tmp_path / "a.txt", table(days=(DAYS[1], DAYS[0], DAYS[0])))
    assert {"backward_time"} <= {finding.check for finding in validate(scene)}
    (tmp_path / "b.txt").write_text(table("Sun (10)"))
    with pytest.raises(DataError, match=r"a\.txt: its times do not increase"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (table("Sun (10)", center="Earth (399)"), "Center body name"),
        (table("Earth (399)"), "the same body"),
        ("1 2 3\n", "no vector table"),
    ],
)
def test_folders_that_are_no_scene(tmp_path: Path, other: str, message: str) -> None:
    (tmp_path / "a.txt").write_text(table())
    (tmp_path / "b.txt").write_text(other)
    assert FORMATS["horizons"].sniff(tmp_path, b"") == 0
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_folder_with_folders_is_no_scene(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(table())
    (tmp_path / "b.txt").write_text(table("Sun (10)"))
    (tmp_path / "more").mkdir()
    assert FORMATS["horizons"].sniff(tmp_path, b"") == 0
    assert [scene.node_ids.tolist() for scene in read_trajectories(tmp_path)] == [["Earth"], ["Sun"]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("$$EOE", "", "0 lines"),
        ("$$EOE", "$$EOE\n$$EOE", "2 lines"),
        ("JDTDB, Cal", "Date, Cal", "no vector table"),
        (" VZ,", " VW,", "no vector table"),
        ("2458399.500000000, A.D.", "2458399.500000000, 3, A.D.", "line 11 has 10 columns, expected 9"),
        ("2458399.5", "yesterday", "line 11, column 1: 'yesterday00000000' is not a number"),
    ],
)
def test_damage(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.txt", table().replace(old, new))


def test_no_states(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no states"):
        read(tmp_path / "a.txt", table(days=()))


@pytest.mark.parametrize("filling", [" ", "\n", "{", "JDTDB", "Target body name: ", "$$EOE\n", ",", "Target body name:   \t"])
def test_hostile_texts_are_refused_soon(tmp_path: Path, filling: str) -> None:
    start = time.perf_counter()
    with pytest.raises(DataError):
        read(tmp_path / "a.txt", "Target body name: " + filling * (1_000_000 // len(filling)) + "x\n$$SOE\n$$EOE\n")
    assert time.perf_counter() - start < 2


def test_real_planets(real_data: Path) -> None:
    (scene,) = read_trajectories(real_data / "others" / "planets-horizons")
    assert scene.positions.shape == (31, 4, 3)
    assert scene.node_ids.tolist() == ["Earth", "Mercury", "Sun", "Venus"]
    assert scene.valid.all()
    assert validate(scene) == []
    assert scene.dt == 86400
    assert np.abs(scene.positions[:, 0, 2]).max() < 1.1e-4
    moved = (scene.positions[2:] - scene.positions[:-2]) / (2 * 86400)
    np.testing.assert_allclose(scene.fields["velocity"].values[1:-1], moved, atol=6e-4 * 0.03 / 86400 + 5e-3 * 3e-7)
    away = np.linalg.norm(scene.positions[:, 0] - scene.positions[:, 2], axis=-1)
    assert ((away > 0.983) & (away < 1.017)).all()
