"""Names come back as they were sent, or are refused."""

import numpy as np
import pyarrow as pa
import pytest

from forecasting.service.writing import ARROW
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.formats.arrow_table import table_of


@pytest.mark.parametrize("name", ["a\0b", "\0a", "", " a ", "é", "e\u0301", "😀", "a\u202eb", "0"])
def test_odd_names_come_back_as_they_were(ask, scene_of, name):
    scene = scene_of(node_ids=[name, "b", "c", "d"], scene=name)
    (found,) = ask("POST", "/predict", json={"scenes": [scene]}).json()["forecasts"]
    assert (found["scene"], found["node_ids"]) == (name, [name, "b", "c", "d"])


@pytest.mark.parametrize(
    "said",
    [
        {"node_ids": ["a", "b", "c", "a\0"]},
        {"node_ids": ["\0", "b", "c", "d"]},
        {"node_types": ["a", "b", "a", "b\0"]},
        {"edge_types": ["b\0"] * 3},
    ],
)
@pytest.mark.parametrize("route", ["/predict", "/diagnose"])
def test_names_that_would_lose_their_end(ask, scene_of, route, said):
    answer = ask("POST", route, json={"scenes": [scene_of(**said)]})
    assert (answer.status_code, "NUL" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("column", ["node", "type", "scene"])
@pytest.mark.parametrize(("end", "status"), [("", 200), ("\0", 422)])
def test_columns_that_would_lose_their_end(ask, column, encoded, end, status):
    table = table_of([random_scene(np.random.default_rng(0), "s", nodes=3, gaps=False)])
    texts = pa.array([f"{one}{end}" for one in table[column].to_pylist()])
    table = table.set_column(table.schema.get_field_index(column), column, texts.dictionary_encode() if encoded else texts)
    table = table.replace_schema_metadata({"unit": "m", "up": "z"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    said = {"content": sink.getvalue().to_pybytes(), "params": {"unit": "m", "up": "z"}}
    answer = ask("POST", "/predict", headers={"content-type": ARROW, "accept": "application/json"}, **said)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert "NUL" in answer.json()["detail"]
