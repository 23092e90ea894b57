import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from forecasting.errors import DataError, UsageError
from forecasting.inference.forecast import Forecast
from forecasting.testing.formats import FINITE, NAMES, FormatContract, assert_same_trajectory
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.formats.trajnet import TrajnetFormat
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory
from forecasting.trajectories.units import Unit

TRAJNET = TrajnetFormat()
SCENE = {"id": 0, "p": 3, "s": 240, "e": 260, "fps": 2.5, "tag": [4, [1]]}
TRACKS = [(240, 3, 5.5, 1.25), (250, 3, 5.0, 2.0), (260, 3, 4.5, 2.5), (250, 4, 1.0, -1.0), (260, 4, 1e-3, 0.1)]


def track(f: int, p: int, x: float | None, y: float | None, **more: Any) -> str:
    return json.dumps({"track": {"f": f, "p": p, "x": x, "y": y, **more}}) + "\n"


def scene(**changes: Any) -> str:
    return json.dumps({"scene": {**SCENE, **changes}}) + "\n"


TEXT = scene() + "".join(track(*row) for row in TRACKS)


def read(path: Path, text: str, **said: Any) -> list[Trajectory]:
    path.write_text(text, encoding="utf-8")
    return list(TRAJNET.read(path, ReadOptions(**said)))


@st.composite
def walks(draw: st.DrawFn) -> list[Trajectory]:
    """Scenes that the format can hold, gaps in frames and people never seen included."""
    return [draw(_walk(name)) for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))]


@st.composite
def _walk(draw: st.DrawFn, name: str) -> Trajectory:
    steps, nodes = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    frames = draw(st.integers(-(10**6), 10**6)) + np.cumsum(draw(npst.arrays(np.int64, steps, elements=st.integers(1, 60))))
    rate = draw(st.sampled_from((25.0, 2.5, 10.0, 29.97, 119.88, 1 / 3)))
    hint = {"rate": rate} if steps == 1 or draw(st.booleans()) else {}
    valid = draw(npst.arrays(np.bool_, (steps, nodes)))
    positions = draw(npst.arrays(np.float64, (steps, nodes, 2), elements=FINITE))
    ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=nodes, max_size=nodes, unique=True))
    return Trajectory(
        scene=name,
        time=frames / rate,
        positions=np.where(valid[..., None], positions, np.nan),
        valid=valid,
        node_ids=np.array(ids),
        node_types=np.full(nodes, draw(st.sampled_from(("pedestrian", "car", "é, \"'")))),
        unit=Unit("m"),
        source=Source(options=hint),
        partition=draw(st.sampled_from(("", "train", "test"))),
    )


class TestTrajnet(FormatContract):
    format = "trajnet"
    shapes = ((3, 2, 2),)
    kin = ("track.ndjson",)
    storable = walks()

    def example(self, folder: Path) -> Path:
        (folder / "yard.ndjson").write_text(TEXT)
        return folder / "yard.ndjson"


def test_example_in_detail(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "yard.ndjson", TEXT)
    assert found.scene == "yard"
    assert found.time.tolist() == [240 / 25, 250 / 25, 260 / 25]
    assert (found.unit, found.frame) == (Unit("m"), Frame())
    assert (found.node_ids.tolist(), set(found.node_types)) == ([3, 4], {"pedestrian"})
    assert found.valid.tolist() == [[True, False], [True, True], [True, True]]
    assert found.positions[2].tolist() == [[4.5, 2.5], [1e-3, 0.1]]
    assert found.source.options == {"rate": 25.0, "scenes": [SCENE]}


