from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.inference.forecast import Forecast
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.formats.argoverse2 import Argoverse2Format
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.units import Unit
from forecasting.trajectories.validation import validate

ARGOVERSE = Argoverse2Format()
ABOUT = {
    "start_timestamp": 3.15986559459579e17,
    "end_timestamp": 3.15986559759579e17,
    "num_timestamps": 4,
    "focal_track_id": "139",
    "city": "austin",
    "map_id": 74806,
    "slice_id": "7bef",
}
TRACKS = {"138": ("vehicle", (0, 1), 0), "139": ("pedestrian", (0, 1, 2, 3), 3), "AV": ("vehicle", (1, 2, 3), 1)}


def columns(scenario: str = "0a1e", steps: range = range(4)) -> dict[str, list[Any]]:
    rows = [(name, *about) for name, about in TRACKS.items()]
    table = [
        {
            "observed": step < 2,
            "track_id": name,
            "object_type": kind,
            "object_category": category,
            "timestep": step,
            "position_x": -400.0 + step,
            "position_y": 1350.0 + 10 * category,
            "heading": np.pi / 2,
            "velocity_x": 0.5,
            "velocity_y": float(category),
            "scenario_id": scenario,
            **ABOUT,
        }
        for name, kind, seen, category in rows
        for step in seen
        if step in steps
    ]
    return {name: [row[name] for row in table] for name in table[0]}


def save(path: Path, content: Mapping[str, Any]) -> Path:
    pq.write_table(pa.table(dict(content)), path)
    return path


def read(path: Path, content: Mapping[str, Any], **said: Any) -> list[Trajectory]:
    return list(ARGOVERSE.read(save(path, content), ReadOptions(**said)))


class TestArgoverse2(FormatContract):
    format = "argoverse2"
    shapes = ((4, 3, 2),)

    def example(self, folder: Path) -> Path:
        return save(folder / "scenario_0a1e.parquet", columns())


def test_example_in_detail(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "a.parquet", columns())
    assert found.scene == "0a1e"
    assert found.time.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert found.node_ids.tolist() == ["138", "139", "AV"]
    assert found.node_types.tolist() == ["vehicle", "pedestrian", "vehicle"]
    assert found.valid.tolist() == [[True, True, False], [True, True, True], [False, True, True], [False, True, True]]
    assert found.positions[3, 1].tolist() == [-397.0, 1380.0]
    assert (found.unit, found.frame.up) == (Unit("m"), "none")
    assert found.source.options == {"rate": 10.0, **ABOUT}
    kinds = {name: (item.irreps, item.unit, item.per_frame) for name, item in found.fields.items()}
    assert kinds == {
        "velocity": ("1o", "m/s", True),
        "heading": ("1o", "", True),
        "category": ("0e", "", False),
        "observed": ("0e", "", True),
    }
    np.testing.assert_allclose(found.fields["heading"].values[found.valid], [[0.0, 1.0]] * 9, atol=1e-15)
    assert found.fields["velocity"].values[1, 2].tolist() == [0.5, 1.0]
    assert found.fields["category"].values[:, 0].tolist() == [0.0, 3.0, 1.0]
    assert found.fields["observed"].values[:, 1, 0].tolist() == [1.0, 1.0, 0.0, 0.0]
    for item in found.fields.values():
        assert not item.per_frame or np.isnan(item.values[~found.valid]).all()


def test_integer_track_ids_stay_texts(tmp_path: Path) -> None:
    content = columns()
    content["track_id"] = [name.replace("AV", "140") for name in content["track_id"]]
    (found,) = read(tmp_path / "a.parquet", content)
    assert found.node_ids.tolist() == ["138", "139", "140"]


def test_several_scenarios_in_one_file(tmp_path: Path) -> None:
    first, second = columns("a"), columns("b", range(2))
    found = read(tmp_path / "a.parquet", {name: first[name] + second[name] for name in first})
    assert [(item.scene, len(item.time)) for item in found] == [("a", 4), ("b", 2)]


def test_test_set_ends_with_the_past(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "a.parquet", columns(steps=range(2)))
    assert found.positions.shape == (2, 3, 2)
    assert (found.fields["observed"].values[found.valid] == 1).all()


def test_the_user_may_say_another_unit_and_rate(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "a.parquet", columns(), unit="2m", rate=20)
    assert found.dt == pytest.approx(0.05)
    assert found.positions[3, 1].tolist() == [-794.0, 2760.0]
    assert found.fields["velocity"].values[1, 2].tolist() == [1.0, 2.0]


def test_absent_extras(tmp_path: Path) -> None:
    content = {name: values for name, values in columns().items() if name not in ("map_id", "slice_id", "start_timestamp")}
    (found,) = read(tmp_path / "a.parquet", content)
    assert "map_id" not in found.source.options


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heading": None}, "no column heading"),
        ({"position_x": ["1"] * 9}, "column 'position_x' holds string, expected numbers"),
        ({"track_id": [1] * 9}, "column 'track_id' holds int64, expected texts"),
        ({"observed": [1.0] * 9}, "column 'observed' holds double, expected true or false"),
        ({"num_timestamps": [3] * 9}, "timesteps 0 to 3, but says num_timestamps 3"),
        ({"num_timestamps": [110] * 9}, "timesteps 0 to 3, but says num_timestamps 110"),
        ({"city": ["austin"] * 8 + ["miami"]}, "city austin in one row and miami in another"),
        ({"object_category": [0, 1] + [2] * 7}, "row 2 changes field 'category'"),
        ({"timestep": [0, 0, 0, 1, 2, 3, 1, 2, 3]}, "row 2 repeats node"),
        ({"scenario_id": ["a"] * 4 + ["b"] * 4 + ["a"]}, "row 9 after another"),
    ],
)
def test_contradictions(tmp_path: Path, changes: Mapping[str, Any], message: str) -> None:
    content = {name: values for name, values in {**columns(), **changes}.items() if values is not None}
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.parquet", content)


