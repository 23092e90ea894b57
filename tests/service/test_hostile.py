"""Requests that were made to cost much, or to make the service fail."""

import json

import numpy as np
import pyarrow as pa
import pytest

from forecasting.service.app import create_app
from forecasting.service.asking import predict_asked
from forecasting.service.limits import Limits
from forecasting.service.taking import SMALL
from forecasting.service.writing import ARROW, JSON

LONG = "a" * 1_000_000
ROWS = [(0.1 * frame, node) for frame in range(5) for node in range(4)]


def of_json(scene, old="", new="", **said):
    text = json.dumps({"scenes": [{**scene, **said}]})
    assert old in text
    return text.replace(old, new, 1)


BODIES = {
    "a list of what is none of it": (lambda scene: of_json(scene, '"node_types": [', '"node_types": [' + "1," * 100_000), 422),
    "scenes that are none": (lambda scene: '{"scenes":[' + "1," * 100_000 + "1]}", 422),
    "empty scenes": (lambda scene: '{"scenes":[' + "{}," * 100_000 + "{}]}", 422),
    "unknown members": (lambda scene: of_json({**scene, **{f"{number:x}": 0 for number in range(100_000)}}), 422),
    "an endless number": (lambda scene: of_json(scene, '"dt": 0.1', '"dt": ' + "1" * 1_000_000), 400),
    "a long id": (lambda scene: of_json(scene, node_ids=[LONG, "b", "c", "d"]), 422),
    "a long type": (lambda scene: of_json(scene, node_types=[LONG, "b", "a", "b"]), 422),
    "long types of many edges": (
        lambda scene: of_json(scene, edges=[[0, 1]] * 30_000, edge_types=["b" * 200, *["b"] * 29_999]),
        422,
    ),
    "the smallest step": (lambda scene: of_json(scene, dt=5e-324), 422),
    "the largest numbers": (lambda scene: of_json(scene, positions=[[[1e308] * 3] * 4] * 5), 422),
    "a large unit": (lambda scene: of_json(scene, unit="1e308m"), 422),
    "times from end to end": (lambda scene: of_json(scene, time=[-1.7e308, 0, 1, 2, 1.7e308]), 413),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", BODIES, ids=BODIES.keys())
def test_bodies_that_would_cost_much(ask, scene_of, case):
    made, status = BODIES[case]
    answer = ask("POST", "/predict", content=made(scene_of()), headers={"content-type": JSON})
    assert answer.status_code == status, answer.text
    assert len(answer.content) < 2000


def test_what_is_wrong_a_thousand_times_is_only_counted(shelf, scene_of):
    body = of_json({**scene_of(), **{f"{number:x}": 0 for number in range(1001)}}).encode()
    with pytest.raises(Exception, match="1001 things in the body"):
        predict_asked(body, JSON, {}, shelf, Limits())


def stream(notes, **columns):
    texts = {"scene": ["s"] * len(ROWS), "type": ["a"] * len(ROWS), "node": [node for _, node in ROWS]}
    numbers = dict.fromkeys(("x", "y", "z", "charge", "heading_x", "heading_y", "heading_z"), np.zeros(len(ROWS)))
    table = pa.table({**texts, "time": [time for time, _ in ROWS], **numbers, **columns}).replace_schema_metadata(notes)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def named(*names):
    """A column with the name of each node, of which each stands only once in the stream."""
    return pa.DictionaryArray.from_arrays(pa.array([node % len(names) for _, node in ROWS], pa.int32()), pa.array(names))


STREAMS = {
    "nothing odd": ({}, {}, 200),
    "a long id": ({}, {"node": named(LONG, "b", "c", "d")}, 422),
    "a long type": ({}, {"type": named(LONG, "a")}, 422),
    "a long name": ({}, {"scene": named(LONG)}, 422),
    "a long unit": ({"unit": "m" * 1_000_000}, {}, 422),
    "notes that go deep": ({"forecasting": '{"edges":' + "[" * 100_000}, {}, 422),
}


@pytest.mark.parametrize("case", STREAMS, ids=STREAMS.keys())
def test_streams_that_would_cost_much(ask, case):
    notes, columns, status = STREAMS[case]
    said = {"headers": {"content-type": ARROW}, "params": {"every": 1, "up": "z"}}
    answer = ask("POST", "/predict", content=stream({"unit": "m", **notes}, **columns), **said)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert len(answer.content) < 2000


HEADS = {
    "comments in comments": b"content-disposition: form-data; filename=a" + b"(" * 4000,
    "a header without end": b"content-disposition: form-data; " + b"".join(b"filename*%d=a; " % part for part in range(20_000)),
    "parts of a name": b"content-disposition: form-data; filename*=utf-16''%ff%fe%00",
}


@pytest.mark.parametrize("case", HEADS, ids=HEADS.keys())
def test_uploads_with_odd_heads(ask, case):
    body = b"--a\r\n" + HEADS[case] + b"\r\n\r\nx\r\n--a--"
    answer = ask("POST", "/read", content=body, headers={"content-type": "multipart/form-data; boundary=a"})
    assert answer.status_code in (400, 422), answer.text


def test_an_upload_of_many_parts(ask):
    answer = ask("POST", "/read", content=b"\r\n--a" * 100_000, headers={"content-type": "multipart/form-data; boundary=a"})
    assert (answer.status_code, "64 parts" in answer.json()["detail"]) == (413, True)


def test_scenes_that_wait_are_counted_as_they_are(shelf, scene_of):
    """Not as the body that said them: names in arrays take the room of the longest."""
    scene = scene_of(edges=[[0, 1]] * 20_000, edge_types=["b" * 150, *["b"] * 19_999])
    body = json.dumps({"scenes": [scene]}).encode()
    assert predict_asked(body, JSON, {}, shelf, Limits()).room > 20_000 * 150 * 4 > 20 * len(body)


def test_work_that_does_not_fit_is_a_problem(shelf, asker, body, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("forecasting.service.asking.parsed", full)
    answer = asker(create_app(shelf, quiet=True))("POST", "/predict", content=body(), headers={"content-type": JSON})
    assert (answer.status_code, "not enough memory" in answer.json()["detail"]) == (503, True)


def test_who_has_no_key_cannot_fill_the_memory(shelf, asker):
    app = create_app(shelf, Limits(memory=SMALL), quiet=True)
    assert len(asker(app)("GET", "/viewer/three/three.min.js").content) > SMALL