@pytest.mark.parametrize(
    ("frames", "rate"),
    [
        ([(0, 1), (10, 1), (20, 1)], 25),
        ([(0, 1), (10, 1), (5, 2), (25, 2)], 25),
        ([(20, 1), (0, 1), (50, 1)], 25),
        ([(0, 1), (1, 1)], 2.5),
        ([(0, 1), (6, 2)], 15),
        ([(7, 1)], 2.5),
    ],
)
def test_clock_by_counting(tmp_path: Path, frames: list[tuple[int, int]], rate: float) -> None:
    text = scene() + "".join(track(f, p, 1.0, 2.0) for f, p in frames)
    (found,) = read(tmp_path / "a.ndjson", text)
    assert found.time.tolist() == [f / rate for f in sorted(f for f, _ in frames)]


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=5), st.integers(1, 40))
def test_counting_gives_the_rate_of_the_rows(starts: list[int], step: int) -> None:
    text = scene(fps=2.5) + "".join(track(f + k * step, p, 0, 0) for p, f in enumerate(starts) for k in range(3))
    with TemporaryDirectory() as folder:
        (found,) = read(Path(folder) / "a.ndjson", text)
    assert found.source.options["rate"] == 2.5 * step


def test_rate_of_the_user_counts_frames(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "a.ndjson", TEXT, rate=30)
    assert found.time.tolist() == [8.0, 250 / 30, 260 / 30]
    with pytest.raises(UsageError, match="--rate"):
        read(tmp_path / "a.ndjson", TEXT.partition("\n")[2])
    assert len(read(tmp_path / "a.ndjson", TEXT.partition("\n")[2], rate=25)) == 1


def test_predictions(tmp_path: Path) -> None:
    rows = [(0, 0, 3), (0, 1, 3), (7, 0, 5), (0, 0, 4), (7, 1, 5)]
    lines = [track(10 * step, p, step, scene, prediction_number=k, scene_id=scene) for scene, k, p in rows for step in (1, 2)]
    found = read(tmp_path / "out.ndjson", scene() + scene(id=7, p=5) + "".join(lines))
    assert [item.scene for item in found] == [f"out/scene-{s}/prediction-{k}" for s, k in ((0, 0), (0, 1), (7, 0), (7, 1))]
    assert [item.node_ids.tolist() for item in found] == [[3, 4], [3], [5], [5]]
    assert all(item.dt == pytest.approx(0.4) for item in found)
    assert [item.source.options["scenes"][0]["id"] for item in found] == [0, 0, 7, 7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT + '{"track": {"f": 270, "p"', "line 7 is no JSON"),
        (TEXT + track(270, 3, 1.0, 2.0) + "{}\n", "line 8 is neither a scene nor a track"),
        (TEXT + '{"pos": {"f": 1}}\n', "line 7 is neither a scene nor a track"),
        (TEXT + '\n{"track": {"f": 270, "p": 3, "x": 1.0}}\n', "line 8 has y None, expected a number"),
        (TEXT + '{"track": {"f": 270.5, "p": 3, "x": 1, "y": 1}}\n', "line 7 has f 270.5, expected a whole number"),
        (TEXT + '{"track": {"p": 3, "x": 1, "y": 1}}\n', "line 7 has f None, expected a whole number"),
        (TEXT + '{"track": {"f": 270, "p": "a", "x": 1, "y": 1}}\n', "line 7 has p a, expected a whole number"),
        (TEXT + "\n" + track(250, 4, 1.0, 2.0), "line 8 repeats node"),
        (TEXT + track(2**60, 4, 1.0, 2.0), "beyond exact numbers"),
        (TEXT + '{"scene": {"id": 1}}\n', "line 7 has p None, expected a whole number"),
        (TEXT + scene(id=1, fps=25), "say 25 and 250 frames/s"),
        (scene(fps=0) + track(1, 1, 1.0, 1.0), "fps 0, expected a positive number"),
        (scene(fps="2.5") + track(1, 1, 1.0, 1.0), "fps 2.5, expected a positive number"),
        (scene() + track(1, 1, 1.0, 1.0, scene_id=4), "scene_id 4, but no scene row"),
        (scene() + scene(p=4) + track(1, 1, 1.0, 1.0, scene_id=0), "two scene rows have one id"),
        (scene(), "no tracks"),
    ],
)
def test_faults_are_located(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.ndjson", text)


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": ' + b"[" * 1_000_000,
        b'{"scene": ' + b"[" * 1_000_000,
        b'{"track": {"f": ' + b"9" * 1_000_000 + b', "p": 1, "x": 1, "y": 1}}',
        b'{"scene": {"id": ' + b"9" * 1_000_000,
        b'{"track": {"f": 1, "p": 1, "x": 1, "y": 1}}' * 20_000,
        b"\n" * 1_000_000,
    ],
)
def test_hostile_lines(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.ndjson").write_bytes(TEXT.encode() + line + b"\n" + b"}\n")
    with pytest.raises(DataError):
        list(TRAJNET.read(tmp_path / "a.ndjson", ReadOptions()))


