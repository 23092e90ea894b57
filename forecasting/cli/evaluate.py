"""`forecast evaluate`: how good, and how equal."""

import argparse
from typing import Any

from forecasting.cli.output import Progress, note, print_table
from forecasting.cli.reading import add_ingest_arguments, ingest_options

SUMMARY = "errors on plain, turned, translated and mirrored test copies, baselines beside them"
DESCRIPTION = """\
Evaluate a package: MSE, ADE, FDE and MPJPE, per horizon step, on the plain test set and on copies that are turned about the
up axis, turned in space, translated and mirrored; static, constant velocity and mean velocity beside them.

  forecast evaluate checkpoints/charged-egnn data/charged
  forecast evaluate checkpoints/tracks-egnn new.csv --unit m --report report
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("package", help="package or run folder")
    parser.add_argument("data", nargs="+", help="data set folder, or trajectory files")
    parser.add_argument(
        "--partition",
        choices=("test", "validation", "train", "all"),
        default="test",
        help="which windows of the package's own data (default: test); of other data all windows are taken",
    )
    parser.add_argument("--report", help="folder to write report.html and report.json to")
    parser.add_argument("--seed", type=int, default=0, help="of the transforms")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--data-root", default="data", help="where data sets made from raw files are kept (default: data)")
    add_ingest_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Evaluate, and write the report if asked."""
    from forecasting.numerics import configure

    configure()
    from pathlib import Path

    from forecasting.evaluation.protocol import evaluate, partition_anchors
    from forecasting.packages.package import load_package
    from forecasting.trajectories.ingest import open_or_ingest

    package = load_package(options.package)
    read = ingest_options(options).with_fallback(package.unit, package.frame.up)
    dataset = open_or_ingest(options.data, read, Path(options.data_root))
    anchors = partition_anchors(package, dataset, options.partition)
    with Progress("windows", len(anchors)) as progress:
        result = evaluate(package, dataset, anchors, seed=options.seed, device=options.device, progress=progress.to)
    result |= {"partition": options.partition, "data": dataset.manifest.content}
    if options.report:
        from forecasting.evaluation.report import write_report

        result["report"] = str(write_report(package, dataset, anchors, result, Path(options.report)))
        note(f"report: {result['report']}")
    return result


def show(result: dict[str, Any]) -> None:
    """Two tables: errors, and errors per step."""
    unit = result["unit"]
    rows = [(result["model"], result["plain"], None)]
    rows += [(f"  {name}", copy, copy["residual"]) for name, copy in result["copies"].items()]
    rows += [(name, sums, None) for name, sums in result["baselines"].items()]
    print(f"{result['windows']} windows, {result['plain']['positions']} positions; errors in {unit}")
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
