import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting.errors import DataError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.formats.commonroad import LARGEST, CommonRoadFormat
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.units import Unit
from forecasting.trajectories.validation import validate

COMMONROAD = CommonRoadFormat()
REAL = {
    "USA_US101-4_1_T-1": (22, 100, 1249, 0.1),
    "USA_US101-3_3_T-1": (12, 31, 372, 0.1),
    "USA_Lanker-1_1_T-1": (24, 40, 914, 0.1),
    "USA_Peach-4_8_T-1": (9, 60, 359, 0.1),
    "DEU_A9-3_1_T-1": (9, 30, 229, 0.2),
}
RECTANGLE = "<rectangle><length>4.5</length><width>2.0</width></rectangle>"


def state(tag: str, time: str, position: str, orientation: str = "", velocity: str = "") -> str:
    scalars = {"orientation": orientation, "time": time, "velocity": velocity}
    parts = "".join(f"<{name}>{text}</{name}>" for name, text in scalars.items() if text)
    return f"<{tag}><position>{position}</position>{parts}</{tag}>"


def plain(tag: str, time: int, x: float, angle: float = 0.0, speed: float = 5.0) -> str:
    return state(tag, exact(time), f"<point><x>{x}</x><y>-1.5</y></point>", exact(angle), exact(speed))


def exact(value: float) -> str:
    return f"<exact>{value}</exact>"


def obstacle(number: Any, states: str, version: str = "2020a", kind: str = "car", shape: str = RECTANGLE) -> str:
    tag, role = ("dynamicObstacle", "") if version == "2020a" else ("obstacle", "<role>dynamic</role>")
    return f'<{tag} id="{number}">{role}<type>{kind}</type><shape>{shape}</shape>{states}</{tag}>'


def document(obstacles: str, version: str = "2020a", **root: str) -> str:
    about = {"timeStepSize": "0.1", "benchmarkID": "ZAM_Test-1", "commonRoadVersion": version, **root}
    said = " ".join(f'{name}="{text}"' for name, text in about.items())
    lane = '<lanelet id="1"><leftBound><point><x>0</x><y>0</y></point></leftBound></lanelet>'
    parked = f'<staticObstacle id="9"><type>car</type>{plain("initialState", 0, 7.0)}</staticObstacle>'
    return f'<?xml version="1.0" ?>\n<!-- a > b -->\n<commonRoad {said}>\n{lane}\n{parked}\n{obstacles}\n</commonRoad>\n'


def two(version: str) -> str:
    way = "".join(plain("state", step, step, math.pi / 2) for step in (1, 2, 3))
    first = obstacle(30, plain("initialState", 0, 0.0) + f"<trajectory>{way}</trajectory>", version)
    second = obstacle(7, plain("initialState", 2, 40.0, math.pi, 2.0), version, "truck")
    return document(first + second, version)


TWICE = plain("initialState", 0, 0.0) + f"<trajectory>{plain('state', 0, 1.0)}</trajectory>"


def read(path: Path, text: str, **said: Any) -> Trajectory:
    path.write_text(text, encoding="utf-8")
    (scene,) = COMMONROAD.read(path, ReadOptions(**said))
    return scene


class TestCommonRoad(FormatContract):
    format = "commonroad"
    shapes = ((4, 2, 2),)
    version = "2020a"

    def example(self, folder: Path) -> Path:
        (folder / "road.xml").write_text(two(self.version))
        return folder / "road.xml"


class TestCommonRoad2018(TestCommonRoad):
    version = "2018b"


