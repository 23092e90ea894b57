"""What is written is what the published schema describes."""

import copy
import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from forecasting.evaluation.calibrated import calibrated
from forecasting.evaluation.calibration import followed
from forecasting.evaluation.protocol import evaluate, partition_anchors
from forecasting.evaluation.report import SCHEMA, write_report
from forecasting.testing.reports import SECTIONS, example_errors, example_result
from forecasting.trajectories.windows import WindowSpec

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
        (("regions", "levels", 0, "overall"), 1.2),
        (("regions", "levels", 0, "types", 0, "joint"), "often"),
        (("regions", "windows"), None),
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


def test_a_report_of_a_calibrated_package_says_what_its_regions_held(package, tmp_path):
    made, dataset = package("constant_velocity", spec=WindowSpec(2, (1, 2)), scenes=40)
    anchors = partition_anchors(made, dataset, "all")
    made = replace(made, calibration=calibrated(made, dataset, anchors, (0.8, 0.9)).to_plain())
    result = evaluate(made, dataset, anchors)
    write_report(made, dataset, anchors, {**result, "followed": followed(made, dataset, anchors)}, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert faults(report) == []
    regions = report["regions"]
    assert regions["windows"] == report["windows"] == len(anchors)
    for row in regions["levels"]:
        positions = [kind["positions"] for kind in row["types"]]
        assert [kind["type"] for kind in row["types"]] == ["a", "b"]
        assert sum(positions) == row["positions"] == regions["positions"] == report["plain"]["positions"]
        assert row["overall"] == pytest.approx(np.average([kind["overall"] for kind in row["types"]], weights=positions))
        assert row["worst"] in row["types"]
        assert abs(row["overall"] - row["level"]) < 0.05
    assert "each step" in (tmp_path / "report.html").read_text(encoding="utf-8")
