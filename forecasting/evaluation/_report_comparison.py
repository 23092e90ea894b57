"""Several packages beside each other: one table, one picture, as a page and as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forecasting.errors import UsageError
from forecasting.evaluation._report_figures import Plan, draw
from forecasting.evaluation._report_page import render_comparison
from forecasting.evaluation._report_plain import plain
from forecasting.evaluation._report_tables import Table
from forecasting.evaluation._report_words import number
from forecasting.evaluation.figures.comparison import accuracy_against_symmetry
from forecasting.files import atomic_file, write_json

SCHEMA = "forecasting.comparison/1"
PREFERRED = ("so3", "yaw")


def write_comparison(results: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write `comparison.html`, `comparison.json` and `figures/accuracy-against-symmetry.svg` and `.png`.

    Args:
        results: of `evaluate`, one for each package; a `name` in a result stands for its model.
        folder: to write to.

    Returns:
        path of the page.

    Raises:
        UsageError: if there are none or their errors are in different units.
    """
    units = sorted({str(result["unit"]) for result in results})
    if len(units) != 1:
        raise UsageError(f"a comparison needs results in one unit, found {', '.join(units) or 'no result'}")
    names = _names(results)
    shared = [name for name in results[0]["copies"] if all(name in result["copies"] for result in results)]
    moved = next((name for name in PREFERRED if name in shared), shared[0] if shared else None)
    if moved is None:
        raise UsageError("a comparison needs a moved copy that all results have; evaluate them with the same program")
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    marks = [
        (name, float(result["copies"][moved]["residual"]), float(result["plain"]["mse"]))
        for name, result in zip(names, results, strict=True)
    ]
    meaning = results[0]["copies"][moved]["meaning"]
    plan = Plan(
        *(
            "accuracy-against-symmetry",
            "comparison",
            f"Error over equivariance residual, one mark for each model; inputs {meaning}",
        ),
        "Scatter plot: " + "; ".join(f"{name} residual {number(away)}, error {number(error)}" for name, away, error in marks),
        lambda: accuracy_against_symmetry(marks, units[0], meaning),
    )
    title = f"{len(results)} models compared"
    drawings = [drawing for drawing in [draw(plan, plan.name, folder / "figures")] if drawing]
    page = render_comparison(title, _table(names, results, shared, units[0]), drawings, _notes(results))
    with atomic_file(folder / "comparison.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    said = [{**result, "name": name} for name, result in zip(names, results, strict=True)]
    write_json(folder / "comparison.json", plain({"schema": SCHEMA, "unit": units[0], "moved": moved, "models": said}))
    return folder / "comparison.html"


def _names(results: Sequence[Mapping[str, Any]]) -> list[str]:
    names: list[str] = []
    for result in results:
        wanted = name = str(result.get("name") or result["model"])
        while name in names:
            name = f"{wanted} ({sum(other.partition(' (')[0] == wanted for other in names) + 1})"
        names.append(name)
    return names


def _table(names: Sequence[str], results: Sequence[Mapping[str, Any]], shared: Sequence[str], unit: str) -> Table:
    columns = [
        "model",
        f"MSE [{unit}²]",
        f"ADE [{unit}]",
        f"FDE [{unit}]",
        "constant velocity's MSE",
        *(f"residual, {name}" for name in shared),
    ]
    rows = [
        [
            name,
            *(number(result["plain"].get(key)) for key in ("mse", "ade", "fde")),
            number(result["baselines"]["constant_velocity"]["mse"]),
            *(number(result["copies"][copy]["residual"]) for copy in shared),
        ]
        for name, result in zip(names, results, strict=True)
    ]
    return Table(columns, rows, "Errors on the plain test set, and residuals on its moved copies")


def _notes(results: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    if len({(result.get("data"), result.get("partition"), result["windows"]) for result in results}) > 1:
        notes.append("These results are not of the same windows of the same data: compare them with care.")
    if len({tuple(result["lead_times"]) for result in results}) > 1:
        notes.append("These models forecast different lead times: errors further ahead are larger.")
    return notes
