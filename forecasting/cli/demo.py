"""`forecast demo`: the whole way in one process, on a world with a hidden axis, to a verdict that can be checked."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecasting.cli.output import Stages, note

if TYPE_CHECKING:
    from forecasting.trajectories.simulators.base import Simulator

SUMMARY = "simulate, train, predict, evaluate, and find the symmetry: the whole way in a minute"
DESCRIPTION = """\
The whole way in one process: charged bodies fall along an axis that the model is not told; simulate, train, predict, evaluate,
and say which symmetry the world has, beside the truth.

  forecast demo
  forecast demo -o /tmp/demo --seed 1
"""
WORLD = "nbody_charged_clean"
PARAMETERS = {"gravity": 9.81, "axis": [0.3, -0.5, 0.81], "steps": 701}
COUNTS = {"train": 1000, "validation": 200, "test": 400}
EPOCHS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-o", "--output", default="demo", help="folder for everything (default: demo)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of training (default: {EPOCHS})")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Go the whole way."""
    from forecasting.numerics import configure

    configure()
    import shutil

    from forecasting.cli.configuration import as_overrides, compose
    from forecasting.cli.train import train_from
    from forecasting.evaluation.diagnosis import diagnose
    from forecasting.evaluation.protocol import partition_anchors
    from forecasting.evaluation.report import write_report
    from forecasting.evaluation.verdict import Settings
    from forecasting.inference.predictor import Predictor
    from forecasting.inference.writing import write_forecasts
    from forecasting.packages.package import load_package
    from forecasting.trajectories.dataset import build_dataset
    from forecasting.trajectories.simulators.base import build_simulator

    place, seed = Path(options.output), options.seed
    note(f"1/5 simulating {sum(COUNTS.values())} scenes of charged bodies that fall along an axis the model is not told")
    world = build_simulator(WORLD, PARAMETERS)
    provenance = {"simulator": WORLD, "parameters": PARAMETERS, "seed": seed, "counts": COUNTS}
    dataset = build_dataset(world.partitioned(COUNTS, seed), place / "data", symmetry=world.symmetry, provenance=provenance)
    note("2/5 training, free to break the symmetry where that helps")
    shutil.rmtree(place / "run", ignore_errors=True)
    chosen = {"experiment": "gravity", "data.path": str(place / "data"), "run": str(place / "run"), "seed": seed}
    trained = train_from(compose(as_overrides({**chosen, "training.epochs": options.epochs})))
    package = load_package(trained["package"])
    anchors = partition_anchors(package, dataset, "test")
    note("3/5 predicting the test scenes")
    test = sorted({int(scene) for scene in anchors[:, 0]})
    predicted = Predictor(package).trajectories(dataset.trajectory(scene) for scene in test)
    forecasts = write_forecasts(predicted, place / "forecasts.parquet")
    note("4/5 evaluating: errors, also of moved copies; which symmetry the data have; how the model bears moved inputs")
    with Stages() as stages:
        result = diagnose(package, dataset, anchors, settings=Settings(seed=seed), watch=stages.to)
    result |= {"partition": "test", "data": dataset.manifest.content}
    note("5/5 writing the report")
    report = write_report(package, dataset, anchors, result, place / "report")
    return {
        "forecasts": str(place / "forecasts.parquet"),
        "rows": forecasts["rows"],
        "package": trained["package"],
        "report": str(report),
        "mse": result["plain"]["mse"],
        "constant_velocity_mse": result["baselines"]["constant_velocity"]["mse"],
        "seconds_of_training": trained["seconds"],
        "truth": {"symmetry": world.symmetry, **_compared(result["verdicts"], world)},
        "evaluation": result,
    }


def _compared(verdicts: Mapping[str, Any], world: "Simulator") -> dict[str, Any]:
    """Groups by how they were answered, ``right``, ``wrong`` or ``open``, and ``axis_error`` [°], None where none was found."""
    import numpy as np

    answers: dict[str, list[str]] = {"right": [], "wrong": [], "open": []}
    for row in verdicts.get("groups", []):
        if row["data"] == "cannot tell":
            answers["open"].append(row["group"])
        else:
            answers["right" if (row["data"] == "kept") == world.truth[row["group"]] else "wrong"].append(row["group"])
    found, true = verdicts.get("axis"), world.axis
    if found is None or true is None:
        return {**answers, "axis_error": None}
    across = np.linalg.norm(np.cross(found["vector"], true))
    return {**answers, "axis_error": float(np.degrees(np.arctan2(across, abs(np.dot(found["vector"], true)))))}


def show(result: dict[str, Any]) -> None:
    """Errors, the verdict beside the truth, and where everything is."""
    from forecasting.cli import evaluate

    evaluate.show({name: value for name, value in result["evaluation"].items() if name != "verdicts"})
    ratio = result["constant_velocity_mse"] / result["mse"]
    print(f"\nThe model's error is {result['mse']:.4g}, {ratio:.0f} times smaller than constant velocity's.")
    found = result["evaluation"]["verdicts"]
    print(f"\nVerdict: {found['reading']}" if "reading" in found else f"\nNo verdict: {found['failed']}")
    truth = result["truth"]
    told = len(truth["right"]) + len(truth["wrong"])
    print(f"Truth: {truth['symmetry']}. {len(truth['right'])} of {told} answers are right", end="")
    print(f", wrong are {', '.join(truth['wrong'])}." if truth["wrong"] else ".")
    if truth["axis_error"] is not None:
        print(f"The axis that was found is {truth['axis_error']:.2g}° from the true one, which the model was never told.")
    print()
    for name in ("forecasts", "package", "report"):
        print(f"{name:<10} {result[name]}")
    print("Open the report in a browser.")
