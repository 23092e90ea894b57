"""`forecast diagnose`: which symmetry the data have, and how equal the model is."""

import argparse
from typing import TYPE_CHECKING, Any

from forecasting.cli.output import Stages, note, print_table
from forecasting.cli.reading import add_ingest_arguments, ingest_options

if TYPE_CHECKING:
    from forecasting.packages.package import Package

SUMMARY = "which symmetry the data have, and how equal the model is, group by group"
DESCRIPTION = """\
Diagnose a package on data: for every group whether the model keeps it and whether the data do (kept, broken, cannot tell), the
axis of what breaks the rotations, and the layer that uses it. The data are judged through a network that was free to break
every group, so train with relaxation=mixed (or another relaxed method).

  forecast diagnose checkpoints/gravity data/gravity
  forecast diagnose checkpoints/gravity data/gravity --report report       with errors, robustness, drift and a page to read
  forecast diagnose checkpoints/gravity data/gravity --keep                the verdict becomes part of the package
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("package", help="package or run folder")
    parser.add_argument("data", nargs="+", help="data set folder, or trajectory files")
    parser.add_argument("--report", help="folder to write report.html, report.json and figures to; adds robustness and drift")
    parser.add_argument("--keep", action="store_true", help="write verdicts, residuals and errors into the package")
    parser.add_argument("--epochs", type=int, default=3, help="of the refit of each projected network (default: 3)")
    parser.add_argument("--learn", type=int, default=2000, help="most windows to refit on (default: 2000)")
    parser.add_argument("--test", type=int, default=2000, help="most windows to compare on (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of draws and resamples")
    parser.add_argument("--data-root", default="data", help="where data sets made from raw files are kept (default: data)")
    add_ingest_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Diagnose, and write the report if asked."""
    from forecasting.numerics import configure

    configure()
    from pathlib import Path

    from forecasting.errors import UsageError
    from forecasting.evaluation.diagnosis import SECTIONS, diagnose
    from forecasting.evaluation.protocol import partition_anchors
    from forecasting.evaluation.verdict import Settings
    from forecasting.packages.package import load_package
    from forecasting.trajectories.ingest import open_or_ingest

    for name in ("epochs", "learn", "test"):
        if getattr(options, name) < 1:
            raise UsageError(f"--{name} must be at least 1, found {getattr(options, name)}")
    package = load_package(options.package)
    read = ingest_options(options).with_fallback(package.unit, package.frame.up)
    dataset = open_or_ingest(options.data, read, Path(options.data_root))
    anchors = partition_anchors(package, dataset, "test")
    settings = Settings(epochs=options.epochs, learn=options.learn, test=options.test, seed=options.seed)
    sections = SECTIONS if options.report else ("verdicts", "coverage", "two_sample")
    with Stages() as stages:
        result = diagnose(package, dataset, anchors, sections=sections, settings=settings, watch=stages.to)
    result |= {"partition": "test", "data": dataset.manifest.content}
    if options.keep:
        _keep(options.package, package, result)
    if options.report:
        from forecasting.evaluation.report import write_report

        result["report"] = str(write_report(package, dataset, anchors, result, Path(options.report)))
        note(f"report: {result['report']}")
    return result


def _keep(path: str, package: "Package", result: dict[str, Any]) -> None:
    """Write the package again, with the diagnosis in its cards."""
    from dataclasses import replace

    from forecasting.packages.cards import errors_card, symmetry_card
    from forecasting.packages.package import package_folder, save_package

    card = {**package.card, "errors": errors_card(result)}
    place = save_package(replace(package, card=card, symmetry=symmetry_card(result)), package_folder(path))
    note(f"kept in {place}")


def show(result: dict[str, Any]) -> None:
    """The verdict in words and as a table, with the reasons."""
    found = result["verdicts"]
    if "failed" in found:
        print(f"no verdict: {found['failed']}")
        return
    print(found["reading"])
    if found["broken_by"]:
        print(f"Most of the breaking is in layer {found['broken_by']}.")
    print()
    rows = []
    for row in found["groups"]:
        ratio, model = row["ratio"], row["model"]
        interval = f"{ratio['value']:.3g} ({ratio['low']:.3g}–{ratio['high']:.3g})" if ratio else "–"
        residual = "–" if model["residual"] is None else f"{model['residual']:.2g}"
        rows.append((row["group"], row["data"], interval, residual))
    print_table(["group", "data", "error held to it / free", "residual of the model"], rows)
    print()
    for row in found["groups"]:
        print(f"{row['group']}: {row['because']}")
