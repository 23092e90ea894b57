"""Errors of hypotheses, and coverage of regions, for people."""

from collections.abc import Mapping
from typing import Any

from forecasting.cli.output import print_table


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
    if "coverage" in result:
        _show_coverage(result["coverage"], unit)


def _show_coverage(coverage: Mapping[str, Any], unit: str) -> None:
    about = coverage["about"]
    print(f"\nshare of truths in their regions ({coverage['shape']}s, calibrated on {about['groups']} {about['alike']})")
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
