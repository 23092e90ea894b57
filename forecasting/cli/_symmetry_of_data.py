"""`forecast inspect --symmetry`: which symmetry can be judged from data, without a model."""

import argparse
from typing import TYPE_CHECKING, Any

from forecasting.cli.output import print_table
from forecasting.cli.reading import read_options
from forecasting.errors import DataError, UsageError

if TYPE_CHECKING:
    from forecasting.trajectories.dataset import Dataset

INTRODUCTION = """\
Coverage says whether turned copies look like anything in the data: only then can the data tell whether a turn matters.
The comparison says whether data and moved copies could be of one distribution: about the law of motion it is not certain."""


def judge(options: argparse.Namespace) -> dict[str, Any]:
    """Coverage and comparison with moved copies, for each data set folder, and for all files together.

    Raises:
        UsageError: if an option does not belong to --symmetry.
        DataError: if the data have no motion.
    """
    import tempfile
    from dataclasses import replace
    from pathlib import Path

    from forecasting.trajectories.dataset import Dataset
    from forecasting.trajectories.ingest import IngestOptions, ingest

    if options.picture or options.scene or options.all:
        raise UsageError("--symmetry takes no --picture, --scene or --all: leave them out, or inspect a second time without it")
    if options.step is not None and options.step < 1:
        raise UsageError(f"--step counts frames and must be at least 1, found {options.step}")
    folders = [path for path in options.paths if (Path(path) / "manifest.json").exists()]
    files = [path for path in options.paths if path not in folders]
    if folders and options.resample is not None:
        raise UsageError(
            f"{folders[0]} is a data set: --resample is for files; `forecast ingest --resample` makes a new data set"
        )
    found = [{"data": folder, **_judged(Dataset(folder), options.step or 1)} for folder in folders]
    if files:
        about = replace(IngestOptions(read=read_options(options), format=options.format), resample=options.resample, fields=())
        with tempfile.TemporaryDirectory() as place:
            found.append({"data": " ".join(files), **_judged(ingest(files, Path(place) / "set", about), options.step or 1)})
    return {"symmetry_of_data": found}


def show_judged(result: dict[str, Any]) -> None:
    """Sentences first, then the numbers."""
    print(INTRODUCTION)
    for judged in result["symmetry_of_data"]:
        print(f"\n{judged['data']}")
        _show_coverage(judged["coverage"])
        _show_comparison(judged["two_sample"])


def _judged(dataset: "Dataset", step: int) -> dict[str, Any]:
    from forecasting.evaluation._motion import observe
    from forecasting.evaluation.coverage import coverage
    from forecasting.evaluation.two_sample import two_sample

    motion = observe(dataset, step=step)
    try:
        compared: Any = two_sample(motion)
    except DataError as error:
        compared = {"failed": str(error)}
    return {"known": dataset.manifest.symmetry, "coverage": coverage(motion), "two_sample": compared}


def _show_coverage(found: dict[str, Any]) -> None:
    heading, sphere = found["heading"], found["sphere"]
    for sentence in found["sentences"]:
        print(sentence)
    print(
        f"{found['windows']} moments of {found['scenes']} scene{'s' * (found['scenes'] != 1)}; {heading['n']} headings about "
        f"{heading['about']} of {heading['tracks']} nodes, {100 * heading['slow']:.0f} % too slow to have one"
    )
    rows = [
        ("R1: one direction (1), or none preferred (0)", heading["R1"], _interval(heading["R1_interval"])),
        ("R2: one line, both ways (1), or none preferred (0)", heading["R2"], _interval(heading["R2_interval"])),
    ]
    if sphere:
        rows.append(("R in space", sphere["R"], _interval(sphere["R_interval"])))
    print_table(["", "value", "95 % interval"], rows)
    if sphere:
        shares = ", ".join(f"{value:.2f}" for value in sphere["second_moments"])
        print(f"shares of the principal directions: {shares} (0.33 each if all directions are alike)")
    if heading["intervals_because"]:
        print(heading["intervals_because"])


def _show_comparison(found: list[dict[str, Any]] | dict[str, Any]) -> None:
    if isinstance(found, dict):
        print(f"no comparison with moved copies: {found['failed']}")
        return
    print(f"\n{found[0]['blocks']} {found[0]['block']}, one half as it is, the other half moved:")
    print_table(
        ["copies", "", "distance", "p (Holm)", "differ"],
        [
            (row["group"], row["meaning"], row["statistic"], row["p_adjusted"], "yes" if row["different"] else "not found")
            for row in found
        ],
    )
    print("differ: the distribution of the motion is not symmetric; whether the law of motion is, this cannot say")
    print("not found: no proof of symmetry; the difference may be smaller than these data can show")
    if found[0]["block"] != "scenes":
        print("neighbouring pieces of one recording are not independent, so p may be too small")


def _interval(ends: list[float] | None) -> str:
    return "–" if ends is None else f"{ends[0]:.3g} … {ends[1]:.3g}"
