"""`forecast evaluate`: how good, and how equal; one package, or several beside each other."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from forecasting.cli._uncertainty import show_uncertainty
from forecasting.cli.output import Progress, Stages, note, print_table
from forecasting.cli.reading import add_ingest_arguments, ingest_options

if TYPE_CHECKING:
    from forecasting.packages.package import Package
    from forecasting.trajectories.dataset import Dataset
    from forecasting.trajectories.windows import Int

SUMMARY = "errors on plain, turned, translated and mirrored test copies, baselines beside them"
DESCRIPTION = """\
Evaluate a package: MSE, ADE, FDE and MPJPE, per horizon step, on the plain test set and on copies that are turned about the
up axis, turned in space, translated and mirrored; static, constant velocity and mean velocity beside them.

  forecast evaluate checkpoints/charged-egnn data/charged
  forecast evaluate checkpoints/tracks-egnn new.csv --unit m --report report     with a verdict, robustness, drift and a page
  forecast evaluate checkpoints/egnn data/charged --also checkpoints/segnn checkpoints/mlp    one row for each package
  forecast evaluate checkpoints/egnn data/charged --report both --also checkpoints/segnn      and one picture of them all
"""
ERRORS = ("mse", "ade", "fde")
SEEN = "these windows were learned from, and a verdict compares errors on others; take --partition test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("package", help="package or run folder")
    parser.add_argument("data", nargs="+", help="data set folder, or trajectory files")
    parser.add_argument("--also", nargs="+", action="extend", default=[], metavar="PACKAGE", help="packages to compare with it")
    parser.add_argument(
        "--partition",
        choices=("test", "validation", "train", "all"),
        default="test",
        help="which windows of the package's own data (default: test); of other data all windows are taken",
    )
    parser.add_argument(
        "--report",
        metavar="FOLDER",
        help="write report.html, report.json and figures, with all that `forecast diagnose` finds (minutes); "
        "of several packages comparison.html and comparison.json",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="add how often regions hold that follow each recording, learning from a window when its future has come",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the transforms")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; what --report adds is computed on the cpu")
    parser.add_argument("--data-root", default="data", help="where data sets made from raw files are kept (default: data)")
    add_ingest_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Evaluate, and write the report if asked."""
    from forecasting.numerics import configure

    configure()
    from pathlib import Path

    from forecasting.packages.package import load_package
    from forecasting.trajectories.ingest import open_or_ingest

    paths = [options.package, *options.also]
    packages = [load_package(path) for path in paths]
    _check_alike(paths, packages)
    first = packages[0]
    read = ingest_options(options).with_fallback(first.unit, first.frame.up)
    dataset = open_or_ingest(options.data, read, Path(options.data_root))
    return _several(options, paths, packages, dataset) if options.also else _one(options, first, dataset)


def _one(options: argparse.Namespace, package: "Package", dataset: "Dataset") -> dict[str, Any]:
    from pathlib import Path

    from forecasting.evaluation.protocol import evaluate, partition_anchors

    anchors = partition_anchors(package, dataset, options.partition)
    about: dict[str, Any] = {"partition": options.partition, "data": dataset.manifest.content}
    if options.follow:
        from forecasting.evaluation.calibration import followed

        about["followed"] = followed(package, dataset, anchors, options.device)
    if options.report:
        from forecasting.evaluation.report import write_report

        result = _everything(options, package, dataset, anchors) | about
        result["report"] = str(write_report(package, dataset, anchors, result, Path(options.report)))
        note(f"report: {result['report']}")
        return result
    with Progress("windows", len(anchors)) as progress:
        return evaluate(package, dataset, anchors, seed=options.seed, device=options.device, progress=progress.to) | about


def _everything(options: argparse.Namespace, package: "Package", dataset: "Dataset", anchors: "Int") -> dict[str, Any]:
    """Errors and all sections of the report; no verdict from windows of the package's own training."""
    from forecasting.evaluation.diagnosis import SECTIONS, diagnose
    from forecasting.evaluation.verdict import Settings

    own = package.card.get("data", {}).get("content") == dataset.manifest.content
    seen = own and options.partition in ("train", "all")
    sections = [name for name in SECTIONS if not (seen and name == "verdicts")]
    with Stages() as stages:
        result = diagnose(package, dataset, anchors, sections=sections, settings=Settings(seed=options.seed), watch=stages.to)
    return result | ({"verdicts": {"failed": SEEN}} if seen else {})


