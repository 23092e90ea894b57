"""`forecast backtest`: what training again and again, on ever more of the past, would have been worth."""

import argparse
from typing import Any

from forecasting.cli.output import note, print_table

SUMMARY = "train and test at several origins in time, never on what came later"
DESCRIPTION = """\
Backtest with rolling origins. Time is cut into FOLDS + 1 blocks; fold k trains a fresh network on all that was before the end of
block k (the last part of it chooses the weights) and is tested on the block after it. Normalization and every other measure of
the data are made anew for every fold, and no window crosses an origin. Everything after the options is KEY=VALUE, as for
`forecast train`.

  forecast backtest --folds 4 data.path=tracks.csv data.read.unit=m
  forecast backtest data.path=tracks.csv data.read.unit=m model=segnn training.epochs=20 run=checkpoints/tracks-backtest
  forecast backtest --clock recording data.path=plaza.csv data.read.unit=m      scenes are parts of one recording
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="configuration, for instance model=egnn seed=1")
    parser.add_argument("--folds", type=int, default=4, help="origins in time (default: 4)")
    parser.add_argument(
        "--validation", type=float, default=0.2, help="share of the time before an origin that chooses the weights (default: 0.2)"
    )
    parser.add_argument(
        "--clock",
        choices=("scene", "recording"),
        default="scene",
        help="what is cut: every scene's own time (default), or the time that all scenes share",
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train and test every fold."""
    import time
    from pathlib import Path

    from forecasting.cli.configuration import compose
    from forecasting.cli.train import train_from
    from forecasting.errors import UsageError
    from forecasting.numerics import configure

    given = next((item for item in options.overrides if item.lstrip("+~").startswith("data.split")), None)
    if given:
        raise UsageError(f"a backtest cuts time by itself (--folds, --validation, --clock), found {given}")
    config = compose(options.overrides)
    configure(config["threads"])
    from forecasting.evaluation.backtest import backtest

    def said(fold: int, _windows: Any) -> None:
        note(f"fold {fold} of {options.folds}")

    folder = Path(config["run"] or time.strftime("checkpoints/backtest-%Y%m%d-%H%M%S"))
    split = {"validation": options.validation, "clock": options.clock}
    result = backtest(config, folder, folds=options.folds, train=train_from, watch=said, **split)
    return {**result, "folder": str(folder)}


def show(result: dict[str, Any]) -> None:
    """One row for each fold, then mean and standard deviation."""
    unit = result["unit"]
    print(f"{result['model']}, tested on the block after each origin; errors in {unit}, constant velocity's (CV) beside them")
    named = [(str(row["fold"]), row) for row in result["folds"]] + [("mean", result["mean"]), ("sd", result["sd"])]
    rows = []
    for name, row in named:
        windows = row.get("windows", {})
        seen = f"{row['seen']:.0%}" if "seen" in row else ""
        errors = [part[key] for key in ("mse", "ade", "fde") for part in (row, row["constant_velocity"])]
        rows.append((name, seen, windows.get("train"), windows.get("test"), *errors))
    header = [f"MSE [{unit}²]", "CV", "ADE", "CV", "FDE", "CV"]
    print_table(["fold", "time seen", "trained on", "tested on", *header], rows)
    print(f"\n{result['folder']}/backtest.json")