def test_many_people_in_many_frames_do_not_exhaust_memory(tmp_path: Path) -> None:
    text = scene() + "".join(track(index, index, 1.0, 2.0) for index in range(12_000))
    with pytest.raises(DataError, match="12000 frames x 12000 nodes"):
        read(tmp_path / "a.ndjson", text)


def test_other_readers_find_plain_rows(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "yard.ndjson", TEXT)
    TRAJNET.write(tmp_path / "again.ndjson", [found])
    lines = [json.loads(line) for line in (tmp_path / "again.ndjson").read_text().splitlines()]
    assert lines[0]["scene"] == {**SCENE, "name": "yard", "rate": 25.0}
    rows = [tuple(line["track"][key] for key in ("f", "p", "x", "y")) for line in lines[1:]]
    assert sorted(rows) == sorted(TRACKS)
    (again,) = TRAJNET.read(tmp_path / "again.ndjson", ReadOptions())
    assert_same_trajectory(again, found)


def test_scene_rows_of_several_files_keep_apart(tmp_path: Path) -> None:
    two = [replace(read(tmp_path / f"{name}.ndjson", TEXT)[0], scene=name) for name in ("yard", "hall")]
    TRAJNET.write(tmp_path / "both.ndjson", two)
    back = list(TRAJNET.read(tmp_path / "both.ndjson", ReadOptions()))
    assert [item.scene for item in back] == ["yard", "hall"]
    assert [item.source.options["scenes"][0]["id"] for item in back] == [0, 1]
    for found, expected in zip(back, two, strict=True):
        assert_same_trajectory(found, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": Unit("cm")}, "metres only.*--unit"),
        ({"unit": Unit("m", (2.0, 2.0))}, "metres only.*--unit"),
        ({"node_ids": np.array(["a", "b"])}, "whole numbers only"),
        ({"node_types": np.array(["car", "bus"])}, r"its node types \(bus, car\)"),
        ({"fields": {"mood": Field(np.zeros((2, 1)))}}, r"its fields \(mood\)"),
        ({"edges": np.array([[0, 1]]), "edge_types": np.array(["pair"])}, "its 1 connections"),
        ({"frame": Frame("+y")}, r"its frame \(up \+y"),
        ({"time": np.array([0.0, 0.1, 0.1 + np.pi])}, "even grid"),
        ({"positions": np.full((3, 2, 2), np.inf), "valid": np.ones((3, 2), dtype=bool)}, "infinite"),
        ({"positions": np.zeros((3, 2, 3)), "fields": {}}, "3 coordinates"),
    ],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, changes: Mapping[str, Any], message: str) -> None:
    (found,) = read(tmp_path / "yard.ndjson", TEXT)
    with pytest.raises(UsageError, match=message):
        TRAJNET.write(tmp_path / "out.ndjson", [replace(found, **changes)])
    assert not (tmp_path / "out.ndjson").exists()


def test_nothing_and_the_same_twice_are_refused(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "yard.ndjson", TEXT)
    for what, message in (([], "no scenes"), ([found, found], "two scenes are called 'yard'")):
        with pytest.raises(UsageError, match=message):
            TRAJNET.write(tmp_path / "out.ndjson", what)
    with pytest.raises(UsageError, match="no forecasts"):
        TRAJNET.write_forecasts(tmp_path / "out.ndjson", [])


def forecast(of: Trajectory, leads: tuple[int, ...] = (1, 2, 3), **changes: Any) -> Forecast:
    positions = np.random.default_rng(0).normal(size=(len(of.node_ids), 2, len(leads), of.dim))
    plain = Forecast(
        scene=of.scene,
        anchor_time=float(of.time[-1]),
        time=of.time[-1] + np.array(leads) * of.dt,
        positions=positions,
        weights=np.array([0.25, 0.75]),
        anchor=of.positions[-1],
        node_ids=of.node_ids,
        node_types=of.node_types,
        unit=of.unit,
        frame=of.frame,
        source=of.source,
    )
    return replace(plain, **changes)


