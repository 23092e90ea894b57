"""`forecast package`: made, looked into, compared."""

import dataclasses
import json

import pytest

from forecasting.cli.main import main
from forecasting.packages import load_package, save_package
from forecasting.packages.cards import public
from forecasting.testing.packages import assert_same, small_package

DIAGNOSIS = {
    "model": "egnn",
    "unit": "m",
    "plain": {"mse": 1.0, "ade": 0.5, "fde": 0.7, "mpjpe": 0.7, "mse_per_step": [1.0]},
    "baselines": {"static": {"mse": 4.0, "ade": 2.0, "fde": 3.0, "mpjpe": 3.0}},
    "copies": {"yaw": {"meaning": "turned", "residual": 1e-7}},
    "verdicts": {
        "reading": "O(3) is broken.",
        "axis": {"vector": [0.0, 0.0, 1.0]},
        "broken_by": "relaxed.0",
        "seconds": 3.0,
        "groups": [
            {
                "group": "O(3)",
                "meaning": "every rotation",
                "data": "broken",
                "because": "worse",
                "model": {"residual": 0.2, "low": 0.1, "high": 0.3},
                "ratio": {"value": 1.5},
                "distance": {"relaxed.0": 1.0},
            }
        ],
    },
    "partition": "test",
    "data": "abc",
    "windows": 7,
}


@pytest.fixture
def made(tmp_path):
    package, _ = small_package(tmp_path / "data")
    card = {"seed": 3, "epochs": 2.0, "best_validation": 0.1, "run": "/home/somebody/run", "data": {"folder": "C:\\d\\set"}}
    return save_package(dataclasses.replace(package, symmetry=None, calibration=None, card=card), tmp_path / "package")


def call(capsys, *arguments):
    capsys.readouterr()
    code = main(["package", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def text(capsys, *arguments):
    capsys.readouterr()
    assert main(["package", *map(str, arguments)]) == 0
    return capsys.readouterr().out


@pytest.fixture
def built(made, tmp_path, capsys):
    (tmp_path / "diagnosis.json").write_text(json.dumps(DIAGNOSIS))
    (tmp_path / "calibration.json").write_text(json.dumps({"levels": [0.9]}))
    given = ("--symmetry", tmp_path / "diagnosis.json", "--calibration", tmp_path / "calibration.json")
    code, _ = call(capsys, "build", made, "-o", tmp_path / "built", *given, "--name", "small", "--note", "for tests")
    assert code == 0
    return tmp_path / "built"


def test_building_keeps_the_diagnosis_and_drops_private_folders(made, built):
    before, after = load_package(made), load_package(built)
    assert after.symmetry["reading"] == "O(3) is broken."
    assert after.symmetry["groups"][0]["residual"]["residual"] == 0.2
    assert after.card["errors"]["rows"]["static"]["ade"] == 2.0
    assert (after.card["name"], after.card["note"], after.calibration) == ("small", "for tests", {"levels": [0.9]})
    assert (after.card["run"], after.card["data"]["folder"]) == ("run", "set")
    assert_same(dataclasses.replace(after, card=before.card, symmetry=None, calibration=None), before)


def test_a_calibration_can_come_from_another_package(made, built, tmp_path, capsys):
    code, result = call(capsys, "build", made, "-o", tmp_path / "third", "--calibration", built)
    assert (code, result["calibration"], result["symmetry"]) == (0, {"levels": [0.9]}, None)


def test_inspect_says_what_it_is(built, capsys):
    code, result = call(capsys, "inspect", built)
    assert code == 0
    assert (result["model"], result["unit"], result["seed"], result["window"]["horizon"]) == ("egnn", "m", 3, [1, 3])
    assert set(result["digests"]) == {"weights", "content"}
    shown = text(capsys, "inspect", built)
    for said in (
        "small: for tests",
        "O(3) is broken.",
        "10 frames/s",
        "2 types (a, b)",
        "charge (0e, e)",
        "0.5",
        result["digests"]["content"],
    ):
        assert said in shown, said


def test_a_diagnosis_without_a_verdict_leaves_the_residuals(made, tmp_path, capsys):
    (tmp_path / "d.json").write_text(json.dumps({**DIAGNOSIS, "verdicts": {"failed": "/tmp/x/set: too few scenes"}}))
    call(capsys, "build", made, "-o", tmp_path / "built", "--symmetry", tmp_path / "d.json")
    card = load_package(tmp_path / "built").symmetry
    assert (card["groups"], card["copies"]["yaw"]["residual"]) == ([], 1e-7)
    assert card["reading"] == "No verdict on the data: set: too few scenes."
    assert "1e-07" in text(capsys, "inspect", tmp_path / "built")


def test_diff_says_what_differs(made, built, tmp_path, capsys):
    assert text(capsys, "diff", made, made) == "no difference\n"
    code, result = call(capsys, "diff", made, built)
    where = {row["where"] for row in result["values"]}
    assert code == 0
    assert {"card.name", "card.run", "calibration.levels", "symmetry.reading"} <= where
    assert (result["weights"]["changed"], result["weights"]["shapes"]) == ([], [])
    package = load_package(made)
    weights = dict(package.weights) | {"embedding.bias": package.weights["embedding.bias"] + 1}
    other = save_package(dataclasses.replace(package, weights=weights), tmp_path / "other")
    code, result = call(capsys, "diff", made, other)
    assert (result["same"], result["values"], len(result["weights"]["changed"])) == (False, [], 1)
    assert result["weights"]["changed"][0]["difference"] == pytest.approx(6**0.5, rel=1e-6)
    assert "embedding.bias" in text(capsys, "diff", made, other)
    wider = save_package(small_package(tmp_path / "wide", hidden=7, layers=2)[0], tmp_path / "wider")
    _, result = call(capsys, "diff", made, wider)
    assert {"where": "arguments.hidden", "one": 6, "other": 7} in result["values"]
    assert {row["name"] for row in result["weights"]["shapes"]} >= {"embedding.bias"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["inspect", "a", "b"], 2, "takes 1 package, found 2"),
        (["diff", "a"], 2, "takes 2 packages, found 1"),
        (["build", "a"], 2, "needs -o"),
        (["inspect", "a", "--name", "x"], 2, "--name belongs to"),
        (["inspect", "nowhere"], 4, "not a model package"),
    ],
)
def test_misuse_is_told(arguments, code, said, capsys):
    found, result = call(capsys, *arguments)
    assert (found, said in result["error"]) == (code, True), result


