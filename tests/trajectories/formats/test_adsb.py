import gzip
import json
import logging
import time
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.formats._geodesy import LocalFrame
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import validate

T0 = 1571948485000
ROW = {"timestamp": T0, "icao24": "4b18b8", "latitude": 47.5, "longitude": 8.5, "altitude": 1000.0}
SPEEDS = {"groundspeed": 100.0, "track": 90.0, "vertical_rate": 600.0}


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **SPEEDS, **changes}


ROWS = [
    row(),
    row(timestamp=T0 + 1000, latitude=47.501),
    row(timestamp=T0 + 1000, icao24="484506", track=None),
    row(timestamp=T0 + 2000, icao24="484506", altitude=None),
]


def write(path: Path, content: Any) -> Path:
    text = content if isinstance(content, bytes) else json.dumps(content, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def read(folder: Path, content: Any, **options: Any) -> Trajectory:
    (scene,) = FORMATS["adsb"].read(write(folder / "sky.json", content), ReadOptions(**options))
    return scene


def by_columns(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {str(index): item[name] for index, item in enumerate(rows)} for name in rows[0]}


class TestRows(FormatContract):
    format = "adsb"
    shapes = ((3, 2, 3),)

    def example(self, folder: Path) -> Path:
        return write(folder / "sky.json", ROWS)


class TestColumns(FormatContract):
    format = "adsb"
    shapes = ((3, 2, 3),)

    def example(self, folder: Path) -> Path:
        return write(folder / "sky.json", by_columns(ROWS))


class TestGzip(FormatContract):
    format = "adsb"
    shapes = ((3, 2, 3),)

    def example(self, folder: Path) -> Path:
        return write(folder / "sky.json.gz", ROWS)


def test_aircraft(tmp_path: Path) -> None:
    scene = read(tmp_path, ROWS)
    assert (scene.scene, scene.unit.name, scene.frame.up) == ("sky", "m", "+z")
    assert scene.node_ids.tolist() == ["4b18b8", "484506"]
    assert set(scene.node_types) == {"aircraft"}
    assert scene.valid.tolist() == [[True, False], [True, True], [False, False]]
    assert scene.time.tolist() == [T0 / 1000, T0 / 1000 + 1, T0 / 1000 + 2]


def test_positions_go_back_to_degrees_and_feet(tmp_path: Path) -> None:
    scene = read(tmp_path, ROWS)
    reference = LocalFrame(*scene.source.options["reference"])
    assert (reference.latitude, reference.height) == (pytest.approx(47.5, abs=1e-3), 0)
    latitude, longitude, height = reference.to_geodetic(scene.positions[1, 0])
    assert (latitude, longitude) == (pytest.approx(47.501, abs=1e-11), pytest.approx(8.5, abs=1e-11))
    assert height / 0.3048 == pytest.approx(1000.0, abs=1e-6)
    assert scene.positions[1, 0, 1] - scene.positions[0, 0, 1] == pytest.approx(111.2, abs=0.1)


@given(st.floats(-89, 89), st.floats(-180, 180), st.floats(0, 359), st.floats(0.5, 600), st.floats(-3000, 3000))
def test_velocity_is_the_rate_of_the_position(
    tmp_path_factory: pytest.TempPathFactory, latitude: float, longitude: float, track: float, knots: float, climb: float
) -> None:
    start = row(latitude=latitude, longitude=longitude, groundspeed=knots, track=track, vertical_rate=climb)
    own = np.array([np.sin(np.radians(track)), np.cos(np.radians(track)), 0]) * knots * 1852 / 3600
    own[2] = climb * 0.3048 / 60
    here = LocalFrame(latitude, longitude, 1000 * 0.3048)
    there = here.to_geodetic(own * 0.01)
    moved = row(timestamp=T0 + 10, latitude=there[0], longitude=there[1], altitude=there[2] / 0.3048)
    far = row(timestamp=T0 + 20, icao24="far", latitude=min(latitude + 1, 89.5))
    scene = read(tmp_path_factory.mktemp("law"), [start, moved, far])
    rate = (scene.positions[1, 0] - scene.positions[0, 0]) / 0.01
    np.testing.assert_allclose(scene.fields["velocity"].values[0, 0], rate, atol=2e-5)


def test_speeds_that_are_missing(tmp_path: Path) -> None:
    scene = read(tmp_path, ROWS)
    velocity = scene.fields["velocity"]
    assert (velocity.irreps, velocity.unit) == ("1o", "m/s")
    assert np.isnan(velocity.values[1, 1]).all()
    assert np.isfinite(velocity.values[0, 0]).all()
    assert "velocity" not in read(tmp_path, [ROW]).fields


def test_rows_without_altitude_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read(tmp_path, ROWS)
    assert "1 of 4 rows have no altitude" in caplog.text


@pytest.mark.parametrize(
    "text", ["2019-10-24T20:21:25", "2019-10-24 20:21:25.000", "2019-10-24T20:21:25Z", "2019-10-24T22:21:25.000000+02:00"]
)
def test_times_as_text(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, [row(timestamp=text)]).time.tolist() == [T0 / 1000]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timestamp": "2019-10-24T25:21:25"}, "row 2: timestamp is '2019-10-24T25:21:25'"),
        ({"timestamp": None}, "row 2: timestamp is None"),
        ({"timestamp": True}, "row 2: timestamp is True"),
        ({"timestamp": [1]}, "row 2: timestamp is a list"),
        ({"timestamp": float("inf")}, "row 2: timestamp is inf"),
        ({"timestamp": float("nan")}, "row 2 has no finite time"),
        ({"timestamp": 10**400}, "row 2: timestamp"),
        ({"icao24": None}, "row 2: icao24 is None"),
        ({"icao24": ""}, "row 2: icao24 is ''"),
        ({"latitude": 90.1}, "row 2: latitude is 90.1, expected a number from -90 to 90"),
        ({"longitude": "east"}, "row 2: longitude is 'east'"),
        ({"altitude": float("inf")}, "row 2: altitude is inf"),
        ({"altitude": {}}, "row 2: altitude is a dict"),
        ({"track": 10**400}, "row 2: track"),
    ],
)
def test_impossible_cells(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, [row(), row(**changes)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no rows"),
        ({}, "damaged|different rows"),
        ([{"timestamp": 1}], "row 1 has no altitude, icao24, latitude, longitude;"),
        ([row(altitude=None)], "no row has a latitude, a longitude and an altitude"),
        ([row(), 5], "row 2 begins with '5'"),
        ({**by_columns(ROWS), "track": {"0": 1}}, "different rows"),
        ({**by_columns(ROWS), "track": {"a": 1, "b": 1, "c": 1, "d": 1}}, "number their rows differently"),
        ({"columns": ["timestamp"], "data": [[1]]}, "lists or deeper"),
        (b"[" + json.dumps(row()).encode(), "row 1 is damaged JSON, cut"),
        (b"[" + json.dumps(row()).encode() * 2 + b"]", "row 1 is damaged"),
        (b"[" + json.dumps(row()).encode() + b"] 1", "more text follows"),
        (b'[{"timestamp": 1, "icao24": "\xff"}]', "not UTF-8"),
    ],
)
def test_damaged_tables(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_blanks_between_rows(tmp_path: Path) -> None:
    text = "\ufeff \n[ \n" + ",\n\n".join(json.dumps(item, indent=2) for item in ROWS) + "\n] \n"
    np.testing.assert_array_equal(read(tmp_path, text.encode()).positions, read(tmp_path, ROWS).positions)


def test_many_rows_over_several_chunks(tmp_path: Path) -> None:
    rows = [row(timestamp=T0 + index, latitude=40 + index / 20_000, note="},{" * 9) for index in range(20_000)]
    by_row = read(tmp_path, rows)
    assert by_row.positions.shape == (20_000, 1, 3)
    plain = [{name: item[name] for name in row()} for item in rows]
    np.testing.assert_array_equal(read(tmp_path, by_columns(plain)).positions, by_row.positions)


@pytest.mark.parametrize(("on_error", "kept"), [("mask", [1, 3]), ("drop", [1, 3])])
def test_backward_times(tmp_path: Path, on_error: str, kept: list[int], caplog: pytest.LogCaptureFixture) -> None:
    rows = [row(timestamp=T0 + 1000 * second) for second in (1, 0, 3, 2)]
    rows.insert(1, row(timestamp=T0 + 9000, icao24="other"))
    with pytest.raises(DataError, match=r"row 3 of aircraft 4b18b8 is earlier .*backward_time, 2 such rows"):
        read(tmp_path, rows)
    with caplog.at_level(logging.WARNING):
        scene = read(tmp_path, rows, on_error=on_error)
    assert [scene.time[frame] - T0 / 1000 for frame in np.flatnonzero(scene.valid[:, 0])] == kept
    assert "row 3 of 4b18b8" in caplog.text


def test_repeated_times(tmp_path: Path) -> None:
    rows = [
        row(timestamp=T0 + 5000),
        row(),
        row(icao24="b"),
        row(icao24="b", timestamp=T0 + 1),
        row(icao24="b", timestamp=T0 + 1),
    ]
    with pytest.raises(DataError, match=r"row 5 repeats node number 1 of frame number 1 \(check duplicate_node"):
        read(tmp_path, rows[2:] and [rows[1], rows[2], rows[1] | {"icao24": "c"}, rows[3], rows[4]])
    scene = read(tmp_path, rows, on_error="mask")
    (finding,) = (finding for finding in validate(scene) if finding.check == "duplicate_node")
    assert (finding.node, finding.place) == ("b", "row 5")


def test_altitude_outliers_are_passed_on_and_found(tmp_path: Path) -> None:
    rows = [row(timestamp=T0 + 1000 * second, latitude=47.5 + 1e-3 * second) for second in range(50)]
    rows[20]["altitude"] = 107_700.0
    rows[30]["altitude"] = -1.0
    scene = read(tmp_path, rows)
    (finding,) = (finding for finding in validate(scene) if finding.check == "jump")
    assert 20 in finding.frames
    height = LocalFrame(*scene.source.options["reference"]).to_geodetic(scene.positions[:, 0])[:, 2] / 0.3048
    np.testing.assert_allclose(height[[20, 30]], [107_700, -1], atol=1e-6)


def test_coordinates_are_metres(tmp_path: Path) -> None:
    assert read(tmp_path, ROWS, unit="m").unit.name == "m"
    with pytest.raises(UsageError, match="computed in m"):
        read(tmp_path, ROWS, unit="ft")
    assert read(tmp_path, ROWS, up="none", node_type="glider").node_types[0] == "glider"


BOMBS = {
    "packed rows": gzip.compress(b"[" + b"{}," * 20_000_000, 1),
    "packed blanks": gzip.compress(b"[" + b" " * 150_000_000, 1),
    "packed columns": gzip.compress(b'{"icao24":{' + b'"1":{},' * 10_000_000, 1),
    "nested lists": b"[" * 1_000_000,
    "nested objects": b'[{"a":' + b'{"a":' * 200_000,
    "nested columns": b'{"a":' * 200_000,
    "deep cell": b'[{"icao24":' + b"[" * 60_000 + b"]" * 3000 + b"}]",
    "long text": b'[{"icao24":"' + b"a" * 1_000_000,
    "long number": b'[{"icao24":' + b"1" * 50_000 + b"}]",
    "sparse": json.dumps([row(timestamp=index, icao24=str(index)) for index in range(9000)]).encode(),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_soon(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "bomb.json"
    path.write_bytes(BOMBS[bomb])
    start = time.perf_counter()
    with pytest.raises(DataError) as caught:
        list(FORMATS["adsb"].read(path, ReadOptions()))
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - start < 2


def test_sniffing_bombs_is_cheap(tmp_path: Path) -> None:
    for content in BOMBS.values():
        start = time.perf_counter()
        FORMATS["adsb"].sniff(tmp_path / "a.json", content[: 1 << 16])
        assert time.perf_counter() - start < 0.2


COUNTS = {
    "belevingsvlucht": (16005, 1, 0, True),
    "zurich_airport": (17132, 10, 2296, True),
    "noisy_time_issue": (8294, 1, 0, True),
    "inflight_refuelling": (10397, 1, 0, False),
    "franconia": (2697, 1, 3, True),
}


@pytest.mark.parametrize("name", COUNTS)
def test_real_flights(real_data: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    rows, aircraft, backward, moving = COUNTS[name]
    path = real_data / "others" / "aircraft-adsb" / f"{name}.json.gz"
    with caplog.at_level(logging.WARNING):
        (scene,) = FORMATS["adsb"].read(path, ReadOptions(on_error="mask"))
    assert len(scene.node_ids) == aircraft
    assert ("velocity" in scene.fields) is moving
    without = {"zurich_airport": 6151, "inflight_refuelling": 1}.get(name, 0)
    duplicates = len(scene.source.options.get("duplicate_rows", ()))
    assert rows - without - backward - 2 * duplicates <= np.count_nonzero(scene.valid) <= rows - without
    assert (f"{backward} such rows" in caplog.text) is (backward > 0)
    jumps = {finding.check for finding in validate(scene)} & {"jump"}
    assert jumps == ({"jump"} if name in ("zurich_airport", "inflight_refuelling", "noisy_time_issue") else set())
    if backward:
        with pytest.raises(DataError, match="backward_time"):
            list(FORMATS["adsb"].read(path, ReadOptions()))


def test_real_velocities_are_those_of_the_positions(real_data: Path) -> None:
    (scene,) = FORMATS["adsb"].read(real_data / "others" / "aircraft-adsb" / "belevingsvlucht.json.gz", ReadOptions())
    half = 30
    spans = np.flatnonzero(scene.time[2 * half :] - scene.time[: -2 * half] == 2 * half)
    moved = scene.positions[spans + 2 * half, 0] - scene.positions[spans, 0]
    rate = scene.fields["velocity"].values[:, 0]
    mean = np.stack([rate[start : start + 2 * half].mean(axis=0) for start in spans])
    apart = np.abs(moved / (2 * half) - mean)
    assert len(spans) > 1000
    assert (np.median(apart, axis=0) < (1.5, 1.5, 0.2)).all()
