"""Filling the page: sections in their order, style and player inside, nothing from elsewhere."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from forecasting import player
from forecasting.evaluation import _report_tables as tables
from forecasting.evaluation import _report_words as words
from forecasting.evaluation._report_figures import Drawing
from forecasting.evaluation._report_tables import Table

SECTIONS = ("regions", "followed", "verdicts", "robustness", "lie", "drift", "trace", "coverage", "two_sample", "playback")
CLOSING = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render_report(title: str, result: Mapping[str, Any], drawings: Sequence[Drawing], facts: Sequence[tuple[str, str]]) -> str:
    """The page of one evaluation."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            headline=words.headline(result),
            result={**dict.fromkeys(SECTIONS), **result},
            drawings=drawings,
            facts=facts,
            glossary=words.glossary(),
            failure=words.failure,
            findings=words.findings,
            next_steps=words.next_steps,
            tables=_tables(result),
            trust=_coverage(result.get("coverage")),
            player=Markup(player.script()),
            player_style=Markup(player.style()),
            playback=embedded(result.get("playback") or []),
        )
    )


def render_comparison(title: str, table: Table, drawings: Sequence[Drawing], notes: Sequence[str]) -> str:
    """The page that compares several packages."""
    return _environment().get_template("comparison.html.j2").render(title=title, table=table, drawings=drawings, notes=notes)


def embedded(value: Any) -> Markup:
    """JSON that can stand inside a script element: nothing in it can close the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup("".join(CLOSING.get(letter, letter) for letter in text))


def _tables(result: Mapping[str, Any]) -> dict[str, list[Table]]:
    found: dict[str, list[Table]] = {"errors": [tables.error_table(result)]}
    verdicts, robustness, samples = (result.get(name) for name in ("verdicts", "robustness", "two_sample"))
    if regions := result.get("regions"):
        found["regions"] = [tables.region_table(regions, result["unit"])]
        found["held"] = tables.held_tables(regions, result["lead_times"])
    if followed := result.get("followed"):
        found["regions"] = [*found.get("regions", []), tables.region_table(followed, result["unit"], following=True)]
    if verdicts and not words.failure(verdicts):
        found["verdicts"] = [tables.verdict_table(verdicts)]
        layers = tables.layer_table(verdicts)
        found["verdict details"] = [tables.cost_table(verdicts, result["unit"]), *([layers] if layers else [])]
    if robustness and not words.failure(robustness):
        found["robustness"] = [tables.given_table(table) for table in robustness.get("tables", [])]
    if samples and not words.failure(samples):
        found["two_sample"] = [tables.sample_table(samples)]
    return found


def _coverage(coverage: Any) -> dict[str, Any]:
    """What coverage says in sentences, and its numbers."""
    if not coverage or words.failure(coverage):
        return {"sentences": [], "numbers": []}
    sentences = coverage.get("sentences") or [coverage.get("because")]
    told = {key: value for key, value in coverage.items() if key not in ("covers_yaw", "covers_space", "because", "sentences")}
    return {"sentences": [line for line in sentences if line], "numbers": tables.flat(told)}


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("forecasting.evaluation", "."),
        autoescape=select_autoescape(default=True, default_for_string=True, enabled_extensions=("j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