@pytest.mark.parametrize(("end", "number", "primary"), [(290, 0, 4), (300, 1, 3)])
def test_forecasts_go_on_from_the_file(tmp_path: Path, end: int, number: int, primary: int) -> None:
    (seen,) = read(tmp_path / "yard.ndjson", scene(p=4, e=end) + TEXT.partition("\n")[2])
    future = forecast(seen)
    assert TRAJNET.write_forecasts(tmp_path / "out.ndjson", [future]) == {"forecasts": 1, "rows": 12}
    back = list(TRAJNET.read(tmp_path / "out.ndjson", ReadOptions()))
    assert [item.scene for item in back] == [f"out/scene-{number}/prediction-{k}" for k in (0, 1)]
    for item, hypothesis in zip(back, (1, 0), strict=True):
        assert item.time.tolist() == [270 / 25, 280 / 25, 290 / 25]
        assert item.node_ids.tolist() == [3, 4]
        np.testing.assert_array_equal(item.positions, future.positions[:, hypothesis].swapaxes(0, 1))
        (row,) = item.source.options["scenes"]
        assert (row["p"], row["fps"], row["name"]) == (primary, 2.5, "yard")


def test_one_step_ahead_keeps_its_time(tmp_path: Path) -> None:
    (seen,) = read(tmp_path / "yard.ndjson", TEXT)
    TRAJNET.write_forecasts(tmp_path / "out.ndjson", [forecast(seen, leads=(1,))])
    assert [item.time.tolist() for item in TRAJNET.read(tmp_path / "out.ndjson", ReadOptions())] == [[270 / 25]] * 2


def test_forecasts_of_other_files(tmp_path: Path) -> None:
    (seen,) = read(tmp_path / "yard.ndjson", TEXT)
    future = forecast(replace(seen, time=np.array([0.0, 0.1, 0.2]), source=Source()))
    future.positions[1, :, 2] = np.nan
    counts = TRAJNET.write_forecasts(tmp_path / "out.ndjson", iter([future, replace(future, scene="later")]))
    assert counts == {"forecasts": 2, "rows": 20}
    back = list(TRAJNET.read(tmp_path / "out.ndjson", ReadOptions()))
    assert len(back) == 4
    np.testing.assert_allclose(back[0].time, [0.3, 0.4, 0.5])
    assert not back[0].valid[2, 1]
    assert [item.source.options["scenes"][0]["name"] for item in back] == ["yard"] * 2 + ["later"] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": Unit("px")}, "metres only"),
        ({"node_ids": np.array(["a", "b"])}, "whole numbers only"),
        ({"time": np.array([10.81, 11.2, 11.6])}, "no whole frames"),
        ({"positions": np.full((2, 2, 3, 2), np.inf)}, "infinite"),
    ],
)
def test_forecasts_that_do_not_fit(tmp_path: Path, changes: Mapping[str, Any], message: str) -> None:
    (seen,) = read(tmp_path / "yard.ndjson", TEXT)
    with pytest.raises(UsageError, match=message):
        TRAJNET.write_forecasts(tmp_path / "out.ndjson", [forecast(seen, **changes)])


def test_real_sample(real_data: Path) -> None:
    folder = real_data / "pedestrians/trajnetpp-sample"
    (seen,) = TRAJNET.read(folder / "Test.ndjson", ReadOptions())
    assert seen.positions.shape == (9, 2, 2)
    assert seen.valid.all()
    assert seen.dt == pytest.approx(0.4)
    futures = list(TRAJNET.read(folder / "Predictions.ndjson", ReadOptions()))
    assert [item.positions.shape for item in futures] == [(12, 2, 2)] * 2
    assert all(item.valid.all() and item.time[0] - seen.time[-1] == pytest.approx(0.4) for item in futures)
    assert len(seen.source.options["scenes"]) == 1