@pytest.mark.parametrize("version", ["2018b", "2020a"])
def test_example_in_detail(tmp_path: Path, version: str) -> None:
    found = read(tmp_path / "road.xml", two(version))
    assert found.scene == "ZAM_Test-1"
    assert found.time.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert found.node_ids.tolist() == [30, 7]
    assert found.node_types.tolist() == ["car", "truck"]
    assert found.valid.tolist() == [[True, False], [True, False], [True, True], [True, False]]
    assert found.positions[:, 0].tolist() == [[0.0, -1.5], [1.0, -1.5], [2.0, -1.5], [3.0, -1.5]]
    assert (found.unit, found.frame.up) == (Unit("m"), "none")
    assert found.source.options == {"rate": 10.0, "version": version}
    heading, velocity = found.fields["heading"], found.fields["velocity"]
    assert (heading.irreps, heading.unit, velocity.irreps, velocity.unit) == ("1o", "", "1o", "m/s")
    np.testing.assert_allclose(heading.values[:, 0], [[1, 0], [0, 1], [0, 1], [0, 1]], atol=1e-15)
    np.testing.assert_allclose(velocity.values[2], [[0, 5], [-2, 0]], atol=1e-15)
    assert found.fields["length"].values.tolist() == [[4.5], [4.5]]
    assert found.fields["width"].unit == "m"


def test_name_and_namespaces(tmp_path: Path) -> None:
    text = two("2020a").replace("<commonRoad ", '<commonRoad xmlns="urn:road" ').replace(' benchmarkID="ZAM_Test-1"', "")
    assert COMMONROAD.sniff(tmp_path / "road.xml", text.encode()) == 1.0
    assert read(tmp_path / "road.xml", text).scene == "road"


def test_other_shapes_have_no_size(tmp_path: Path) -> None:
    circle = obstacle(8, plain("initialState", 0, 1.0), kind="", shape="<circle><radius>1</radius></circle>")
    found = read(tmp_path / "road.xml", document(obstacle(7, plain("initialState", 0, 0.0)) + circle))
    assert set(found.fields) == {"heading", "velocity"}
    assert found.node_types.tolist() == ["car", "obstacle"]


def test_the_user_may_say_another_unit_and_rate(tmp_path: Path) -> None:
    found = read(tmp_path / "road.xml", two("2020a"), unit="2m", rate=5)
    assert found.dt == pytest.approx(0.2)
    assert found.positions[3, 0].tolist() == [6.0, -3.0]
    np.testing.assert_allclose(found.fields["velocity"].values[2], [[0, 10], [-4, 0]], atol=1e-15)
    assert found.fields["length"].values.tolist() == [[9.0], [9.0]]
    assert "length" not in read(tmp_path / "road.xml", two("2020a"), unit="x=2m,y=1m").fields


