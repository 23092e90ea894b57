"""`forecast calibrate`: how large regions must be to hold the truth as often as they say."""

import argparse
from typing import Any

from forecasting.cli.output import Progress, note, print_table
from forecasting.cli.reading import add_ingest_arguments, ingest_options

SUMMARY = "regions around forecasts that hold the truth as often as they say, kept in the package"
DESCRIPTION = """\
Calibrate a package: from windows that it has not learned from, learn how large a region around a forecast must be to hold the
truth at a level, for each step of the horizon and for the whole way, for each node type. The sizes are kept in the package, and
`forecast predict --level 0.9` gives them with every forecast. Coverage holds for data like these, whatever the model.

  forecast calibrate checkpoints/charged data/charged                        on its validation windows
  forecast calibrate checkpoints/tracks new.csv --unit m --shape ellipsoid   along and across the way of a node
  forecast calibrate checkpoints/tracks data/tracks -o checkpoints/calibrated     leaves the first package as it is
  forecast calibrate checkpoints/a data/tracks --ensemble checkpoints/b           both together; kept in the first, beside its own
"""
LEARNED = 0.05
"""Share of windows that were learned from, from which on it is said; positions may meet by chance."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("package", help="package or run folder")
    parser.add_argument("data", nargs="+", help="data set folder, or trajectory files")
    parser.add_argument("-o", "--output", help="package to write (default: the package itself)")
    parser.add_argument(
        "--ensemble",
        nargs="+",
        action="extend",
        default=[],
        metavar="PACKAGE",
        help="calibrate these packages together with the first, as `forecast predict --ensemble` uses them",
    )
    parser.add_argument(
        "--partition",
        choices=("validation", "test", "all"),
        default="validation",
        help="which windows of the package's own data (default: validation); of other data all windows are taken",
    )
    parser.add_argument("--levels", nargs="+", type=float, default=[0.8, 0.9, 0.95], help="default: 0.8 0.9 0.95")
    parser.add_argument(
        "--alike",
        choices=("auto", "scenes", "blocks", "windows"),
        default="auto",
        help="what is exchangeable with what will be forecast: whole scenes, or blocks of time as long as a window, for "
        "recordings that are few and long (default: scenes where there are enough, else blocks); windows takes each window for "
        "itself, where there is no other way, and promises nothing",
    )
    parser.add_argument("--shape", choices=("ball", "ellipsoid"), default="ball", help="of the regions (default: ball)")
    parser.add_argument("--most", type=int, default=20_000, help="most windows, spread evenly (default: 20000)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--data-root", default="data", help="where data sets made from raw files are kept (default: data)")
    add_ingest_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Calibrate, and write the package."""
    from forecasting.numerics import configure

    configure()
    from dataclasses import replace
    from pathlib import Path

    from forecasting.errors import UsageError
    from forecasting.evaluation.calibrated import calibrated
    from forecasting.evaluation.protocol import partition_anchors
    from forecasting.evaluation.robustness import spread
    from forecasting.inference.joint_calibration import with_calibration
    from forecasting.packages.package import load_package, package_folder, save_package
    from forecasting.trajectories.ingest import open_or_ingest

    if options.most < 1:
        raise UsageError(f"--most must be at least 1, found {options.most}")
    package, *others = [load_package(path) for path in (options.package, *options.ensemble)]
    read = ingest_options(options).with_fallback(package.unit, package.frame.up)
    dataset = open_or_ingest(options.data, read, Path(options.data_root))
    anchors = spread(partition_anchors(package, dataset, options.partition), options.most)
    with Progress("windows", len(anchors)) as progress:
        calibration = calibrated(
            package,
            dataset,
            anchors,
            tuple(options.levels),
            others=others,
            alike=options.alike,
            shape=options.shape,
            device=options.device,
            progress=progress.to,
        )
    calibration = replace(calibration, about={**calibration.about, "partition": options.partition})
    split = package.card.get("split")
    own = [
        each.card.get("data", {}).get("content") == dataset.manifest.content and each.card.get("split") == split
        for each in (package, *others)
    ]
    _warn_of_learned(calibration.about["learned"], own=own, everything=options.partition == "all")
    if others:
        calibration = replace(calibration, about={**calibration.about, "packages": 1 + len(others)})
        made = with_calibration([package, *others], calibration)
    else:
        made = replace(package, calibration=calibration.to_plain())
    folder = package_folder(options.package)
    place = save_package(made, options.output or folder, folder)
    return {"package": str(place), "unit": package.unit, **calibration.to_plain()}


def _warn_of_learned(share: float | None, *, own: list[bool], everything: bool) -> None:
    """Say where regions come out too small because errors on windows of the training are smaller than on others."""
    if (any(own) and everything) or (share is not None and share > LEARNED):
        much = "some" if share is None else f"{100 * share:.0f} %"
        note(
            f"warning: {much} of these windows are the package's training data, where its errors are smaller, so that regions "
            "will hold the truth less often than they say; calibrate on other recordings, or name the data set of the training "
            "as it was, whose validation windows are taken"
        )
    elif share is None and not all(own):
        note(
            "warning: nobody can tell whether the package was trained on these data: it keeps no sample of its training, or too "
            "little of them is there to compare; see that they are others"
        )


def show(result: dict[str, Any]) -> None:
    """The sizes, as a table of levels and steps, in the mean over the node types."""
    about = result["about"]
    print(f"{result['package']}: calibrated on {about['windows']} windows of {about['groups']} {about['alike']}")
    unit = "predicted scales" if result["scaled"] else result["unit"] if result["axes"] is None else "its axes"
    print(f"\nsize of a step's region, in {unit}, mean over node types")
    steps = [[sum(column) / len(column) for column in zip(*kinds, strict=True)] for kinds in result["steps"]]
    rows = [(level, *sizes) for level, sizes in zip(result["levels"], steps, strict=True)]
    print_table(["level", *(f"step {number}" for number in range(1, len(steps[0]) + 1))], rows)
    if result["joint"] is None:
        print("\nno regions for whole ways: too few nodes were seen at every step")
    if about["pooled"]:
        listed = ", ".join(about["pooled"][:5]) + (" …" if len(about["pooled"]) > 5 else "")
        print(f"\n{len(about['pooled'])} node types are too rare for sizes of their own and share those of all: {listed}")
