"""What comes out of /predict is what the Predictor says, in the words of the request."""

import asyncio
import json

import numpy as np
import pyarrow as pa
import pytest

from forecasting.inference.predictor import Anchors, Predictor
from forecasting.service.writing import ARROW
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.formats.arrow_table import table_of
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.units import conversion, parse_unit

JSON = {"content-type": "application/json"}


def stream(scenes, **options):
    table = table_of(scenes)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def scenes(count, **kind):
    rng = np.random.default_rng(3)
    return [random_scene(rng, f"scene-{index}", nodes=1 + index % 6, **kind) for index in range(count)]


def plain_of(scene: Trajectory):
    places = np.where(np.isnan(scene.positions), None, scene.positions).tolist()
    return {
        "scene": scene.scene,
        "positions": [[None if point[0] is None else point for point in row] for row in places],
        "time": scene.time.tolist(),
        "unit": "m",
        "up": scene.frame.up,
        "node_ids": scene.node_ids.tolist(),
        "node_types": scene.node_types.tolist(),
        "edges": scene.edges.tolist(),
        "edge_types": scene.edge_types.tolist(),
        "fields": {name: np.where(np.isnan(item.values), None, item.values).tolist() for name, item in scene.fields.items()},
    }


@pytest.mark.parametrize(("name", "dim"), [("space", 3), ("plane", 2)])
@pytest.mark.parametrize("every", [None, 3])
def test_json_equals_the_predictor(ask, shelf, name, dim, every):
    given = scenes(5, dim=dim)
    answer = ask("POST", "/predict", json={"package": name, "scenes": [plain_of(one) for one in given], "every": every})
    assert answer.status_code == 200, answer.text
    expected = list(Predictor(shelf.find(name).package).trajectories(given, Anchors(every)))
    found = answer.json()
    assert found["package"] == shelf.find(name).address
    assert [one["scene"] for one in found["forecasts"]] == [one.scene for one in expected]
    for one, two in zip(found["forecasts"], expected, strict=True):
        assert one["positions"] == two.positions.tolist()
        assert one["anchor"] == two.anchor.tolist()
        assert one["node_ids"] == two.node_ids.tolist()
        assert one["node_types"] == two.node_types.tolist()
        assert one["weights"] == two.weights.tolist()
        assert (one["anchor_time"], one["time"]) == (two.anchor_time, two.time.tolist())
        assert (one["unit"], one["up"], one["handedness"]) == ("m", given[0].frame.up, "right")


@pytest.mark.parametrize("gaps", [True, False], ids=["one by one", "as a block"])
@pytest.mark.parametrize("every", [None, 3])
def test_arrow_equals_the_predictor(ask, shelf, every, gaps, every_block):
    given = scenes(8, gaps=gaps)
    query = {"package": "space", **({"every": every} if every else {})}
    answer = ask("POST", "/predict", content=stream(given), headers={"content-type": ARROW}, params=query)
    assert answer.headers["content-type"] == ARROW, answer.text
    table = pa.ipc.open_stream(answer.content).read_all()
    expected = pa.concat_tables(
        batch.to_table() for batch in Predictor(shelf.find("space").package).batches(given, Anchors(every))
    )
    assert table.schema.metadata[b"package"].decode() == shelf.find("space").address
    assert table.schema.metadata[b"unit"] == b"m"
    assert table.replace_schema_metadata(None).equals(expected.replace_schema_metadata(None))


def test_a_body_of_one_kind_answered_in_the_other(ask):
    (scene,) = scenes(1)
    arrow = ask("POST", "/predict", json={"scenes": [plain_of(scene)]}, headers={"accept": ARROW})
    json_answer = ask("POST", "/predict", content=stream([scene]), headers={"content-type": ARROW, "accept": "application/json"})
    table = pa.ipc.open_stream(arrow.content).read_all()
    assert np.ravel(json_answer.json()["forecasts"][0]["positions"])[0::3].tolist() == table["x"].to_pylist()


@pytest.mark.parametrize("unit", ["cm", "0.5m", "x=2m,y=0.5m,z=4m"])
def test_numbers_come_back_in_the_unit_they_came_in(ask, scene_of, unit):
    scene = scene_of()
    (plain,) = ask("POST", "/predict", json={"scenes": [scene]}).json()["forecasts"]
    parsed = parse_unit(unit, 3)
    factor = conversion("m", parsed.name)
    other = {**scene, "unit": unit, "positions": parsed.to_file(np.array(scene["positions"]) * factor).tolist()}
    (found,) = ask("POST", "/predict", json={"scenes": [other]}).json()["forecasts"]
    assert found["unit"] == str(parsed)
    np.testing.assert_allclose(found["positions"], parsed.to_file(np.array(plain["positions"]) * factor), rtol=1e-5, atol=1e-5)


def test_another_up_axis_is_turned_and_turned_back(ask, scene_of):
    scene = scene_of()
    (plain,) = ask("POST", "/predict", json={"package": "free", "scenes": [scene]}).json()["forecasts"]

    def turned(values):  # z up -> y up
        values = np.array(values)
        return np.stack([values[..., 0], values[..., 2], -values[..., 1]], axis=-1).tolist()

    fields = {**scene["fields"], "heading": turned(scene["fields"]["heading"])}
    other = {**scene, "up": "y", "positions": turned(scene["positions"]), "fields": fields}
    (found,) = ask("POST", "/predict", json={"package": "free", "scenes": [other]}).json()["forecasts"]
    assert found["up"] == "+y"
    np.testing.assert_allclose(found["positions"], turned(plain["positions"]), atol=1e-5)


