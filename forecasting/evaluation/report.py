"""The report: one HTML file that needs nothing else, and the numbers behind it as JSON."""

import base64
import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from matplotlib.figure import Figure

from forecasting.errors import DataError
from forecasting.evaluation.pictures import error_over_copies, error_over_time, forecast_figure, training_trace
from forecasting.files import atomic_file, write_json
from forecasting.inference.forecast import Forecast
from forecasting.inference.predictor import Predictor
from forecasting.packages.package import Package
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.trajectory import Source
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import Int

EXAMPLES = 4


@dataclass(frozen=True)
class _Drawing:
    """A figure of the page, or why there is none."""

    caption: str
    image: str = ""
    failure: str = ""


def write_report(package: Package, dataset: Dataset, anchors: Int, result: dict[str, Any], folder: Path) -> Path:
    """Write `report.html` and `report.json`.

    A figure that cannot be drawn says why and leaves the rest standing.

    Args:
        package: the model; dataset: the data; anchors: (W, 2) the windows that were evaluated.
        result: of `evaluate`.
        folder: to write to.

    Returns:
        path of the page.
    """
    drawings = [_draw("mean distance over lead time", lambda: error_over_time(result))]
    drawings.append(_draw("error on the plain test set and on its moved copies", lambda: error_over_copies(result)))
    history = Path(str(package.card.get("run", ""))) / "metrics.csv"
    if history.is_file():
        drawings.append(_draw("training and validation loss", lambda: training_trace(_rows(history))))
    chosen = anchors[np.linspace(0, len(anchors) - 1, min(EXAMPLES, len(anchors))).astype(int)]
    for number, anchor in enumerate(chosen, start=1):
        drawings.append(_draw(f"example {number}", lambda at=anchor: _example(package, dataset, at)))  # type: ignore[misc]
    environment = Environment(
        loader=PackageLoader("forecasting.evaluation", "."),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
    )
    environment.filters["number"] = _number
    page = environment.get_template("report.html.j2").render(
        title=f"{package.model} on {dataset.folder.name}",
        headline=_headline(result),
        result=result,
        rows=_table(result),
        figures=drawings,
        facts=_facts(package, dataset, result),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_json(folder / "report.json", result)
    return folder / "report.html"


def _headline(result: dict[str, Any]) -> str:
    mse, simple = result["plain"]["mse"], result["baselines"]["constant_velocity"]["mse"]
    if simple == 0:
        return f"The model's mean squared error is {mse:.4g} {result['unit']}²; constant velocity makes none."
    ratio = mse / simple
    said = f"{1 / ratio:.1f} times smaller than" if ratio < 1 else f"{ratio:.1f} times larger than"
    return (
        f"Over {result['windows']} windows the model's mean squared error is {mse:.4g} {result['unit']}², {said} that of "
        f"assuming constant velocity ({simple:.4g})."
    )


def _table(result: dict[str, Any]) -> list[tuple[str, dict[str, Any], float | None, str]]:
    rows: list[tuple[str, dict[str, Any], float | None, str]] = [
        (f"{result['model']}, plain", result["plain"], None, "the test set as it is")
    ]
    rows += [(f"{result['model']}, {name}", copy, copy["residual"], copy["meaning"]) for name, copy in result["copies"].items()]
    rows += [(name.replace("_", " "), sums, None, "baseline, plain") for name, sums in result["baselines"].items()]
    return rows


def _facts(package: Package, dataset: Dataset, result: dict[str, Any]) -> dict[str, Any]:
    card = package.card
    return {
        "model": f"{package.model} ({_said(package.arguments)})",
        "parameters": sum(value.numel() for value in package.weights.values()),
        "graph": package.topology,
        "window": f"{package.window.history} frames seen, steps {list(package.window.horizon)} forecast, "
        f"{package.window.step * package.dt:.4g} s apart",
        "data": f"{dataset.folder.name}: {dataset.manifest.counts['scenes']} scenes, content {dataset.manifest.content[:16]}",
        "known symmetry of the data": dataset.manifest.symmetry or "not stated",
        "split": f"{card['split']['kind']} ({_said(card['split']['arguments'])})" if "split" in card else "all windows",
        "partition": result.get("partition", "all"),
        "training": _said(card.get("training", {})) or "not recorded",
        "seeds": f"training {card.get('seed', 'unknown')}, transforms {result['seed']}",
        "package": f"forecasting {card.get('program_version', 'unknown')}",
    }


def _example(package: Package, dataset: Dataset, anchor: Int) -> Figure:
    windows = dataset.windows(package.window, anchor[None])
    if not len(windows.node):
        raise DataError("no node was observed at the anchor")
    positions, weights = Predictor(package).windows(windows)
    lead = windows.lead[0]
    simple = windows.position[:, -1:] + windows.velocity[:, -1:] * lead[None, :, None]
    scene = dataset.scenes[int(anchor[0])]
    forecast = Forecast(
        scene=scene,
        anchor_time=float(windows.anchor_time[0]),
        time=windows.anchor_time[0] + lead,
        positions=positions,
        weights=weights[0],
        anchor=windows.position[:, -1],
        node_ids=windows.node,
        node_types=windows.node_type.astype(str),
        unit=Unit(dataset.manifest.unit),
        frame=dataset.manifest.frame,
        source=Source(),
    )
    history = np.where(windows.position_valid[..., None], windows.position, np.nan)
    future = np.where(windows.future_valid[..., None], windows.future, np.nan)
    title = f"scene {scene} at {forecast.anchor_time:.4g} s, {lead[-1]:.3g} s ahead"
    return forecast_figure(forecast, history, future, simple, title)


def _draw(caption: str, make: Callable[[], Figure]) -> _Drawing:
    try:
        buffer = io.BytesIO()
        make().savefig(buffer, format="png", dpi=110)
    except Exception as error:
        return _Drawing(caption, failure=f"This figure could not be drawn: {type(error).__name__}: {error}")
    return _Drawing(caption, image="data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode())


def _rows(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items() if value not in (None, {}, []))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
