"""Several processes at once: the same weights and duals in each, and a run that goes on."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from forecasting.packages import load_package
from forecasting.testing.scenes import random_dataset

SMALL = ["model=egnn", "model.arguments.hidden=6", "model.arguments.layers=2", "data.window.history=2", "data.window.horizon=2"]
TWO = ["training.devices=2", "training.strategy=ddp", "training.batch_size=8", "training.schedule=none", "threads=1"]


def forecast(*arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "forecasting.cli.main", "train", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def trace(run: Path) -> dict[tuple[str, str], float]:
    with (run / "relaxation.csv").open() as file:
        return {(row["step"], row["name"]): float(row["value"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", ["ace_resilient", "mixed"])
def test_two_processes_train_and_go_on(tmp_path, name):
    data = random_dataset(tmp_path / "data", scenes=9).folder
    about = [f"data.path={data}", f"data_root={tmp_path}", "data.split.kind=scene", f"relaxation={name}", *SMALL, *TWO]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    said = forecast(*about, f"run={whole}", "training.epochs=4")
    assert said.count("package:") == 1
    load_package(whole).forecaster()
    assert any(value for (_, key), value in trace(whole).items() if key.startswith("dual/"))
    if name == "ace_resilient":  # the share of training done, and so the stages of mixed, depends on the number of epochs
        forecast(*about, f"run={stopped}", "training.epochs=2")
        forecast("--resume", str(stopped), "training.epochs=4")
        assert trace(stopped) == trace(whole)