def test_what_is_said_for_all_scenes_and_what_one_says_itself(ask, scene_of):
    scene = scene_of()
    for name in ("unit", "up", "dt"):
        del scene[name]
    own = {**scene, "unit": "cm", "scene": "mine"}
    answer = ask("POST", "/predict", json={"unit": "m", "up": "z", "dt": 0.1, "scenes": [scene, own]}).json()
    assert [(one["scene"], one["unit"]) for one in answer["forecasts"]] == [("0", "m"), ("mine", "cm")]


def test_nodes_that_were_not_observed(ask, scene_of):
    scene = scene_of(node_ids=["a", "b", "c", "d"])
    scene["positions"][-1][1] = None
    scene["positions"][-2][2] = None
    (found,) = ask("POST", "/predict", json={"scenes": [scene]}).json()["forecasts"]
    assert found["node_ids"] == ["a", "c", "d"]
    scene["positions"][-1] = [None] * 4
    answer = ask("POST", "/predict", json={"scenes": [scene]})
    assert answer.status_code == 422
    assert "no node at its last frame" in answer.json()["detail"]


def test_a_field_in_another_unit(ask, scene_of):
    scene = scene_of()
    (plain,) = ask("POST", "/predict", json={"scenes": [scene]}).json()["forecasts"]
    values = (100 * np.array(scene["fields"]["heading"])).tolist()
    scene["fields"]["heading"] = {"values": values, "unit": "cm"}
    (found,) = ask("POST", "/predict", json={"scenes": [scene]}).json()["forecasts"]
    np.testing.assert_allclose(found["positions"], plain["positions"], atol=1e-6)


def test_packages_by_name_and_version(ask, shelf, scene_of):
    address = shelf.served[1].address
    scene = scene_of(dim=2)
    for name in ("plane", address, address[: len("plane@") + 3]):
        assert ask("POST", "/predict", json={"package": name, "scenes": [scene]}).json()["package"] == address
    answer = ask("POST", "/predict", json={"package": "plain", "scenes": [scene]})
    assert (answer.status_code, "did you mean 'plane'" in answer.json()["detail"]) == (404, True)


def test_residuals_of_the_input(ask, scene_of):
    wish = {"residual": {"draws": 4}, "scenes": [scene_of()]}
    strict = ask("POST", "/predict", json={"package": "space", **wish}).json()
    free = ask("POST", "/predict", json={"package": "free", **wish}).json()
    assert [one["group"] for one in strict["residuals"]] == ["SO(3)", "O(3)", "SO(2)(z)", "C∞v(z)", "translations"]
    assert max(one["residual"] for one in strict["residuals"]) < 1e-5
    assert free["residuals"][0]["residual"] > 0.1
    again = ask("POST", "/predict", json={"package": "free", **wish}).json()
    assert again == free
    named = ask("POST", "/predict", json={**wish, "residual": {"groups": ["mirror(x)", "C_4(z)"]}}).json()
    assert [(one["group"], one["draws"]) for one in named["residuals"]] == [("mirror(x)", 8), ("C_4(z)", 8)]


def test_diagnose(ask, scene_of):
    answer = ask("POST", "/diagnose", json={"package": "free", "scenes": [scene_of()], "groups": ["SO(3)"]})
    found = answer.json()
    assert answer.status_code == 200, answer.text
    assert found["residuals"][0]["residual"] > 0.1
    assert found["symmetry"] is None


def test_answers_do_not_depend_on_who_asks_at_the_same_time(ask, scene_of):
    bodies = [
        json.dumps({"package": ("space", "free")[seed % 2], "scenes": [scene_of(nodes=1 + seed % 7, seed=seed)]})
        for seed in range(40)
    ]
    bodies[11] = json.dumps({"package": "space", "scenes": [scene_of(dt=0.2)]})  # fails in the company of others
    requests = [("POST", "/predict", {"content": one, "headers": JSON}) for one in bodies]
    together = asyncio.run(ask.together(requests))
    alone = [ask(*one[:2], **one[2]) for one in requests]
    assert [one.status_code for one in together] == [422 if index == 11 else 200 for index in range(40)]
    for one, two in zip(together, alone, strict=True):
        if one.status_code == 200:
            assert one.json() == two.json()


@pytest.mark.parametrize(("joint", "first"), [(False, 1.0), (True, 2.0)])
def test_regions(ask, scene_of, joint, first):
    scene, wish = scene_of(unit="cm"), {"level": 0.9, "joint": joint}
    answer = ask("POST", "/predict", json={"package": "space", "interval": wish, "scenes": [scene]})
    (found,) = answer.json()["forecasts"]
    assert {name: found["interval"][name] for name in ("level", "joint", "shape")} == {**wish, "shape": None}
    np.testing.assert_allclose(found["interval"]["radius"], [[[100 * first, 200 * first]]] * 4)
    table = ask("POST", "/predict", json={"interval": wish, "scenes": [scene]}, headers={"accept": ARROW})
    np.testing.assert_allclose(
        pa.ipc.open_stream(table.content).read_all()["radius_90"].to_numpy()[:2], [100 * first, 200 * first]
    )


@pytest.mark.parametrize(("package", "level", "words"), [("free", 0.9, "not calibrated"), ("space", 0.8, "levels 0.9")])
def test_regions_that_nobody_calibrated(ask, scene_of, package, level, words):
    answer = ask("POST", "/predict", json={"package": package, "interval": {"level": level}, "scenes": [scene_of()]})
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
