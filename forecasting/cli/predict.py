"""`forecast predict`: futures of new files."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecasting.cli._uncertainty import add_uncertainty_arguments, interval_of
from forecasting.cli.output import Progress, note
from forecasting.cli.reading import add_ingest_arguments, ingest_options
from forecasting.errors import UsageError

if TYPE_CHECKING:
    from forecasting.inference.job import Job
    from forecasting.inference.pieces import Piece
    from forecasting.trajectories.validation import Finding

SUMMARY = "forecast the future of new files"
DESCRIPTION = """\
Forecast with a trained package. Files are streamed; ids, timestamps, unit and frame come back as they went in.

  forecast predict checkpoints/tracks-egnn new.csv --unit m -o future.parquet
  forecast predict checkpoints/tracks-egnn new/ --every 10 -o future.parquet      from every tenth frame, not only the last
  forecast predict checkpoints/atoms-egnn md.xyz -o future.xyz                    in a format of trajectories, by its ending
  forecast predict checkpoints/cars-egnn av2/ -o submission.parquet --output-format same     as the challenge wants it
  forecast predict checkpoints/cars-egnn s3://bucket/days/ -o s3://bucket/futures/           many files: a folder of shards
  forecast predict checkpoints/cars-egnn days/ -o futures/ --engine ray --workers 8          by several processes

An output that ends in / is a folder: a Parquet shard for each input (several for a long one) and a manifest. An interrupted run
goes on where it was when it is called again; later, only inputs that changed are done anew, all of them after a change of
program, package or options. Where a file does not say its unit or up axis, the package's are taken, and said.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("package", help="package or run folder")
    parser.add_argument("files", nargs="+", help="files, folders, URLs (s3://, https:// …) or a data set folder")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        help="file to write: a .parquet table, or .csv, .npz, .xyz, .ndjson; or FOLDER/ for shards",
    )
    parser.add_argument(
        "--output-format",
        default="",
        help="format of trajectories to write (csv, npz, extxyz, trajnet, argoverse2 …), or same: that of the input; each "
        "hypothesis becomes a scene, or what the format has for it (a TrajNet++ prediction, an Argoverse 2 submission)",
    )
    parser.add_argument("--every", type=int, help="forecast from every n-th frame (default: from the last frame only)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    add_uncertainty_arguments(parser)
    group = parser.add_argument_group("a folder of shards")
    group.add_argument(
        "--shard-positions", type=int, default=1_000_000, help="positions of one input in one shard (default: %(default)s)"
    )
    group.add_argument("--engine", choices=("local", "ray"), default="local", help="this process, or workers of Ray")
    group.add_argument("--address", default="", help="of a Ray cluster (default: this machine)")
    group.add_argument("--workers", type=int, default=0, help="of Ray (default: one for each processor)")
    add_ingest_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Predict and describe what was written."""
    from forecasting.inference.job import Job
    from forecasting.inference.pieces import pieces_of

    read = ingest_options(options)
    about = (options.package, read, options.every, options.device)
    job = Job(*about, interval_of(options), tuple(options.ensemble), options.steps, part=options.shard_positions)
    sharded = options.output.endswith("/") or Path(options.output).is_dir()
    if options.engine != "local" and not sharded:
        raise UsageError(f"--engine {options.engine} writes a folder of shards: end the output with /, -o {options.output}/")
    if sharded and options.output_format:
        raise UsageError("a folder holds Parquet shards; leave --output-format out, or name one file with -o")
    pieces = pieces_of(options.files, read)
    return {"output": options.output, **(_shards if sharded else _file)(options, job, pieces)}


def _file(options: argparse.Namespace, job: "Job", pieces: Sequence["Piece"]) -> dict[str, Any]:
    from forecasting.numerics import configure
    from forecasting.preparations import keep_few_preparations

    keep_few_preparations()
    configure()
    from forecasting.inference.batch import forecasts
    from forecasting.inference.writing import write_forecasts

    job = _with_fallback(options, job)
    predictor = job.predictor()
    with _progress(job, pieces) as progress:
        batches = forecasts(predictor, job, pieces, _finding, _Total(progress))
        return {**write_forecasts(batches, options.output, options.output_format)}


def _shards(options: argparse.Namespace, job: "Job", pieces: Sequence["Piece"]) -> dict[str, Any]:
    from forecasting.inference.batch import Plan
    from forecasting.inference.places import place
    from forecasting.inference.shard_folder import ShardFolder

    job = _with_fallback(options, job)
    with place(options.output).alone():
        plan = Plan.of(job, ShardFolder(options.output), pieces)
        if plan.finished:
            note(f"{len(plan.finished)} of {len(pieces)} inputs are done already")
        if plan.open:
            engine = _engine(options)
            with _progress(job, [task.piece for task in plan.open]) as progress:
                return {**plan.run(engine, _finding, _Total(progress))}
        return {**plan.run(lambda *_: iter(()))}


def _engine(options: argparse.Namespace) -> Any:
    if options.engine == "ray":
        from forecasting.inference._ray import Ray

        return Ray(options.address, options.workers)
    from forecasting.numerics import configure
    from forecasting.preparations import keep_few_preparations

    keep_few_preparations()
    configure()
    from forecasting.inference.batch import here

    return here


def _with_fallback(options: argparse.Namespace, job: "Job") -> "Job":
    """The job with the package's unit and up axis for files that do not say theirs."""
    unit, up = job.fallback()
    for name, given, default in (("unit", options.unit, unit), ("up", options.up, up)):
        if not given:
            note(f"where a file does not say its {name}, the package's is taken: {default}")
    return job.with_fallback(unit, up)


def _progress(job: "Job", pieces: Sequence["Piece"]) -> Progress:
    from forecasting.inference.pieces import positions_in

    return Progress("positions read", positions_in(pieces, job.read.read))


class _Total:
    """Adds up what is read; an estimated end is never passed."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.done = progress, 0

    def __call__(self, count: int) -> None:
        self.done += count
        self.progress.to(self.done if self.progress.total is None else min(self.done, self.progress.total - 1))


def _finding(finding: "Finding") -> None:
    note(f"{finding.severity}: {finding}")


def show(result: dict[str, Any]) -> None:
    """Say what was written."""
    if "shards" not in result:
        print(f"{result['output']}: {result['forecasts']} forecasts, {result['rows']} positions")
        return
    what = f"{result['forecasts']} forecasts, {result['rows']} positions in {result['shards']} shards"
    if result["done_now"]:
        print(f"{result['output']}: {what}; {result['done_now']} of {result['inputs']} inputs done now")
    else:
        print(f"{result['output']}: nothing to do; {what} are there for all {result['inputs']} inputs")