def test_more_rows_than_bytes_are_refused(tmp_path: Path) -> None:
    content = {name: pa.array(values[:1] * 200_000) for name, values in columns().items()}
    with pytest.raises(DataError, match="claims 200000 rows"):
        read(tmp_path / "a.parquet", content)


def forecast(of: Trajectory, **changes: Any) -> Forecast:
    nodes = len(of.node_ids)
    plain = Forecast(
        scene=of.scene,
        anchor_time=float(of.time[1]),
        time=of.time[1] + 0.1 * np.arange(1, 7),
        positions=np.random.default_rng(0).normal(size=(nodes, 3, 6, 2)),
        weights=np.array([0.5, 0.2, 0.1]),
        anchor=of.positions[1],
        node_ids=of.node_ids,
        node_types=of.node_types,
        unit=of.unit,
        frame=of.frame,
        source=of.source,
    )
    return replace(plain, **changes)


@pytest.mark.parametrize("focal", ["139", "no track"])
def test_submission(tmp_path: Path, focal: str) -> None:
    scenes = [read(tmp_path / "a.parquet", {**columns(name), "focal_track_id": [focal] * 9})[0] for name in ("a", "b")]
    futures = [forecast(scene) for scene in scenes]
    tracks = ["139"] if focal == "139" else ["138", "139", "AV"]
    counts = ARGOVERSE.write_forecasts(tmp_path / "out.parquet", iter(futures))
    assert counts == {"forecasts": 2, "rows": 6 * len(tracks)}
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.names == [
        "scenario_id",
        "track_id",
        "probability",
        "predicted_trajectory_x",
        "predicted_trajectory_y",
    ]
    rows = table.to_pylist()
    expected = [(scene, track, k) for scene in ("a", "b") for track in tracks for k in range(3)]
    assert [(row["scenario_id"], row["track_id"]) for row in rows] == [item[:2] for item in expected]
    for row, (scene, track, k) in zip(rows, expected, strict=True):
        future = futures["ab".index(scene)]
        way = future.positions[future.node_ids.tolist().index(track), k]
        assert [row["predicted_trajectory_x"], row["predicted_trajectory_y"]] == way.T.tolist()
        assert row["probability"] == pytest.approx(future.weights[k] / 0.8)
    for start in range(0, len(rows), 3):
        assert sum(row["probability"] for row in rows[start : start + 3]) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": Unit("ft")}, "metres only"),
        ({"unit": Unit("m", (2.0, 2.0))}, "metres only"),
        ({"positions": np.zeros((3, 3, 6, 3))}, "3 coordinates"),
        ({"positions": np.full((3, 3, 6, 2), np.nan)}, "not finite"),
        ({"weights": np.zeros(3)}, "not finite"),
    ],
)
def test_forecasts_that_do_not_fit(tmp_path: Path, changes: Mapping[str, Any], message: str) -> None:
    (scene,) = read(tmp_path / "a.parquet", columns())
    with pytest.raises(UsageError, match=message):
        ARGOVERSE.write_forecasts(tmp_path / "out.parquet", [forecast(scene, **changes)])
    assert not (tmp_path / "out.parquet").exists()


def test_one_forecast_per_scenario(tmp_path: Path) -> None:
    (scene,) = read(tmp_path / "a.parquet", columns())
    with pytest.raises(UsageError, match="second time"):
        ARGOVERSE.write_forecasts(tmp_path / "out.parquet", [forecast(scene)] * 2)
    with pytest.raises(UsageError, match="no forecasts"):
        ARGOVERSE.write_forecasts(tmp_path / "out.parquet", [])


def test_real_scenario(real_data: Path) -> None:
    (path,) = (real_data / "vehicles/argoverse2").glob("*.parquet")
    (found,) = ARGOVERSE.read(path, ReadOptions())
    assert found.positions.shape == (110, 58, 2)
    assert int(found.valid.sum()) == 2434
    kinds = {"vehicle": 32, "pedestrian": 12, "static": 8, "riderless_bicycle": 4, "background": 2}
    assert Counter(found.node_types.tolist()) == kinds
    assert int(found.valid.all(axis=0).sum()) == 7
    assert found.dt == pytest.approx(0.1)
    assert found.fields["observed"].values[:50][found.valid[:50]].all()
    assert not found.fields["observed"].values[50:][found.valid[50:]].any()
    assert (found.source.options["focal_track_id"], found.source.options["city"]) == ("138951", "austin")
    np.testing.assert_allclose(np.nanmean(found.positions, axis=(0, 1)), [-400, 1350], atol=60)
    assert "AV" in found.node_ids
    moved = np.diff(found.positions, axis=0) / 0.1 - found.fields["velocity"].values[1:]
    assert np.nanmedian(np.linalg.norm(moved, axis=2)) < 0.2
    assert not [finding for finding in validate(found) if finding.severity == "error"]