def test_uncertain_states(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interval = "<intervalStart>1</intervalStart><intervalEnd>2</intervalEnd>"
    region = "<rectangle><length>1</length><width>1</width><center><x>3</x><y>4</y></center></rectangle>"
    states = (
        state("initialState", exact(0), region, interval, exact(2.0)),
        state("state", exact(1), region + region, exact(0.0), interval),
        state("state", exact(2), '<lanelet ref="1"/>', exact(0.0), exact(2.0)),
    )
    occupied = obstacle(8, plain("initialState", 0, 5.0) + "<occupancySet><occupancy/></occupancySet>")
    way = obstacle(7, f"{states[0]}<trajectory>{''.join(states[1:])}</trajectory>")
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path / "road.xml", document(way + occupied))
    assert found.valid.tolist() == [[True, True], [False, False], [False, False]]
    assert found.positions[0].tolist() == [[3.0, 4.0], [5.0, -1.5]]
    assert np.isnan(found.fields["heading"].values[0, 0]).all()
    assert np.isnan(found.fields["velocity"].values[:2, 0]).all()
    counts = {
        "positions taken at the centre of a region": 1,
        "positions missing": 2,
        "orientations missing": 1,
        "velocities missing": 1,
        "sets of occupancies missing": 1,
    }
    assert found.source.options["uncertain"] == counts
    (record,) = caplog.records
    assert "2 positions missing" in record.getMessage()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(""), "no dynamic obstacle"),
        (document(obstacle(7, plain("initialState", 0, 0.0)) * 2), "two obstacles have the id 7"),
        (document(obstacle("x7", plain("initialState", 0, 0.0))), "the id 'x7', expected a whole number"),
        (document(obstacle(7, "")), "obstacle 7 has no states"),
        (document(obstacle(7, plain("initialState", 0, 0.0)), timeStepSize="0"), "timeStepSize is 0.0"),
        (document(obstacle(7, plain("initialState", 0, 0.0)), timeStepSize="soon"), "timeStepSize of the root is 'soon'"),
        (document(obstacle(7, plain("initialState", 0, 0.0).replace("-1.5", "1_5"))), "y of obstacle 7 at time step 0 is '1_5'"),
        (document(obstacle(7, plain("initialState", 0, 0.0).replace("<y>-1.5</y>", ""))), "y of obstacle 7 .* is missing"),
        (document(obstacle(7, plain("initialState", 0, 0.0, speed=math.pi).replace("3.14", "pi"))), "velocity of obstacle 7"),
        (document(obstacle(7, plain("initialState", 0, 0.0).replace(">0<", ">0.5<"))), "time '0.5', expected a whole number"),
        (document(obstacle(7, state("initialState", "<intervalStart>1</intervalStart>", ""))), "time 'without exact value'"),
        (document(obstacle(7, TWICE)), "repeats node"),
        (document(obstacle(7, plain("initialState", 0, 0.0), shape="<rectangle/>")), "length of obstacle 7 is missing"),
        (two("2020a").replace("commonRoad", "openRoad"), "root element is <openRoad>"),
        ("<!DOCTYPE commonRoad>" + two("2020a").partition("\n")[2], "document type or entity"),
    ],
)  # fmt: skip
def test_faults_are_located(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "road.xml", text)


def test_duplicated_states_can_be_masked(tmp_path: Path) -> None:
    found = read(tmp_path / "road.xml", document(obstacle(7, TWICE)), on_error="mask")
    (finding,) = (one for one in validate(found) if one.check == "duplicate_node")
    assert finding.place == "obstacle 7 at time step 0"


def test_huge_documents_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "road.xml").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(DataError, match="512 MiB"):
        list(COMMONROAD.read(tmp_path / "road.xml", ReadOptions()))


@pytest.mark.parametrize("head", [b"<!--" * 16_000, b"<!---->" * 9_000, b" " * 65_000, b"<?a?>" * 13_000 + b"<x/>"])
def test_sniffing_is_quick_and_never_fooled(tmp_path: Path, head: bytes) -> None:
    assert COMMONROAD.sniff(tmp_path / "a.xml", head) == 0.0


@pytest.mark.parametrize("name", REAL)
def test_real_scenarios(real_data: Path, name: str) -> None:
    cars, steps, states, size = REAL[name]
    path = real_data / "vehicles/commonroad-ngsim" / f"{name}.xml"
    (found,) = COMMONROAD.read(path, ReadOptions())
    assert found.scene == name
    assert found.positions.shape == (steps + 1, cars, 2)
    assert int(found.valid.sum()) == states + cars
    assert set(found.node_types) == {"car"}
    assert found.dt == pytest.approx(size)
    assert {"length", "width"} <= set(found.fields)
    if name.startswith("DEU"):
        assert np.nanmean(found.positions[..., 1]) == pytest.approx(-5860, abs=10)
        assert found.source.options["uncertain"]["positions taken at the centre of a region"] == states + cars
    else:
        moved = np.diff(found.positions, axis=0) / size - found.fields["velocity"].values[:-1]
        assert np.nanmedian(np.linalg.norm(moved, axis=2)) < 0.2
        assert "uncertain" not in found.source.options
    assert not [finding for finding in validate(found) if finding.severity == "error"]


def test_published_number_of_states() -> None:
    assert sum(states for _, _, states, _ in REAL.values()) == 3123