def _several(
    options: argparse.Namespace, paths: Sequence[str], packages: Sequence["Package"], dataset: "Dataset"
) -> dict[str, Any]:
    import time
    from pathlib import Path

    import numpy as np

    from forecasting.evaluation.protocol import evaluate, partition_anchors

    chosen = [partition_anchors(package, dataset, options.partition) for package in packages]
    if not all(np.array_equal(chosen[0], anchors) for anchors in chosen):
        note("these packages are not evaluated on the same windows: they have other windows or another split")
    results = []
    for name, path, package, anchors in zip(_short(paths), paths, packages, chosen, strict=True):
        start = time.perf_counter()
        with Progress(f"windows of {name}", len(anchors)) as progress:
            result = evaluate(package, dataset, anchors, seed=options.seed, device=options.device, progress=progress.to)
        about = {"name": name, "package": path, "partition": options.partition, "data": dataset.manifest.content}
        results.append(result | about | {"seconds": time.perf_counter() - start})
    whole: dict[str, Any] = {"unit": dataset.manifest.unit, "packages": results}
    if options.report:
        from forecasting.evaluation.report import write_comparison

        whole["report"] = str(write_comparison(results, Path(options.report)))
        note(f"comparison: {whole['report']}")
    return whole


def _check_alike(paths: Sequence[str], packages: Sequence["Package"]) -> None:
    """Errors are compared in one unit, and copies are turned about one axis.

    Raises:
        UsageError: names the first package that differs from the first, and in what.
    """
    from forecasting.errors import UsageError

    first = packages[0]
    for path, package in zip(paths, packages, strict=True):
        pairs = {
            "dimension": (package.schema.dim, first.schema.dim),
            "unit": (package.unit, first.unit),
            "frame": (package.frame, first.frame),
        }
        for what, (found, expected) in pairs.items():
            if found != expected:
                raise UsageError(f"{path} has {what} {found}, but {paths[0]} has {expected}; evaluate them one by one")


def _short(paths: Sequence[str]) -> list[str]:
    """What each package is called: the last part of its path (of its run folder's), or the whole path where two are alike."""
    from pathlib import Path

    parts = [Path(path) for path in paths]
    names = [part.parent.name if part.name == "package" and part.parent.name else part.name for part in parts]
    return [name if name and names.count(name) == 1 else path for name, path in zip(names, paths, strict=True)]


def show(result: dict[str, Any]) -> None:
    """Errors of one package and errors per step, or one row for each of several packages."""
    if "packages" in result:
        _show_several(result)
        return
    unit = result["unit"]
    rows = [(result["model"], result["plain"], None)]
    rows += [(f"  {name}", copy, copy["residual"]) for name, copy in result["copies"].items()]
    rows += [(name, sums, None) for name, sums in result["baselines"].items()]
    several = "" if "hypotheses" not in result else ", of the best hypothesis of each node"
    print(f"{result['windows']} windows, {result['plain']['positions']} positions; errors in {unit}{several}")
    print_table(
        ["", f"MSE [{unit}²]", "ADE", "FDE", "MPJPE", "residual"],
        [(name, sums["mse"], sums["ade"], sums["fde"], sums["mpjpe"], residual) for name, sums, residual in rows],
    )
    print(f"\nmean distance per step [{unit}]")
    named = [(result["model"], result["plain"]), *result["baselines"].items()]
    print_table(
        ["lead [s]", *(name for name, _ in named)],
        [(lead, *(sums["distance_per_step"][step] for _, sums in named)) for step, lead in enumerate(result["lead_times"])],
    )
    show_uncertainty(result)
    found = result.get("verdicts", {})
    if "reading" in found:
        print(f"\n{found['reading']}")


def _show_several(result: dict[str, Any]) -> None:
    unit, packages = result["unit"], result["packages"]
    first = packages[0]
    copies = list(first["copies"])
    simple = first["baselines"]["constant_velocity"]
    print(f"errors in {unit}; residual of copies: how far the forecast is from moving along with its input")
    rows = [
        (
            *(one["name"], one["model"], one["windows"]),
            *(one["plain"][key] for key in ERRORS),
            *(one["copies"][copy]["residual"] for copy in copies),
            one["seconds"],
        )
        for one in packages
    ]
    beside = ("", "constant_velocity", first["windows"], *(simple[key] for key in ERRORS), *[None] * (len(copies) + 1))
    print_table(["package", "model", "windows", f"MSE [{unit}²]", "ADE", "FDE", *copies, "seconds"], [*rows, beside])
