from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.trajectory import Trajectory

NOTHING = ReadOptions()
ETH = "780\t1.0\t8.46\t3.59\n790\t1.0\t9.57\t3.79\n790\t2.0\t13.64\t5.8\n"
HEADED = """\
# PeTrack project: door.pet
# framerate: 16 fps
# id frame x/cm y/cm z/cm
1 94 -554.5 309.4 176
1 95 -553.5 309.4 176
2 95 -100.0 300.0 152.5
"""
BARE = "1 83 106.0 791.4 160.6\n1 84 104.8 784.8 160.6\n"


def read(format: str, path: Path, text: str, options: ReadOptions = NOTHING) -> Trajectory:
    path.write_text(text, encoding="utf-8")
    (scene,) = FORMATS[format].read(path, options)
    return scene


class TextContract(FormatContract):
    text: str

    def example(self, folder: Path) -> Path:
        (folder / "walk.txt").write_text(self.text)
        return folder / "walk.txt"

    def truncated(self, content: bytes) -> bytes:
        return content[: content.rstrip().rfind(b"\n") + 2]


class TestEthUcy(TextContract):
    format = "eth_ucy"
    text = ETH
    shapes = ((2, 2, 2),)


class TestJuelich(TextContract):
    format = "juelich"
    text = HEADED
    shapes = ((2, 2, 2),)


class TestJuelichWithoutHeader(TextContract):
    format = "juelich"
    text = BARE
    options = ReadOptions(unit="cm", rate=16)
    shapes = ((2, 1, 2),)


@pytest.mark.parametrize("blank", ["\t", " ", "   ", " \t "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "  \n"])
def test_any_blanks(tmp_path: Path, blank: str, end: str) -> None:
    text = "".join(blank + line.replace("\t", blank) + end for line in ETH.splitlines())
    scene = read("eth_ucy", tmp_path / "zara.txt", text)
    assert scene.scene == "zara"
    assert scene.node_ids.tolist() == [1, 2]
    assert scene.node_ids.dtype == np.int64
    assert scene.valid.tolist() == [[True, False], [True, True]]
    assert scene.positions[1].tolist() == [[9.57, 3.79], [13.64, 5.8]]
    assert scene.unit.name == "m"
    assert scene.dt == pytest.approx(0.4)
    assert scene.node_types.tolist() == ["pedestrian"] * 2


def test_rate_can_be_overridden(tmp_path: Path) -> None:
    assert read("eth_ucy", tmp_path / "a.txt", ETH, ReadOptions(rate=15)).dt == pytest.approx(10 / 15)


def test_header_says_unit_and_rate(tmp_path: Path) -> None:
    scene = read("juelich", tmp_path / "door.txt", HEADED)
    assert scene.unit.name == "cm"
    assert scene.dt == pytest.approx(1 / 16)
    height = scene.fields["height"]
    assert (height.irreps, height.unit, height.per_frame) == ("0e", "cm", True)
    assert height.values[1, :, 0].tolist() == [176.0, 152.5]
    assert np.isnan(height.values[0, 1, 0])


def test_without_header_they_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--unit"):
        read("juelich", tmp_path / "a.txt", BARE, ReadOptions(rate=16))
    with pytest.raises(UsageError, match="--rate"):
        read("juelich", tmp_path / "a.txt", BARE, ReadOptions(unit="cm"))


def test_four_columns_with_a_header(tmp_path: Path) -> None:
    scene = read("juelich", tmp_path / "a.txt", "# framerate: 10\n# id frame x/m y/m\n1 0 2 3\n1 1 2 3\n")
    assert scene.positions[0, 0].tolist() == [2.0, 3.0]
    assert not scene.fields


@pytest.mark.parametrize(
    ("format", "text", "message"),
    [
        ("eth_ucy", ETH + "800 1.0 3.0\n", "line 4 has 3 columns, expected 4"),
        ("eth_ucy", ETH + "800 1.0 3.0 four\n", "line 4, column 4: 'four' is not a number"),
        ("eth_ucy", ETH + "790 2.0 3.0 4.0\n", "line 4 repeats node"),
        ("juelich", HEADED + "2 96 1 2\n", "line 7 has 4 columns, expected 5"),
        ("juelich", HEADED.replace("16 fps", "1.6.0 fps"), "frame rate '1.6.0'"),
    ],
)
def test_faults_are_located(tmp_path: Path, format: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(format, tmp_path / "a.txt", text)
