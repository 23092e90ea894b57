"""Which figures a result asks for, and drawing them so that one that fails leaves the rest standing."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from forecasting.evaluation._report_words import failure, number
from forecasting.evaluation.figures import style
from forecasting.evaluation.figures.coverage import heading_rose
from forecasting.evaluation.figures.drift import drift_figure, series_of
from forecasting.evaluation.figures.errors import error_over_copies, error_over_time
from forecasting.evaluation.figures.lie import lie_derivatives
from forecasting.evaluation.figures.robustness import robustness_curve
from forecasting.evaluation.figures.training import KINDS, level_kinds, levels, losses
from forecasting.evaluation.figures.verdicts import verdict_ratios

LONGEST_NAME = 40
EXPLAINED = {
    "c": "how much it breaks the symmetry",
    "gamma": "how far it is let go",
    "dual": "what training charges for the level",
    "lambda": "what training charges for the distance to the group",
}


@dataclass(frozen=True)
class Plan:
    """A figure that could be drawn.

    Attributes:
        name: of its files; section: of the page; caption: what is seen; alt: the same for those who cannot see it;
        make: draws it, or returns None where there is nothing to draw.
    """

    name: str
    section: str
    caption: str
    alt: str
    make: Callable[[], Figure | None]


@dataclass(frozen=True)
class Drawing:
    """A figure of the page, or why there is none."""

    name: str
    section: str
    caption: str
    alt: str
    svg: str = ""
    failure: str = ""


def draw_all(result: Mapping[str, Any], folder: Path) -> list[Drawing]:
    """Draw every figure that the result asks for, also as `NAME.svg` and `NAME.png` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings, names = [], set[str]()
    for plan in _plans(dict(result)):
        name = plan.name
        while name in names:
            name += "-x"
        names.add(name)
        drawing = draw(plan, name, folder)
        if drawing:
            drawings.append(drawing)
    return drawings


def draw(plan: Plan, name: str, folder: Path) -> Drawing | None:
    """Draw one figure; None where there is nothing to draw, the reason where it fails."""
    try:
        with matplotlib.rc_context(style.SETTINGS):
            figure = plan.make()
            if figure is None:
                return None
            return Drawing(name, plan.section, plan.caption, plan.alt, svg=style.write(figure, name, folder))
    except Exception as error:
        why = f"This figure could not be drawn: {type(error).__name__}: {error}"
        return Drawing(name, plan.section, plan.caption, plan.alt, failure=why)


def file_name(text: str) -> str:
    """A short name of small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:LONGEST_NAME] or "figure"


def _capital(text: Any) -> str:
    return str(text)[:1].upper() + str(text)[1:]


def _plans(result: dict[str, Any]) -> Iterator[Plan]:
    yield from _errors(result)
    for name, make in (
        ("verdicts", _verdicts),
        ("robustness", _robustness),
        ("lie", _lie),
        ("drift", _drift),
        ("trace", _trace),
        ("coverage", _coverage),
    ):
        section = result.get(name)
        if section and not failure(section):
            yield from make(section, str(result["unit"]))


def _errors(result: dict[str, Any]) -> Iterator[Plan]:
    unit, last = result["unit"], number(result["plain"]["distance_per_step"][-1])
    simple = number(result["baselines"]["constant_velocity"]["distance_per_step"][-1])
    yield Plan(
        *("error-over-lead-time", "errors", "Mean distance over lead time: the further ahead, the harder"),
        f"Line chart. At the last step the model is off by {last} {unit}, constant velocity by {simple} {unit}.",
        lambda: error_over_time(result),
    )
    copies = ", ".join(f"{name} {number(copy['mse'])}" for name, copy in result["copies"].items())
    yield Plan(
        *(
            "error-on-copies",
            "errors",
            "Error on the test set as it is and on its moved copies: equal where model and data have the symmetry",
        ),
        f"Chart of mean squared errors in {unit}²: plain {number(result['plain']['mse'])}, {copies}.",
        lambda: error_over_copies(result),
    )


def _verdicts(section: dict[str, Any], unit: str) -> Iterator[Plan]:
    ratios = ", ".join(f"{row['group']} {number(row['ratio']['value'])}" for row in section["groups"] if row.get("ratio"))
    yield Plan(
        *("verdict-ratios", "verdicts"),
        "What holding the model to each group costs: left of the dotted line (2 %) the data keep it, right of it they break it",
        f"Ratios of errors with 95 % intervals: {ratios}.",
        lambda: verdict_ratios(section),
    )


def _robustness(section: dict[str, Any], unit: str) -> Iterator[Plan]:
    for curve in section.get("curves", []):
        worst = max((value for value in curve.get("residual") or [] if value is not None), default=None)
        scale = f" in {curve['unit']}" if curve.get("unit") else ""
        yield Plan(
            f"robustness-{file_name(str(curve['name']))}",
            "robustness",
            f"{_capital(curve['name'])}: {curve.get('meaning') or 'error and residual over the size of the change'}",
            f"Line chart over {curve['name']}{scale}. The largest residual is {number(worst)}.",
            lambda one=curve: robustness_curve(one, unit),  # type: ignore[misc]
        )


def _lie(section: dict[str, Any], unit: str) -> Iterator[Plan]:
    yield Plan(
        *(
            "lie-derivatives",
            "lie",
            "How fast model and layers fall out of step when the input begins to move; what is below 10⁻⁹ stands there",
        ),
        "Marks for each generator; whole model: "
        + ", ".join(f"{name} {number(value)}" for name, value in (section.get("end_to_end") or {}).items()),
        lambda: lie_derivatives(section),
    )


def _drift(section: dict[str, Any], unit: str) -> Iterator[Plan]:
    rollout = section.get("rollout") or {}
    if failure(rollout):
        return
    ends = ", ".join(f"{name} {number(values[-1])}" for name, values in series_of(rollout).items())
    yield Plan(
        *("drift", "drift", "Forecasts fed back to the model: error, and drift of what should stay constant"),
        f"Line charts over time. At the end: {ends}.",
        lambda: drift_figure(rollout, unit),
    )


def _trace(section: dict[str, Any], unit: str) -> Iterator[Plan]:
    yield Plan(
        *("loss", "training", "Loss while the model learned"),
        "Line chart of losses over epochs.",
        lambda: losses(section),
    )
    for kind in level_kinds(section):
        yield Plan(
            *(f"training-{kind}", "training", f"{_capital(KINDS[kind])} ({EXPLAINED[kind]}), of every layer and part of its map"),
            f"Line chart of {KINDS[kind]} over training steps, one line for each layer and part.",
            lambda one=kind: levels(section, one),  # type: ignore[misc]
        )


def _coverage(section: dict[str, Any], unit: str) -> Iterator[Plan]:
    bins = (section.get("heading") or {}).get("bins")
    if bins:
        reached = sum(1 for count in bins if count)
        yield Plan(
            *("headings", "coverage", "Headings: which way things move, as shares of all movement"),
            f"Rose of headings: {reached} of {len(bins)} directions occur.",
            lambda: heading_rose(bins),
        )