@pytest.mark.parametrize(("content", "said"), [("[1]", "no JSON object"), ("{", "cannot be read"), ("{}", "no verdicts")])
def test_a_diagnosis_that_is_none_is_told(content, said, made, tmp_path, capsys):
    (tmp_path / "d.json").write_text(content)
    code, result = call(capsys, "build", made, "-o", tmp_path / "built", "--symmetry", tmp_path / "d.json")
    assert (code, said in result["error"]) == (2, True), result


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("/home/me/data/set", "set"),
        ("~/x y/run", "run"),
        ("C:\\data\\run", "run"),
        ("\\\\host\\share\\run", "run"),
        ("/tmp/a/set: 3 scenes", "set: 3 scenes"),
        ("see /tmp/a/set, or not", "see set, or not"),
        ("m/s", "m/s"),
        ("error / free", "error / free"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("checkpoints/run", "checkpoints/run"),
        ([1, {"a": "/b/c"}], [1, {"a": "c"}]),
        (None, None),
    ],
)
def test_folders_of_this_machine_stay_here(value, kept):
    assert public(value) == kept


@pytest.mark.parametrize(
    "odd",
    [
        {"symmetry": {"groups": 3}},
        {"symmetry": {"copies": {"yaw": 1}}},
        {"card": {"errors": {"rows": [1]}}},
        {"card": {"data": ["a"]}},
        {"card": {"epochs": "many"}},
    ],
    ids=str,
)
def test_cards_of_another_shape_are_refused_in_one_line(capsys, made, odd):
    save_package(dataclasses.replace(load_package(made), **odd), made)
    assert main(["package", "inspect", str(made)]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "cards are not of the usual shape" in line
    assert main(["package", "inspect", str(made), "--json"]) == 0


@pytest.mark.parametrize("plain", [{}, {"window": [1]}, {"window": {}}], ids=str)
def test_an_old_card_that_lacks_something_is_refused(capsys, made, plain):
    (made / "package.json").write_text(json.dumps({"schema_version": 1, **plain}))
    assert main(["package", "inspect", str(made)]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1
