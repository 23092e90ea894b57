"""`forecast demo`: the whole way in one process, on a world with a hidden axis."""

import argparse
from pathlib import Path
from typing import Any

from forecasting.cli.output import Progress, note

SUMMARY = "simulate, train, predict, evaluate, report: the whole way in three minutes"
DESCRIPTION = """\
The whole way in one process: charged bodies fall along an axis that the model is not told; simulate, train, predict,
evaluate, report.

  forecast demo
  forecast demo -o /tmp/demo --epochs 10
"""
GRAVITY, AXIS, STEPS = 9.81, (0.3, -0.5, 0.81), 701
COUNTS = {"train": 1000, "validation": 200, "test": 400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-o", "--output", default="demo", help="folder for everything (default: demo)")
    parser.add_argument("--epochs", type=int, default=80, help="of training (default: 80)")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Go the whole way."""
    from forecasting.numerics import configure

    configure()
    import shutil

    from forecasting.cli.configuration import compose
    from forecasting.cli.train import train_from
    from forecasting.evaluation.protocol import evaluate, partition_anchors
    from forecasting.evaluation.report import write_report
    from forecasting.inference.predictor import Predictor
    from forecasting.inference.writing import write_forecasts
    from forecasting.packages.package import load_package
    from forecasting.trajectories.dataset import build_dataset
    from forecasting.trajectories.simulators.base import build_simulator

    place = Path(options.output)
    note(f"1/5 simulating {sum(COUNTS.values())} scenes of charged bodies, gravity {GRAVITY} along an axis the model is not told")
    world = build_simulator("nbody_charged_clean", {"gravity": GRAVITY, "axis": AXIS, "steps": STEPS})
    scenes = world.partitioned(COUNTS, options.seed)
    dataset = build_dataset(scenes, place / "data", symmetry=world.symmetry)
    note("2/5 training")
    shutil.rmtree(place / "run", ignore_errors=True)
    overrides = ["experiment=gravity", f"data.path={place / 'data'}", f"run={place / 'run'}", f"seed={options.seed}"]
    trained = train_from(compose([*overrides, f"training.epochs={options.epochs}"]))
    package = load_package(trained["package"])
    anchors = partition_anchors(package, dataset, "test")
    note("3/5 predicting the test scenes")
    test = sorted({int(scene) for scene in anchors[:, 0]})
    predicted = Predictor(package).trajectories(dataset.trajectory(scene) for scene in test)
    forecasts = write_forecasts(predicted, place / "forecasts.parquet")
    note("4/5 evaluating, also on turned, mirrored and shifted copies")
    with Progress("windows", len(anchors)) as progress:
        result = evaluate(package, dataset, anchors, seed=options.seed, progress=progress.to)
    note("5/5 writing the report")
    report = write_report(package, dataset, anchors, result | {"partition": "test"}, place / "report")
    return {
        "forecasts": str(place / "forecasts.parquet"),
        "rows": forecasts["rows"],
        "package": trained["package"],
        "report": str(report),
        "mse": result["plain"]["mse"],
        "constant_velocity_mse": result["baselines"]["constant_velocity"]["mse"],
        "seconds_of_training": trained["seconds"],
        "evaluation": result,
    }


def show(result: dict[str, Any]) -> None:
    """Say where everything is."""
    from forecasting.cli import evaluate

    evaluate.show(result["evaluation"])
    ratio = result["constant_velocity_mse"] / result["mse"]
    print(f"\nThe model's error is {result['mse']:.4g}, {ratio:.0f} times smaller than constant velocity's.")
    for name in ("forecasts", "package", "report"):
        print(f"{name:<10} {result[name]}")
    print("Open the report in a browser.")
