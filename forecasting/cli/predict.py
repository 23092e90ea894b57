"""`forecast predict`: futures of new files."""

import argparse
from typing import Any

from forecasting.cli.output import Progress, note
from forecasting.cli.reading import add_ingest_arguments, ingest_options

SUMMARY = "forecast the future of new files"
DESCRIPTION = """\
Forecast with a trained package. Files are streamed; ids, timestamps, unit and frame come back as they went in.

  forecast predict checkpoints/tracks-egnn new.csv --unit m -o future.parquet
  forecast predict checkpoints/tracks-egnn new/ --every 10 -o future.parquet      from every tenth frame, not only the last
  forecast predict checkpoints/atoms-egnn md.xyz -o future.xyz                    in a format of trajectories, by its ending
  forecast predict checkpoints/cars-egnn av2/ -o submission.parquet --output-format same     as the challenge wants it

Where a file does not say its unit or up axis, the package's are taken, and said.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("package", help="package or run folder")
    parser.add_argument("files", nargs="+", help="files, folders or a data set folder")
    parser.add_argument("-o", "--output", required=True, help="file to write: a .parquet table, or .csv, .npz, .xyz, .ndjson")
    parser.add_argument(
        "--output-format",
        default="",
        help="format of trajectories to write (csv, npz, extxyz, trajnet, argoverse2 …), or same: that of the input; each "
        "hypothesis becomes a scene, or what the format has for it (a TrajNet++ prediction, an Argoverse 2 submission)",
    )
    parser.add_argument("--every", type=int, help="forecast from every n-th frame (default: from the last frame only)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    add_ingest_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Predict and describe what was written."""
    from forecasting.numerics import configure

    configure()
    from forecasting.errors import UsageError
    from forecasting.inference.predictor import Anchors, Predictor
    from forecasting.inference.writing import write_forecasts
    from forecasting.packages.package import load_package
    from forecasting.trajectories.ingest import prepared

    if options.every is not None and options.every < 1:
        raise UsageError(f"--every must be at least 1, found {options.every}")
    package = load_package(options.package)
    for name, given, default in (("unit", options.unit, package.unit), ("up", options.up, package.frame.up)):
        if not given:
            note(f"where a file does not say its {name}, the package's is taken: {default}")
    read = ingest_options(options).with_fallback(package.unit, package.frame.up)
    scenes = prepared(options.files, read, lambda finding: note(f"{finding.severity}: {finding}"))
    forecasts = Predictor(package, options.device).trajectories(scenes, Anchors(options.every))
    with Progress("forecasts") as progress:
        counts = write_forecasts(forecasts, options.output, options.output_format, progress=progress.to)
    return {"output": options.output, **counts}


def show(result: dict[str, Any]) -> None:
    """Say what was written."""
    print(f"{result['output']}: {result['forecasts']} forecasts, {result['rows']} positions")
