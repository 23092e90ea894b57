"""`forecast diagnose` as a person and another program use it."""

import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from forecasting.cli.main import main
from forecasting.packages import load_package, save_package
from forecasting.testing.packages import assert_same
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import WindowSpec

CHAIN = {"hidden": 6, "layers": 2, "chain": ["translations", "O(3)", "SO(3)"]}
SCENE = {"frames": 8, "gaps": False, "velocity": True, "types": ("one",)}
KIND = {"scenes": 60, **SCENE}
QUICK = ("--epochs", 1, "--learn", 60, "--test", 40)


@pytest.fixture
def saved(package, tmp_path):
    """Makes (package folder, data folder)."""

    def make(arguments=CHAIN, **kind):
        made, dataset = package("egnn", arguments, WindowSpec(2, (1, 2), stride=3), **{**KIND, **kind})
        made = replace(made, card={**made.card, "training": {"learning_rate": 1e-3, "loss": "mse", "clip_norm": 1.0}})
        return save_package(made, tmp_path / "package"), dataset.folder

    return make


def call(capsys, *arguments):
    """Run the verb with --json; returns exit code, the one object on standard output, and standard error."""
    capsys.readouterr()
    code = main(["diagnose", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_verdicts_as_one_object(saved, capsys):
    code, result, _ = call(capsys, *saved(), *QUICK)
    assert code == 0
    assert result["partition"] == "test"
    found = result["verdicts"]
    assert {row["data"] for row in found["groups"]} <= {"kept", "broken", "cannot tell"}
    assert {"O(3)", "translations", "time reversal", "scale"} <= {row["group"] for row in found["groups"]}
    assert all(row["because"].endswith(".") for row in found["groups"])
    assert {"full", "O(3)", "strict"} <= set(found["errors"])
    assert "report" not in result
    assert not {"robustness", "lie", "drift"} & set(result)


def test_the_verdict_can_be_kept_in_the_package(saved, capsys):
    folder, data = saved()
    before = load_package(folder)
    code, result, err = call(capsys, folder, data, *QUICK, "--keep")
    assert (code, f"kept in {folder}" in err) == (0, True)
    after = load_package(folder)
    assert after.symmetry["reading"] == result["verdicts"]["reading"]
    assert [row["data"] for row in after.symmetry["groups"]] == [row["data"] for row in result["verdicts"]["groups"]]
    assert after.card["errors"]["rows"]["egnn"]["ade"] == result["plain"]["ade"]
    assert_same(replace(after, card=before.card, symmetry=None), before)


def test_what_people_read(saved, capsys):
    assert main(["diagnose", *map(str, (*saved(), *QUICK))]) == 0
    out, _ = capsys.readouterr()
    assert "error held to it / free" in out
    assert "\ntranslations: " in out
    assert "\nO(3): " in out


def test_a_strict_package_is_told_how_to_find_out(saved, capsys):
    assert main(["diagnose", *map(str, (*saved({"hidden": 6, "layers": 2}), *QUICK))]) == 0
    out, _ = capsys.readouterr()
    assert "train with relaxation=mixed" in out
    assert "broken" not in out


def test_no_verdict_is_said_in_a_line(saved, capsys):
    assert main(["diagnose", *map(str, (*saved(scenes=6), *QUICK))]) == 0
    out, _ = capsys.readouterr()
    assert "scenes to compare" in out


@pytest.mark.slow
def test_the_report_fits_its_schema(saved, tmp_path, capsys):
    jsonschema = pytest.importorskip("jsonschema", reason="the schema is checked with the package jsonschema")
    schema = json.loads((files("forecasting.evaluation") / "report.schema.json").read_text(encoding="utf-8"))
    folder = tmp_path / "report"
    code, result, err = call(capsys, *saved(), *QUICK, "--report", folder)
    assert code == 0
    assert f"report: {result['report']}" in err
    written = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(written)] == []
    for name in ("verdicts", "robustness", "lie", "drift"):
        assert "failed" not in written[name], written[name]
    assert written["verdicts"] == result["verdicts"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "could not be drawn" not in page
    assert "translations across n" in page or "shifted anywhere" in page


ERRORS = {
    "no epochs": (2, ["{package}", "{data}", "--epochs", "0"], "--epochs must be at least 1, found 0"),
    "nothing to learn from": (2, ["{package}", "{data}", "--learn", "0"], "--learn must be at least 1, found 0"),
    "nothing to test on": (2, ["{package}", "{data}", "--test", "-3"], "--test must be at least 1, found -3"),
    "not a package": (4, ["{data}", "{data}"], "not a model package"),
    "no such data": (3, ["{package}", "{tmp}/nowhere.csv"], "nowhere.csv"),
    "wrong unit": (3, ["{package}", "{tmp}/pixels"], "px"),
    "unknown unit": (2, ["{package}", "{tmp}/tracks.csv", "--unit", "x=1m", "--data-root", "{tmp}/sets"], "axes"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_line_with_a_code(case, saved, tmp_path, capsys):
    package, data = saved(scenes=3)
    rows = [f"{frame * 0.1:.1f},{node},{node + frame},{node},{frame}" for frame in range(8) for node in range(3)]
    (tmp_path / "tracks.csv").write_text("\n".join(["time,node,x,y,z", *rows]) + "\n")
    scenes = (random_scene(np.random.default_rng(index), f"scene-{index}", **SCENE) for index in range(3))
    build_dataset((replace(scene, unit=Unit("px")) for scene in scenes), tmp_path / "pixels")
    code, arguments, said = ERRORS[case]
    found, result, err = call(capsys, *(item.format(package=package, data=data, tmp=tmp_path) for item in arguments))
    assert (found, result.get("exit_code")) == (code, code), result
    assert said in result["error"]
    assert err.strip().splitlines()[-1] == f"forecast: error: {result['error']}"
