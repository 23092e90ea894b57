"""What a request may not say, and how it is told."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from forecasting.service.app import create_app
from forecasting.service.limits import Limits
from forecasting.service.writing import ARROW
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.formats.arrow_table import table_of

JSON = {"content-type": "application/json"}


def problem(answer, status, *words):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["request_id"] == answer.headers["x-request-id"]
    for word in words:
        assert word in found["detail"]
    return found


def changed(scene, **what):
    return {name: value for name, value in {**scene, **what}.items() if value is not ...}


POINT = [0.0, 0.0, 0.0]
WRONG = {
    "no unit": ({"unit": ...}, "does not say the unit"),
    "odd unit": ({"unit": "m m"}, "is not a unit"),
    "unit of another kind": ({"unit": "px"}, "px"),
    "no clock": ({"dt": ...}, "`dt`"),
    "another rate": ({"dt": 0.2}, "frames/s"),
    "dt of 0": ({"dt": 0}, "scenes.0.dt"),
    "hand": ({"handedness": "left"}, "left-handed"),
    "up": ({"up": "w"}, "scenes.0.up"),
    "unknown member": ({"position": []}, "scenes.0.position"),
    "dimension": ({"positions": [[[0, 0]] * 4] * 5}, "2 coordinates"),
    "no frames": ({"positions": []}, "list of frames"),
    "no nodes": ({"positions": [[]]}, "every frame lists every node"),
    "ragged frames": ({"positions": [[POINT] * 4, [POINT] * 3]}, "every frame lists every node"),
    "ragged points": ({"positions": [[POINT, [0, 0]]]}, "2 or of 3 numbers"),
    "text": ({"positions": [[["0", 0, 0]]]}, "must be numbers, found str"),
    "truth": ({"positions": [[[True, 0, 0]]]}, "must be numbers, found bool"),
    "null inside": ({"positions": [[[None, 0, 0]]]}, "must be numbers"),
    "huge integer": ({"positions": [[[10**400, 0, 0]]]}, ""),
    "nothing seen": ({"positions": [[None]]}, "one must be observed"),
    "one frame": ({"positions": [[POINT] * 4]}, ""),
    "times that stand": ({"time": [0, 0.1, 0.1, 0.2, 0.3]}, "must increase"),
    "few times": ({"time": [0, 0.1]}, "each of the 5 frames"),
    "ids": ({"node_ids": [1, 2, 3]}, "node_ids must list 4"),
    "ids of two kinds": ({"node_ids": [1, 2, 3, "4"]}, "node_ids must list 4"),
    "an id twice": ({"node_ids": [1, 2, 3, 3]}, "more than once"),
    "a long id": ({"node_ids": [1, 2, 3, 2**70]}, "64 bits"),
    "types": ({"node_types": ["a"]}, "node_types must list 4"),
    "an unknown type": ({"node_types": ["a", "b", "tram", "a"]}, "type 'tram'"),
    "no types": ({"node_types": ...}, "tells a, b apart"),
    "edges": ({"edges": [[0, 9]]}, "from 0 to 3"),
    "edges of three": ({"edges": [[0, 1, 2]]}, "pairs"),
    "edge types": ({"edge_types": ["bone"]}, "edge_types must list 3"),
    "no field": ({"fields": {}}, "lacks the field"),
    "field of another shape": ({"fields": {"charge": [1], "heading": []}}, "field 'charge' must be 4"),
    "field of text": ({"fields": {"charge": ["1"] * 4, "heading": []}}, "finite numbers"),
}


@pytest.mark.parametrize("case", WRONG, ids=WRONG.keys())
def test_a_scene_that_says_something_impossible(ask, scene_of, case):
    change, words = WRONG[case]
    answer = ask("POST", "/predict", content=json.dumps({"scenes": [changed(scene_of(), **change)]}), headers=JSON)
    problem(answer, 400 if case == "huge integer" and answer.status_code == 400 else 422, words)


BODIES = {
    "nothing": ("", 400, "not JSON"),
    "half": ('{"scenes": [', 400, "not JSON"),
    "deep": ("[" * 100_000, 400, "not JSON"),
    "binary": ("\x00\x01", 400, "not JSON"),
    "a list": ("[]", 422, "expected"),
    "no scenes": ("{}", 422, "scenes: Field required"),
    "empty": ('{"scenes": []}', 422, "scenes"),
    "scenes of text": ('{"scenes": "all"}', 422, "scenes"),
    "every 0": ('{"every": 0, "scenes": [{"positions": [[[0,0,0]]]}]}', 422, "every"),
    "every as text": ('{"every": "2", "scenes": [{"positions": [[[0,0,0]]]}]}', 422, "every"),
    "level 1": ('{"interval": {"level": 1}, "scenes": [{"positions": [[[0,0,0]]]}]}', 422, "interval.level"),
}


@pytest.mark.parametrize("case", BODIES, ids=BODIES.keys())
def test_a_body_that_is_something_else(ask, case):
    body, status, words = BODIES[case]
    problem(ask("POST", "/predict", content=body, headers=JSON), status, words)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", ["positions", "time", "charge", "dt"])
def test_numbers_that_are_none(ask, scene_of, number, place):
    scene = scene_of()
    text = json.dumps({"scenes": [scene]})
    first = {
        "positions": json.dumps(scene["positions"][0][0][0]),
        "charge": json.dumps(scene["fields"]["charge"][0][0]),
        "dt": '"dt": 0.1',
        "time": '"dt": 0.1',
    }[place]
    new = {"dt": f'"dt": {number}', "time": f'"time": [{number}, 1, 2, 3, 4]'}.get(place, number)
    assert first in text
    answer = ask("POST", "/predict", content=text.replace(first, new, 1), headers=JSON)
    assert answer.status_code in (400, 422)
    problem(answer, answer.status_code)


@pytest.mark.parametrize(
    ("query", "words"),
    [({"every": "x"}, "every"), ({"level": "2"}, "level"), ({"color": "red"}, "color"), ({"draws": "1"}, "draws")],
)
def test_a_query_that_says_something_impossible(ask, body, query, words):
    problem(ask("POST", "/predict", content=body(), headers=JSON, params=query), 422, words)


def arrow(table, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def table(**columns):
    made = table_of([random_scene(np.random.default_rng(0), "s", nodes=3, gaps=False)])
    for name, values in columns.items():
        at = made.schema.get_field_index(name)
        made = made.remove_column(at) if values is None else made.set_column(at, name, values)
    return made


def noted(**notes):
    made = table()
    known = json.loads(made.schema.metadata[b"forecasting"])
    texts = {**known, **{name: json.dumps(value) for name, value in notes.items()}}
    return made.replace_schema_metadata({"forecasting": json.dumps(texts)})


STREAMS = {
    "nothing": (lambda: b"", 400, "Arrow stream"),
    "text": (lambda: b"scene,time,node,x,y,z\n", 400, "Arrow stream"),
    "half": (lambda: arrow(table())[:-700], 400, ""),
    "compressed": (lambda: arrow(table(), compression="zstd"), 422, "compressed"),
    "no rows": (lambda: arrow(table()[:0]), 422, "no rows"),
    "no x": (lambda: arrow(table(x=None)), 422, "no column for x"),
    "lists": (lambda: arrow(table(x=pa.array([[1.0]] * 42))), 422, "columns hold"),
    "nulls": (lambda: arrow(table(x=pa.nulls(42))), 422, "columns hold"),
    "infinite": (lambda: arrow(table(x=pa.array([float("inf")] * 42))), 422, "finite"),
    "no unit": (lambda: arrow(table().replace_schema_metadata({})), 422, "unit"),
    "odd notes": (lambda: arrow(table().replace_schema_metadata({"forecasting": "[1"})), 422, "metadata"),
    "a connection to nobody": (lambda: arrow(noted(edges=[[[[10, 99]], ["bone"], ["s"]]])), 422, "names node 99"),
    "no charge": (lambda: arrow(table(charge=None)), 422, "charge"),
}


@pytest.mark.parametrize("case", STREAMS, ids=STREAMS.keys())
def test_a_stream_that_is_something_else(ask, case, every_block):
    made, status, words = STREAMS[case]
    problem(ask("POST", "/predict", content=made(), headers={"content-type": ARROW}), status, words)


LARGE = {
    "scenes": (Limits(scenes=2), "scenes"),
    "frames": (Limits(frames=13), "frames in scene 's"),
    "nodes": (Limits(nodes=2), "nodes in scene 's"),
    "entries": (Limits(entries=100), "entries"),
    "the frames of its clock": (Limits(frames=14), "even clock"),
}


@pytest.mark.parametrize("case", LARGE, ids=LARGE.keys())
def test_a_block_that_is_too_large(asker, shelf, case, every_block):
    limits, words = LARGE[case]
    made = [random_scene(np.random.default_rng(index), f"s{index}", nodes=3, gaps=False) for index in range(3)]
    late = np.where(np.arange(14) == 13, 100.0, made[2].time)
    made[2] = replace(made[2], time=late if "clock" in case else made[2].time)
    ask = asker(create_app(shelf, limits, quiet=True))
    answer = ask("POST", "/predict", content=arrow(table_of(made)), headers={"content-type": ARROW})
    problem(answer, 413, words)


def test_flipped_bits_in_a_stream_are_refused_or_harmless(ask, every_block):
    good, rng = arrow(table()), np.random.default_rng(0)
    for place in rng.integers(len(good), size=150):
        body = bytearray(good)
        body[place] ^= 1 << int(rng.integers(8))
        answer = ask("POST", "/predict", content=bytes(body), headers={"content-type": ARROW})
        assert answer.status_code in (200, 400, 413, 422), (place, answer.text)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_bodies_of_other_kinds(ask, body, kind):
    problem(ask("POST", "/predict", content=body(), headers={"content-type": kind} if kind else {}), 415, "application/json")


def test_routes_that_are_none(ask):
    problem(ask("GET", "/nowhere"), 404, "/nowhere")
    problem(ask("GET", "/predict"), 405, "GET")
    problem(ask("GET", "/viewer/../app.py"), 404)
    problem(ask("GET", "/examples/nobody"), 404, "nobody")


LIMITED = {
    "bytes": (Limits(bytes=100), {}, "bytes"),
    "scenes": (Limits(scenes=1), {"copies": 2}, "scenes"),
    "frames": (Limits(frames=4), {}, "frames"),
    "nodes": (Limits(nodes=3), {}, "nodes"),
    "edges": (Limits(edges=11), {}, "edges in one graph"),
    "forecasts": (Limits(forecasts=2), {"every": 1}, "forecasts to make"),
    "positions": (Limits(positions=7), {}, "positions to answer"),
    "draws": (Limits(draws=4), {"residual": {"draws": 5}}, "draws"),
}


@pytest.mark.parametrize("case", LIMITED, ids=LIMITED.keys())
def test_limits(shelf, asker, scene_of, case):
    limits, more, words = LIMITED[case]
    more = dict(more)
    scenes = [scene_of()] * more.pop("copies", 1)
    limited = asker(create_app(shelf, limits, quiet=True))
    answer = limited("POST", "/predict", json={"scenes": scenes, **more})
    problem(answer, 413, words, str(getattr(limits, case)))


STRETCHED = {
    "a frame long after the others": [0, 0.1, 0.2, 0.3, 1e12],
    "two frames at nearly one time": [0, 1e-12, 2e-12, 3e-12, 1],
}


@pytest.mark.parametrize("time", STRETCHED.values(), ids=STRETCHED.keys())
def test_a_clock_with_a_gap_takes_no_memory(ask, scene_of, time):
    answer = ask("POST", "/predict", json={"scenes": [changed(scene_of(), dt=..., time=time)]})
    problem(answer, 413, "even clock")


def test_a_table_of_holes_takes_no_memory(shelf, asker):
    rows = np.arange(200)
    columns = {"scene": ["s"] * 200, "time": rows * 0.1, "node": rows, "type": ["a"] * 200}
    columns |= dict.fromkeys(("x", "y", "z", "charge", "heading_x", "heading_y", "heading_z"), np.zeros(200))
    limited = asker(create_app(shelf, Limits(entries=30_000), quiet=True))
    query = {"unit": "m", "up": "z"}
    answer = limited("POST", "/predict", content=arrow(pa.table(columns)), headers={"content-type": ARROW}, params=query)
    problem(answer, 413, "200 frames", "30000")


@pytest.mark.parametrize("every", [10**30, 10**7])
def test_steps_beyond_reason(ask, body, every):
    problem(ask("POST", "/predict", content=body(every=every), headers=JSON), 422, "every")


def test_a_step_of_time_beyond_reason(ask, scene_of):
    problem(ask("POST", "/predict", json={"scenes": [scene_of(dt=1e308)]}), 422, "dt")


def test_ids_of_two_kinds_fit_no_table(ask, scene_of):
    scenes = [scene_of(), scene_of(node_ids=["a", "b", "c", "d"])]
    problem(ask("POST", "/predict", json={"scenes": scenes}, headers={"accept": ARROW}), 422, "ask for JSON")
    assert ask("POST", "/predict", json={"scenes": scenes}).status_code == 200
