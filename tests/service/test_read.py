"""Files that are sent come back as scenes that /predict takes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecasting.service.app import create_app
from forecasting.service.limits import Limits
from forecasting.service.shelf import Served, Shelf
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.reading import write_trajectories
from forecasting.trajectories.units import Unit


def scenes(count=2, **kind):
    rng = np.random.default_rng(1)
    return [random_scene(rng, f"walk {index}", nodes=3, **kind) for index in range(count)]


def sent(path, folder, given):
    write_trajectories(folder / path, given)
    return (folder / path).read_bytes()


@pytest.mark.parametrize("name", ["tracks.csv", "tracks.parquet", "tracks.npz"])
def test_a_file_goes_out_as_scenes_and_these_to_predict(ask, shelf, tmp_path, name):
    given = scenes()
    answer = ask("POST", "/read", content=sent(name, tmp_path, given), params={"name": name, "package": "space"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["format"] == name.split(".")[1]
    for one, two in zip(found["scenes"], given, strict=True):
        assert (one["scene"], one["unit"], one["up"], one["time"]) == (two.scene, "m", "+z", two.time.tolist())
        assert one["node_ids"] == two.node_ids.tolist()
        assert [[point is not None for point in row] for row in one["positions"]] == two.valid.tolist()
        assert [point for row in one["positions"] for point in row if point] == two.positions[two.valid].tolist()
    predicted = ask("POST", "/predict", json=found)
    assert predicted.status_code == 200, predicted.text
    expected = list(shelf.find("space").predictor.trajectories(given))
    for one, two in zip(predicted.json()["forecasts"], expected, strict=True):
        assert one["positions"] == two.positions.tolist()


def test_numbers_of_the_file_are_kept(ask, tmp_path):
    (scene,) = scenes(1, gaps=False)
    scaled = replace(scene, unit=Unit("m", (2.0, 2.0, 2.0)))
    (found,) = ask("POST", "/read", content=sent("a.npz", tmp_path, [scaled]), params={"name": "a.npz"}).json()["scenes"]
    assert found["unit"] == "2m"
    np.testing.assert_allclose(np.array(found["positions"], dtype=float) * 2, scene.positions)


TABLE = "frame,node,x,y,z\n" + "".join(f"{frame},{node},{frame},{node},0\n" for frame in range(9) for node in (1, 2))


@pytest.mark.parametrize("missing", ["unit", "up", "rate"])
def test_what_the_file_does_not_say_is_asked_for(ask, missing):
    said = {"unit": "m", "up": "z", "rate": "10"}
    query = {name: value for name, value in said.items() if name != missing}
    answer = ask("POST", "/read", content=TABLE, params={"name": "t.csv", **query})
    assert (answer.status_code, answer.json()["missing"]) == (422, missing)
    assert "--" not in answer.json()["detail"]
    assert answer.json()["detail"].startswith("t.csv: ")
    assert ask("POST", "/read", content=TABLE, params={"name": "t.csv", **said}).status_code == 200


def test_a_file_of_another_rate_is_brought_to_the_model(ask):
    query = {"name": "t.csv", "unit": "m", "up": "z", "rate": "20", "package": "space"}
    found = ask("POST", "/read", content=TABLE, params=query).json()
    np.testing.assert_allclose(found["scenes"][0]["time"], [0, 0.1, 0.2, 0.3, 0.4])
    assert [one["check"] for one in found["findings"]] == ["resampled"]


def test_several_files_that_belong_together(ask):
    skeleton = "\n".join(
        (
            ":version 1.10", ":name VICON", ":units", "  mass 1.0", "  length 0.45", "  angle deg", ":root",
            "  order TX TY TZ RX RY RZ", "  axis XYZ", "  position 0 0 0", "  orientation 0 0 0", ":bonedata", "  begin",
            "    id 1", "    name leg", "    direction 0 -1 0", "    length 1.0", "    axis 0 0 0 XYZ", "    dof rx",
            "    limits (-180 180)", "  end", ":hierarchy", "  begin", "    root leg", "  end", "",
        )
    )  # fmt: skip
    motion = ":FULLY-SPECIFIED\n:DEGREES\n" + "".join(f"{f}\nroot 0 0 {f} 0 0 0\nleg {f}\n" for f in range(1, 9))
    files = [("file", ("35.asf", skeleton)), ("file", ("35_01.amc", motion))]
    answer = ask("POST", "/read", files=files)
    assert answer.status_code == 200, answer.text
    assert answer.json()["format"] == "amc"
    assert answer.json()["scenes"][0]["node_ids"] == ["root", "leg"]
    alone = ask("POST", "/read", files=files[1:])
    assert alone.status_code == 422
    assert "asf" in alone.json()["detail"]


NOT_FILES = {
    "nothing": ({"content": b"", "params": {"name": "a.csv"}}, "empty"),
    "no name": ({"content": TABLE}, "name"),
    "noise": ({"content": bytes(range(256)) * 9, "params": {"name": "a.bin"}}, "no known format"),
    "an unknown format": ({"content": TABLE, "params": {"name": "a.csv", "format": "csvv"}}, "csvv"),
    "no boundary": ({"content": b"--", "headers": {"content-type": "multipart/form-data"}}, "boundary"),
    "half a part": (
        {"content": b"--x\r\n\r\nabc", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        "last boundary",
    ),
    "names twice": ({"files": [("a", ("t.csv", TABLE)), ("b", ("t.csv", TABLE))]}, "called t.csv"),
    "a jump": (
        {"content": TABLE.replace("4,1,4,1,0", "4,1,4000,1,0"), "params": {"name": "t.csv", "unit": "m", "up": "z", "rate": 1}},
        "jump",
    ),
}


@pytest.mark.parametrize("case", NOT_FILES, ids=NOT_FILES.keys())
def test_what_is_no_trajectory_file(ask, case):
    what, words = NOT_FILES[case]
    answer = ask("POST", "/read", **what)
    assert answer.status_code in (400, 422), answer.text
    assert words in answer.json()["detail"]
    assert "/tmp" not in answer.json()["detail"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.csv", "C:\\tracks\\t.csv", "a\x00b;rm.csv", "/abs/t.csv", "步" * 150 + ".csv"]
)
def test_names_lead_nowhere(ask, name):
    query = {"name": name, "unit": "m", "up": "z", "rate": "10"}
    answer = ask("POST", "/read", content=TABLE, params=query)
    assert answer.status_code == 200, answer.text


def test_a_file_that_is_too_much(shelf, asker):
    query = {"name": "t.csv", "unit": "m", "up": "z", "rate": "10"}
    limited = asker(create_app(shelf, Limits(entries=10), quiet=True))
    answer = limited("POST", "/read", content=TABLE, params=query)
    assert (answer.status_code, "entries" in answer.json()["detail"]) == (413, True)


def test_a_clock_with_a_gap_is_not_filled(ask):
    far = TABLE.replace("\n8,", "\n800000000,")
    query = {"name": "t.csv", "unit": "m", "up": "z", "rate": "20", "package": "space"}
    answer = ask("POST", "/read", content=far, params=query)
    assert (answer.status_code, "entries" in answer.json()["detail"]) == (413, True)


def test_a_reader_that_fails_says_so(ask, monkeypatch):
    def fail(*_):
        raise AttributeError("a reader's own fault")

    monkeypatch.setattr("forecasting.service.reading.read_trajectories", fail)
    answer = ask("POST", "/read", content=TABLE, params={"name": "t.csv"})
    assert (answer.status_code, "damaged" in answer.json()["detail"]) == (422, True)


def test_rows_without_end_are_not_gathered(shelf, asker):
    limited = asker(create_app(shelf, Limits(entries=100), quiet=True))
    rows = "frame,node,x,y,z\n" + "1,1,0,0,0\n" * 200
    answer = limited("POST", "/read", content=rows, params={"name": "t.csv", "unit": "m", "up": "z", "rate": "10"})
    assert (answer.status_code, "more rows" in answer.json()["detail"]) == (413, True)


def test_examples_are_called_after_their_files(asker, folders, tmp_path):
    packages = [shutil.copytree(folders["space"], tmp_path / name) for name in ("one", "two")]
    for package in packages:
        (package / "examples").mkdir()
        write_trajectories(package / "examples" / "a walk.csv", scenes(2, frames=9, gaps=False))
    assert Served.load(packages[0]).digest == Served.load(packages[1]).digest
    ask = asker(create_app(Shelf([Served.load(package) for package in packages]), quiet=True))
    names = [one["name"] for one in ask("GET", "/examples").json()["examples"]]
    assert names == ["a-walk", "a-walk-2", "a-walk-3", "a-walk-4"]
    for route in ("/predict", "/diagnose"):
        answer = ask(
            "POST", route, content=ask("GET", "/examples/a-walk-2").content, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 200, answer.text


def test_the_walk_beside_the_committed_package(asker):
    ask = asker(create_app(Shelf([Served.load(Path(__file__).parents[2] / "checkpoints" / "cmu-motion")]), quiet=True))
    body = ask("GET", "/examples/walk").content
    answer = ask("POST", "/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["forecasts"][0]["node_ids"]) == 31


def test_examples_fit_their_package(ask, shelf):
    listed = ask("GET", "/examples").json()["examples"]
    assert {one["package"] for one in listed} == {each.address for each in shelf.served}
    for one in listed:
        found = ask("GET", f"/examples/{one['name']}").json()
        (scene,) = found["scenes"]
        assert (len(scene["positions"]), len(scene["node_ids"])) == (one["frames"], one["nodes"])
        answer = ask("POST", "/predict", json={"package": one["package"], "scenes": [scene]})
        assert answer.status_code == 200, answer.text


def test_real_motion_capture(ask, real_data):
    folder = next(real_data.rglob("*.amc"), None)
    if folder is None:
        pytest.skip("the real data hold no AMC file")
    skeletons = sorted(folder.parent.glob("*.asf"))
    files = [("file", (path.name, path.read_bytes())) for path in (folder, *skeletons)]
    answer = ask("POST", "/read", files=files)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["scenes"][0]["node_ids"]) > 20
    json.dumps(answer.json(), allow_nan=False)
