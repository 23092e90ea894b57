"""The page stands whatever the result holds, and says what it holds."""

import json
import re
from html.parser import HTMLParser

import pytest

from forecasting.errors import UsageError
from forecasting.evaluation._report_figures import draw_all
from forecasting.evaluation._report_page import embedded, render_report
from forecasting.evaluation.protocol import evaluate, partition_anchors
from forecasting.evaluation.report import write_comparison, write_report
from forecasting.testing.reports import SECTIONS, example_errors, example_result

VOID = {"meta", "input", "br", "img"}
HOSTILE = (
    '<img src=x onerror="alert(1)">',
    "</script><script>alert(1)</script>",
    "\"quoted\" & 'so'",
    "$x_1^2$ \\frac{",
    "走る 🏃 \u202e",
)


class Page(HTMLParser):
    """What a browser would see: tags that are open and closed, ids, scripts, text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.scripts, self.text, self.tags = [], [], [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.tags.append((tag, named))
        self.ids += [named["id"]] if "id" in named else []
        if tag not in VOID:
            self.open.append(tag)
            self.scripts += [""] if tag == "script" else []

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif "style" not in self.open:
            self.text += " ".join(data.split()) + " "


def page_of(result, folder, title="a model"):
    return Page(render_report(title, result, draw_all(result, folder), [("data", "abc")]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of a result with every part, and the folder of its figures."""
    folder = tmp_path_factory.mktemp("figures")
    return page_of(example_result(), folder), folder


def test_a_whole_result_is_told_in_order(whole):
    page, folder = whole
    assert not page.open
    assert len(page.ids) == len(set(page.ids))
    headings = [
        "Which symmetry",
        "Errors",
        "Regions: how often",
        "When the input changes",
        "Training",
        "What the data",
        "Scenes to play",
        "What was done",
        "How to",
    ]
    places = [page.text.rindex(heading) for heading in headings]
    assert places == sorted(places)
    for said in (
        "✗ broken",
        "✓ kept",
        "? cannot tell",
        "(0.300, -0.500, 0.810), known to about 0.4°",
        "accounts for 99% of what breaks",
        "relaxed.2",
        "7.1 (6.2 to 8)",
        "residual 0.36 (0.324 to 0.396)",
    ):
        assert said in page.text
    assert "could not be drawn" not in page.text
    assert "could not be made" not in page.text
    drawn = {path.stem for path in folder.iterdir() if path.suffix == ".png"}
    assert drawn == {path.stem for path in folder.iterdir() if path.suffix == ".svg"}
    assert drawn >= {
        "error-over-lead-time",
        "verdict-ratios",
        "robustness-noise",
        "training-c",
        "headings",
        "lie-derivatives",
        "drift",
    }


def test_the_page_says_how_often_regions_held_the_truth(whole, tmp_path):
    page, _ = whole
    for said in (
        "Held: 100 windows, 2000 positions",
        "79.6%",
        "94.6%",
        "78.1%",
        "77.6% to 81.6%",
        "76.0% ball",
        "sizes come from 240 scenes",
    ):
        assert said in page.text
    regions = example_result()["regions"]
    followed = page_of({**example_result(), "followed": regions}, tmp_path)
    assert "Held following each recording: 100 windows" in followed.text
    assert "Regions" not in page_of(example_errors(), tmp_path).text


def test_nothing_is_fetched_and_pictures_have_words(whole):
    page, _ = whole
    for tag, named in page.tags:
        for key in ("src", "href", "xlink:href", "action"):
            assert named.get(key, "#").startswith("#"), (tag, named)
        if named.get("role") == "img":
            assert len(named["aria-label"]) > 30
        if tag == "th":
            assert named["scope"] in ("col", "row")


def test_parts_that_failed_say_why_and_leave_the_rest(tmp_path):
    failed = {name: {"failed": f"{name} ran out of <luck>"} for name in SECTIONS}
    page = page_of({**example_errors(), **failed}, tmp_path)
    assert not page.open
    for name in SECTIONS:
        assert f"{name} ran out of <luck>" in page.text
    assert "constant velocity" in page.text
    assert {path.stem for path in tmp_path.iterdir()} == {"error-over-lead-time", "error-on-copies"}


def test_parts_that_were_not_asked_for_are_not_shown(tmp_path):
    page = page_of(example_errors(), tmp_path)
    assert not page.open
    for heading in ("Which symmetry", "When the input changes", "Training", "What the data alone", "Scenes to play"):
        assert heading not in page.text
    assert "could not be drawn" not in page.text
    assert "could not be made" not in page.text


