"""What is written is what the published schema describes."""

import copy
import json
from importlib.resources import files

import pytest

from forecasting.evaluation.protocol import evaluate, partition_anchors
from forecasting.evaluation.report import SCHEMA, write_report
from forecasting.testing.reports import SECTIONS, example_errors, example_result

jsonschema = pytest.importorskip("jsonschema", reason="the schema is checked with the package jsonschema")
PUBLISHED = json.loads((files("forecasting.evaluation") / "report.schema.json").read_text(encoding="utf-8"))


def faults(result):
    return [error.json_path for error in jsonschema.Draft202012Validator(PUBLISHED).iter_errors({"schema": SCHEMA, **result})]


def test_the_schema_is_one_and_names_its_version():
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED["$id"] == SCHEMA
    assert set(SECTIONS) < set(PUBLISHED["properties"])


def test_results_with_and_without_parts_fit():
    assert faults(example_result()) == []
    assert faults(example_errors()) == []
    assert faults({**example_errors(), **{name: {"failed": "no luck"} for name in SECTIONS}}) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("plain", "mse"), "small"),
        (("copies", "yaw", "residual"), -1),
        (("verdicts", "groups", 0, "data"), "maybe"),
        (("playback", 0, "history", 0, 0), [1, 2]),
        (("verdicts",), {"failed": ""}),
        (("schema",), "forecasting.report/0"),
        (("baselines",), {}),
    ],
)
def test_what_does_not_fit_is_found(path, value):
    result = copy.deepcopy(example_result())
    *way, last = path
    place = result
    for key in way:
        place = place[key]
    place[last] = value
    assert faults(result)


def test_a_report_that_was_written_fits(package, tmp_path):
    made, dataset = package("mlp")
    anchors = partition_anchors(made, dataset, "all")
    write_report(made, dataset, anchors, evaluate(made, dataset, anchors), tmp_path)
    assert faults(json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))) == []
