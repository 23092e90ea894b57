"""Everything that is said of a package: sections stand alone, and one that fails says why."""

import json
from importlib.resources import files

import pytest

from forecasting.errors import DataError
from forecasting.evaluation import diagnosis
from forecasting.evaluation.diagnosis import SECTIONS, diagnose
from forecasting.evaluation.protocol import partition_anchors
from forecasting.evaluation.report import SCHEMA
from forecasting.evaluation.verdict import Settings
from forecasting.trajectories.windows import WindowSpec

QUICK = Settings(epochs=1, residual=20, draws=3)
CHAIN = {"hidden": 6, "layers": 2, "chain": ["translations", "O(3)", "SO(3)"]}
DATA_ALONE = ("verdicts", "coverage", "two_sample")


@pytest.fixture
def own(package):
    """(package, data set, windows to test on) with the split of its own training."""
    made, dataset = package(
        "egnn", CHAIN, WindowSpec(2, (1, 2), stride=3), scenes=60, frames=8, gaps=False, velocity=True, types=("one",)
    )
    return made, dataset, partition_anchors(made, dataset, "test")


def fails(error):
    def section(*_arguments, **_settings):
        raise error

    return section


def test_sections_that_are_asked_for_are_there_and_plain(own):
    package, dataset, anchors = own
    seen = []
    result = diagnose(package, dataset, anchors, sections=DATA_ALONE, settings=QUICK, watch=lambda *step: seen.append(step))
    json.dumps(result, allow_nan=False)
    assert set(SECTIONS) & set(result) == set(DATA_ALONE)
    assert result["plain"]["windows"] == len(anchors)
    assert not any("failed" in result[name] for name in DATA_ALONE if isinstance(result[name], dict))
    windows = result["verdicts"]["windows"]
    assert windows["test"] == len(anchors)
    assert windows["learn"] == len(partition_anchors(package, dataset, "train"))
    assert {what for what, _, _ in seen} == {"errors", "verdict"}
    assert all(0 <= done <= total for _, done, total in seen)


def test_what_is_said_fits_the_published_schema(own):
    jsonschema = pytest.importorskip("jsonschema", reason="the schema is checked with the package jsonschema")
    schema = json.loads((files("forecasting.evaluation") / "report.schema.json").read_text(encoding="utf-8"))
    result = {"schema": SCHEMA, **diagnose(*own, sections=DATA_ALONE, settings=QUICK)}
    assert [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(result)] == []


def test_time_reversal_and_scale_come_from_the_data_alone(own):
    package, dataset, anchors = own
    rows = diagnose(package, dataset, anchors, sections=("verdicts", "two_sample"), settings=QUICK)["verdicts"]["groups"]
    hints = {row["group"]: row for row in rows[-2:]}
    assert set(hints) == {"time reversal", "scale"}
    for row in hints.values():
        assert row.keys() == rows[0].keys()
        assert row["data"] == "cannot tell"
        assert row["because"].startswith("Cannot tell from the network")
        assert set(row["model"].values()) == {None}
        assert row["model"].keys() == rows[0]["model"].keys()
    alone = diagnose(package, dataset, anchors, sections=("verdicts",), settings=QUICK)["verdicts"]["groups"]
    assert len(alone) == len(rows) - 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataError("too few scenes"), "too few scenes"),
        (ValueError("bad shape"), "ValueError: bad shape"),
        (ZeroDivisionError(), "ZeroDivisionError: "),
    ],
)
@pytest.mark.parametrize(
    ("section", "maker"),
    [
        ("verdicts", "judge"),
        ("coverage", "coverage"),
        ("two_sample", "two_sample"),
        ("robustness", "robustness"),
        ("lie", "lie_derivatives"),
        ("drift", "drift"),
    ],
)
def test_a_section_that_fails_leaves_the_others_standing(own, monkeypatch, section, maker, error, said):
    package, dataset, anchors = own
    for other in ("judge", "coverage", "two_sample", "robustness", "lie_derivatives", "drift"):
        monkeypatch.setattr(diagnosis, other, lambda *_arguments, name=other, **_settings: {"made by": name})
    monkeypatch.setattr(diagnosis, maker, fails(error))
    result = diagnose(package, dataset, anchors[:5], settings=QUICK)
    assert result[section] == {"failed": said}
    assert all("made by" in result[name] for name in SECTIONS if name != section)
    assert result["plain"]["windows"] == 5


def test_too_few_scenes_fail_the_verdict_only(own):
    package, dataset, anchors = own
    few = anchors[anchors[:, 0] == anchors[0, 0]]
    result = diagnose(package, dataset, few, sections=DATA_ALONE, settings=QUICK)
    assert "1 scenes to compare" in result["verdicts"]["failed"]
    assert "because" in result["coverage"]
    assert result["two_sample"]


def test_an_error_of_the_data_is_an_error_of_all(own):
    package, dataset, anchors = own
    with pytest.raises(DataError):
        diagnose(package, dataset, anchors[:0], sections=(), settings=QUICK)
