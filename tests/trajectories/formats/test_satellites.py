import time
from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import validate

FIRST = "       0.00000000    7022.46529266   -1400.08296755       0.03995155  1.893841015  6.405893759  4.534807250\n"
NEXT = (
    "     360.00000000   -7154.03120202   -3783.17682504   -3536.19412294  4.741887409 -4.151817765 -2.093935425    "
    "8635.341424 0.185684   34.26805  347.97998  332.85746  252.46796  273.52819  2000  6 28  0:50:19.733571\n"
)
TEXT = f"5 xx\n{FIRST}{NEXT}4632 xx\n{FIRST}5 xx\n{FIRST}{NEXT}"


def read(folder: Path, text: str, options: ReadOptions | None = None) -> list[Trajectory]:
    (folder / "sat.out").write_text(text)
    return list(FORMATS["satellites"].read(folder / "sat.out", options or ReadOptions()))


class TestSatellites(FormatContract):
    format = "satellites"
    shapes = ((2, 1, 3), (1, 1, 3), (2, 1, 3))

    def example(self, folder: Path) -> Path:
        (folder / "sat.out").write_text(TEXT)
        return folder / "sat.out"


def test_objects(tmp_path: Path) -> None:
    first, second, third = read(tmp_path, TEXT)
    assert [scene.scene for scene in (first, second, third)] == ["5", "4632", "5 (2)"]
    assert [scene.node_ids.tolist() for scene in (first, second, third)] == [[5], [4632], [5]]
    assert first.node_types.tolist() == ["satellite"]
    assert (first.unit.name, first.frame.up) == ("km", "none")
    assert first.time.tolist() == [0.0, 21600.0]
    assert first.positions[1, 0].tolist() == [-7154.03120202, -3783.17682504, -3536.19412294]
    velocity = first.fields["velocity"]
    assert (velocity.irreps, velocity.unit) == ("1o", "km/s")
    assert velocity.values[1, 0].tolist() == [4.741887409, -4.151817765, -2.093935425]


def test_states_are_in_order_and_stand_once(tmp_path: Path) -> None:
    (scene,) = read(tmp_path, f"5 xx\n{FIRST}{FIRST.replace('     0.0', '-5184.0', 1)}{FIRST}")
    assert scene.time.tolist() == [-5184.0 * 60, 0.0]


def test_two_states_of_one_time_are_left_to_the_checks(tmp_path: Path) -> None:
    (scene,) = read(tmp_path, f"5 xx\n{FIRST}{FIRST.replace('7022', '7023')}")
    assert "repeated_time" in {finding.check for finding in validate(scene)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FIRST, "line 1 is '0.00000000"),
        (f"5 xx\n{FIRST}6 xx\n", "line 3: object 6 has no states"),
        (f"5 xx\n6 xx\n{FIRST}", "line 1: object 5 has no states"),
        (f"5 xx\n{FIRST}1 2 3\n", "line 3 has 3 columns, expected 7, or 18 to 20"),
        (f"5 xx\n{FIRST}{NEXT[:150]}", "line 3 has 11 columns"),
        (f"5 xx\n{NEXT.strip()} 1 2 3\n", "line 2 has 21 columns"),
        (f"5 xx\n{FIRST}\n\n1 2\n", "line 5 has 2 columns"),
        (f"5 xx\n{FIRST.replace('7022', 'here')}", r"line 2: '0.00000000 here.*is not seven numbers"),
        (f"5 xx\n{FIRST.replace('7022', '7_022')}", "not seven numbers"),
        ("\n", "holds no rows"),
        (f"5 xx\n{FIRST.replace('7022.46529266', 'n/a')}", "lines 2 to 2: could not convert"),
        ("", "holds no rows"),
    ],
)
def test_damage(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_elements_are_no_trajectory() -> None:
    elements = b"1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753\n" * 2
    assert FORMATS["satellites"].sniff(Path("a.tle"), elements) == 0
    assert FORMATS["satellites"].sniff(Path("a.out"), b"5 xx\n" + elements) == 0


@pytest.mark.parametrize(
    "text", [" " * 1_000_000, "1 " * 500_000, "5 xx\n" * 200_000, "5 xx\n" + "\n" * 1_000_000, "9" * 1_000_000]
)
def test_hostile_texts_are_refused_soon(tmp_path: Path, text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(DataError):
        read(tmp_path, text)
    assert time.perf_counter() - start < 2


def test_real_verification_set(real_data: Path) -> None:
    path = real_data / "others" / "satellites-sgp4" / "tcppver.out"
    scenes = list(FORMATS["satellites"].read(path, ReadOptions()))
    assert len(scenes) == 33
    assert sum(len(scene.time) for scene in scenes) == 667 - 1  # the epoch of 25954 stands twice
    assert [scene.scene for scene in scenes if scene.node_ids[0] == 20413] == ["20413", "20413 (2)"]
    assert all((np.diff(scene.time) > 0).all() for scene in scenes)
    assert [scene.scene for scene in scenes if scene.time[0] < 0 and scene.time[-1] == 0] == ["4632", "9998"]
    assert len(next(scene for scene in scenes if scene.scene == "33334").time) == 1
    far = np.concatenate([np.linalg.norm(scene.positions[:, 0], axis=-1) for scene in scenes])
    assert far.min() > 6300
    elements = path.with_name("SGP4-VER.TLE")
    assert FORMATS["satellites"].sniff(elements, elements.read_bytes()) == 0
