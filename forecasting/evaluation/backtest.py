"""Backtest: train and test again and again, each time from all that was before an origin to what came right after it."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from forecasting.errors import UsageError
from forecasting.evaluation.protocol import evaluate, partition_anchors
from forecasting.files import write_json
from forecasting.packages.package import load_package
from forecasting.training import assemble
from forecasting.trajectories.dataset import Dataset

SCHEMA = "forecasting.backtest/1"
ERRORS = ("mse", "ade", "fde")
BASELINE = "constant_velocity"
Train = Callable[[dict[str, Any]], Mapping[str, Any]]
Watch = Callable[[int, Mapping[str, int]], None]


def fold_config(config: Mapping[str, Any], folder: Path, folds: int, fold: int, **split: Any) -> dict[str, Any]:
    """The configuration of one fold, in a run folder of its own.

    Args:
        config: of a training; folder: of the backtest; folds, fold, split: of `trajectories.rolling.RollingSplit`.
    """
    rolling = {"kind": "rolling", "arguments": {"folds": folds, "fold": fold, **split}}
    return {**config, "data": {**config["data"], "split": rolling}, "run": str(folder / f"fold-{fold}")}


def backtest(
    config: Mapping[str, Any],
    folder: Path,
    *,
    folds: int,
    train: Train,
    watch: Watch | None = None,
    **split: Any,
) -> dict[str, Any]:
    """Train a fresh network for every fold and score it on the block after its origin.

    Nothing is shared between folds: weights, normalization and every other measure of the data are made anew from the windows
    before the origin. All folds are checked before the first is trained.

    Args:
        config: of a training; its split is replaced.
        folder: to write to: `fold-1` … as run folders, and `backtest.json`.
        folds: K; split: further arguments of `RollingSplit`.
        train: trains one configuration and returns where its ``package`` is.
        watch: told the number of each fold and its windows (partition -> number) before it is trained.

    Returns:
        plain values: ``folds`` (one row each: errors [unit] of the model and of constant velocity, windows, seconds), ``mean``
        and ``sd`` of the errors over the folds, ``unit``, ``model``, ``split``.

    Raises:
        UsageError: if a fold has no window to learn from or to test on, or the folder holds a backtest already.
    """
    if folds < 1:
        raise UsageError(f"a backtest needs at least 1 fold, found {folds}")
    if (folder / "fold-1").exists():
        raise UsageError(f"{folder} holds a backtest already; name another folder with run=")
    configs = [fold_config(config, folder, folds, fold, **split) for fold in range(1, folds + 1)]
    windows = [_windows(one, fold, folds) for fold, one in enumerate(configs, 1)]
    rows: list[dict[str, Any]] = []
    unit = ""
    for fold, (one, counts) in enumerate(zip(configs, windows, strict=True), 1):
        if watch:
            watch(fold, counts)
        start = time.perf_counter()
        package = load_package(train(one)["package"])
        dataset = Dataset(package.card["data"]["folder"])
        unit = dataset.manifest.unit
        found = evaluate(package, dataset, partition_anchors(package, dataset, "test"), seed=int(config["seed"]))
        about = {"fold": fold, "seen": fold / (folds + 1), "windows": counts, "package": str(Path(one["run"]) / "package")}
        errors = {key: found["plain"][key] for key in ERRORS}
        simple = {key: found["baselines"][BASELINE][key] for key in ERRORS}
        rows.append({**about, **errors, BASELINE: simple, "seconds": time.perf_counter() - start})
    result = {
        "schema": SCHEMA,
        "model": config["model"]["name"],
        "unit": unit,
        "split": {"folds": folds, **split},
        "folds": rows,
        "mean": _over(rows, statistics.fmean),
        "sd": _over(rows, _deviation),
    }
    write_json(folder / "backtest.json", result)
    return result


def _windows(config: Mapping[str, Any], fold: int, folds: int) -> dict[str, int]:
    """Partition -> number of windows of one fold.

    Raises:
        UsageError: if there is none; says of which fold.
    """
    try:
        problem, _ = assemble(config)
    except UsageError as error:
        raise UsageError(f"{error} (fold {fold} of {folds}; fewer folds leave more time to each)") from None
    counts = {name: len(anchors) for name, anchors in problem.anchors.items()}
    if not counts["test"]:
        raise UsageError(f"fold {fold} of {folds}: no test window fits into its block; shorten data.window or take fewer folds")
    return counts


def _over(rows: list[dict[str, Any]], measure: Callable[[list[float]], float | None]) -> dict[str, Any]:
    errors: dict[str, Any] = {key: measure([row[key] for row in rows]) for key in ERRORS}
    return errors | {BASELINE: {key: measure([row[BASELINE][key] for row in rows]) for key in ERRORS}}


def _deviation(values: list[float]) -> float | None:
    """Standard deviation of a sample; None for one value."""
    return statistics.stdev(values) if len(values) > 1 else None