def test_a_figure_that_fails_leaves_the_others(tmp_path):
    robustness = example_result()["robustness"]
    robustness["curves"][0]["error"] = ["no number"] * 13
    page = page_of({**example_errors(), "robustness": {**robustness, "curves": robustness["curves"][:2]}}, tmp_path)
    assert page.text.count("This figure could not be drawn: ValueError") == 1
    assert "Rotation about z (up)" in page.text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_only_names(name, tmp_path):
    result = example_result()
    result["model"] = result["verdicts"]["groups"][0]["group"] = result["verdicts"]["reading"] = name
    result["verdicts"]["groups"][0]["because"] = result["playback"][0]["scene"] = result["robustness"]["curves"][0]["name"] = name
    result["trace"]["levels"] = {f"c/{name}/1": [[0, 1], [0.1, None]]}
    result["lie"]["layers"] = {name: {name: 0.1}}
    del result["robustness"]["curves"][1:], result["drift"], result["coverage"]
    page = page_of(result, tmp_path, title=name)
    assert not page.open
    assert "could not be drawn" not in page.text
    assert len(page.scripts) == 3
    assert json.loads(page.scripts[0])[0]["scene"] == name
    assert not [tag for tag, named in page.tags if tag == "img" or any(key.startswith("on") for key in named)]
    assert " ".join(name.split()) in page.text


@pytest.mark.parametrize("name", [*HOSTILE, "\u2028 line", "<!--", "]]>"])
def test_embedded_values_come_back(name):
    text = embedded({"name": name})
    assert not re.search("[<>&\u2028]", text)
    assert json.loads(text) == {"name": name}


def test_figures_are_the_same_file_every_time(tmp_path):
    once, again = (
        {path.name: path.read_bytes() for path in (draw_all(example_errors(), tmp_path / name), tmp_path / name)[1].iterdir()}
        for name in "ab"
    )
    assert once == again


@pytest.mark.parametrize("dim", [2, 3])
def test_a_package_becomes_a_page_with_scenes_to_play(package, dim, tmp_path):
    made, dataset = package(dim=dim)
    anchors = partition_anchors(made, dataset, "all")
    result = evaluate(made, dataset, anchors)
    before = json.dumps(result)
    path = write_report(made, dataset, anchors, result, tmp_path / "report")
    assert json.dumps(result) == before
    page = Page(path.read_text(encoding="utf-8"))
    assert not page.open
    assert path.stat().st_size < 3e6
    written = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert written["schema"] == "forecasting.report/1"
    assert written["plain"] == json.loads(before)["plain"]
    assert json.loads(page.scripts[0]) == written["playback"]
    assert dataset.manifest.content in page.text


def test_a_report_survives_a_broken_playback(package, tmp_path, monkeypatch):
    made, dataset = package()
    anchors = partition_anchors(made, dataset, "all")
    monkeypatch.setattr("forecasting.evaluation.report.playback", lambda *_: 1 / 0)
    page = Page(write_report(made, dataset, anchors, evaluate(made, dataset, anchors), tmp_path).read_text(encoding="utf-8"))
    assert "This part could not be made: ZeroDivisionError" in page.text


def test_models_are_compared(tmp_path):
    results = [
        example_errors("egnn", 0.002, 0.0),
        example_errors("egnn", 0.001, 0.1),
        {**example_errors("mlp", 0.02, 0.9), "name": "<b>mine</b>"},
    ]
    path = write_comparison(results, tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    assert not page.open
    for name in ("egnn", "egnn (2)", "<b>mine</b>"):
        assert name in page.text
    assert "compare them with care" not in page.text
    written = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in written["models"]] == ["egnn", "egnn (2)", "<b>mine</b>"]
    assert (tmp_path / "figures" / "accuracy-against-symmetry.png").is_file()
    assert "compare them with care" in write_comparison([results[0], {**results[1], "data": "other"}], tmp_path / "b").read_text(
        encoding="utf-8"
    )


def test_different_units_are_not_compared(tmp_path):
    with pytest.raises(UsageError, match="one unit, found cm, m"):
        write_comparison([example_errors(), {**example_errors(), "unit": "cm"}], tmp_path)
    with pytest.raises(UsageError, match="no result"):
        write_comparison([], tmp_path)
