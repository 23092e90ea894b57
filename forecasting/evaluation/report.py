"""The report: one HTML file that needs nothing else, its figures as files, and the numbers behind it as JSON."""

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from forecasting.evaluation._report_comparison import write_comparison
from forecasting.evaluation._report_figures import draw_all
from forecasting.evaluation._report_page import render_report
from forecasting.evaluation._report_plain import plain
from forecasting.evaluation._report_tables import flat
from forecasting.evaluation.playback import playback
from forecasting.files import atomic_file, write_json
from forecasting.packages.package import Package
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int
from forecasting.version import __version__

__all__ = ["SCHEMA", "write_comparison", "write_report"]

SCHEMA = "forecasting.report/1"
LIBRARIES = ("torch", "e3nn", "numpy")


def write_report(package: Package, dataset: Dataset, anchors: Int, result: dict[str, Any], folder: Path) -> Path:
    """Write `report.html`, `report.json` and `figures/NAME.svg` and `.png`.

    Parts of the result that are absent are not shown, except for scenes to play and the course of training, which are made here.
    A part or a figure that fails says why and leaves the rest standing.

    Args:
        package: the model; dataset: the data; anchors: (W, 2) the windows that were evaluated.
        result: of `evaluate`, with further parts as `report.schema.json` describes them; not changed.
        folder: to write to.

    Returns:
        path of the page.
    """
    whole = dict(result)
    if "playback" not in whole:
        whole["playback"] = _tried(lambda: playback(package, dataset, anchors))
    run = _run_folder(package)
    if "trace" not in whole and run is not None:
        whole["trace"] = _tried(lambda: _trace(run))
    whole = plain({**whole, "schema": SCHEMA})
    shown = _readable(whole)
    drawings = draw_all(shown, folder / "figures")
    page = render_report(f"{package.model} on {dataset.folder.name}", shown, drawings, _facts(package, dataset, shown))
    with atomic_file(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_json(folder / "report.json", whole)
    return folder / "report.html"


def _readable(value: Any) -> Any:
    """The same with a word for lengths that have no unit."""
    if isinstance(value, dict):
        return {key: "units" if key == "unit" and item == "unitless" else _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value


def _tried(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _trace(run: Path) -> Any:
    from forecasting.evaluation.trace import training_trace

    return training_trace(run)


def _run_folder(package: Package) -> Path | None:
    """The folder of the run that made the package, if it is still there."""
    run = package.card.get("run")
    return Path(str(run)) if run and (Path(str(run)) / "metrics.csv").is_file() else None


def _facts(package: Package, dataset: Dataset, result: Mapping[str, Any]) -> list[tuple[str, str]]:
    card, manifest, steps = package.card, dataset.manifest, package.window.horizon
    partition = result.get("partition", "all")
    frames = "1 frame" if package.window.history == 1 else f"{package.window.history} frames"
    horizon = f"step {steps[0]}" if len(steps) == 1 else f"{len(steps)} steps ({steps[0]} to {steps[-1]})"
    return [
        ("model", package.model),
        ("its arguments", _said(package.arguments) or "defaults"),
        ("parameters", f"{sum(value.numel() for value in package.weights.values()):,}"),
        ("graph", f"{package.topology} {_said(package.topology_arguments)}".strip()),
        ("window", f"{frames} seen, {horizon} ahead, {package.window.step * package.dt:.4g} s apart"),
        ("data", f"{dataset.folder.name}: {manifest.counts['scenes']} scenes in {manifest.unit}, up axis {manifest.frame.up}"),
        ("content hash of the data", manifest.content),
        ("known symmetry of the data", manifest.symmetry or "not stated"),
        ("evaluated", f"{result['windows']} windows, partition {partition}"),
        ("split", _said(card["split"]) if "split" in card else "all windows"),
        ("relaxation", _called(card.get("relaxation", {"name": "strict"}))),
        ("training", _said(card.get("training", {})) or "not recorded"),
        ("best validation loss", f"{card['best_validation']:.4g}" if card.get("best_validation") is not None else "not recorded"),
        ("seeds", f"training {card.get('seed', 'unknown')}, moved copies {result['seed']}"),
        ("trained with", f"forecasting {card.get('program_version', 'unknown')}"),
        (
            "evaluated with",
            ", ".join([f"forecasting {__version__}", f"Python {platform.python_version()}", *map(_library, LIBRARIES)]),
        ),
    ]


def _library(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} unknown"


def _called(thing: Mapping[str, Any]) -> str:
    arguments = _said(thing.get("arguments", {}))
    return f"{thing.get('name', 'unknown')}" + (f" ({arguments})" if arguments else "")


def _said(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {value}" for name, value in flat(values))
