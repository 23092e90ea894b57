"""What a user can ask for besides a forecast, and what is said of hypotheses, scales and regions."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from forecasting.cli.output import note, print_table
from forecasting.errors import UsageError

if TYPE_CHECKING:
    from forecasting.inference.regions import Interval


def add_uncertainty_arguments(parser: argparse.ArgumentParser) -> None:
    """Add regions, ensembles and longer horizons."""
    group = parser.add_argument_group("how sure, and how far")
    group.add_argument(
        "--level",
        nargs="+",
        type=float,
        default=[],
        help="add regions that hold the truth this often, as columns radius_90 …; the package must be calibrated, "
        "several together with `forecast calibrate --ensemble`",
    )
    group.add_argument("--joint", action="store_true", help="regions that hold a node's whole way, not each step by itself")
    group.add_argument(
        "--ensemble",
        nargs="+",
        action="extend",
        default=[],
        metavar="PACKAGE",
        help="packages that forecast together with the first: as many hypotheses, with equal weights",
    )
    group.add_argument(
        "--steps",
        type=int,
        help="last step to forecast, behind the horizon: forecasts are fed back as history. Regions end there; how far "
        "such forecasts drift is in the report of `forecast evaluate --report`",
    )


def interval_of(options: argparse.Namespace) -> "Interval | None":
    """The regions that were asked for.

    Raises:
        UsageError: if a level is not one, or --joint comes without any.
    """
    from forecasting.inference.regions import Interval, checked_levels

    if not options.level:
        if options.joint:
            raise UsageError("--joint says which regions to give; ask for some with --level, for instance --level 0.9")
        return None
    if options.steps is not None:
        note("regions end with the horizon that the package was trained for; behind it there are none")
    return Interval(checked_levels(tuple(options.level)), options.joint)


def show_uncertainty(result: Mapping[str, Any]) -> None:
    """What `evaluate` found of hypotheses, scales and regions; nothing where there is nothing."""
    unit = result["unit"]
    if "hypotheses" in result:
        several = result["hypotheses"]
        rows = [
            ("best of each node (marginal)", result["plain"]["ade"], result["plain"]["fde"]),
            ("best of each scene (joint)", several["joint"]["ade"], several["joint"]["fde"]),
            ("likeliest", several["likeliest"]["ade"], several["likeliest"]["fde"]),
        ]
        print(f"\nof {several['count']} hypotheses [{unit}]")
        print_table(["", "ADE", "FDE"], rows)
    if "nll" in result:
        print(f"\nnegative log-likelihood of the predicted scales: {result['nll']:.4g} nats per coordinate")
    for name, meaning in (("regions", ""), ("followed", ", following the recording")):
        if name in result:
            _show_coverage(result[name], meaning, unit)


def _show_coverage(coverage: Mapping[str, Any], meaning: str, unit: str) -> None:
    about = coverage["about"]
    print(f"\nshare of truths in their regions ({coverage['shape']}s, calibrated on {about['groups']} {about['alike']}{meaning})")
    rows = [
        (
            *(row["level"], row["overall"], row["joint"], row["radius"]),
            *(row["worst"]["type"], row["worst"]["overall"]),
            *row["per_step"],
        )
        for row in coverage["levels"]
    ]
    steps = [f"step {number}" for number in range(1, len(coverage["levels"][0]["per_step"]) + 1)]
    print_table(["level", "each step", "whole way", f"radius [{unit}]", "furthest type", "its steps", *steps], rows)
