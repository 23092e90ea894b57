"""A run that was stopped anywhere ends exactly like one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from forecasting.errors import UsageError
from forecasting.testing.runs import assert_same, quiet
from forecasting.training import train

EXTRA = {"coordinates": {"pattern": "coordinate_net", "optimizer": "sgd", "learning_rate": 1e-2}}
FULL = {"ema_decay": 0.9, "clip_norm": 0.5, "extra_optimizers": EXTRA, "warmup_steps": 2, "epochs": 3}


def load(path):
    return torch.load(path, weights_only=True)


def metrics(folder):
    rows = (folder / "metrics.csv").read_text().splitlines()
    return [row.rsplit(",", 1)[0] for row in rows]


def test_every_checkpoint_leads_to_the_same_end(problem, tmp_path):
    whole = tmp_path / "whole"
    done = train(*problem(**FULL), whole, say=quiet, keep_all_checkpoints=True)
    last = load(whole / "checkpoints" / "last.ckpt")
    assert len(last["optimizer_states"]) == 2
    assert all(state["state"] for state in last["optimizer_states"][:1])
    steps = sorted((whole / "checkpoints").glob("step-*.ckpt"))
    assert len(steps) == done.steps >= 9
    for step in steps:
        again = tmp_path / step.stem
        shutil.copytree(whole, again, ignore=shutil.ignore_patterns("step-*", "package"))
        shutil.copy(step, again / "checkpoints" / "last.ckpt")
        train(*problem(**FULL), again, resume=True, say=quiet)
        assert_same(load(again / "checkpoints" / "last.ckpt"), last)
        assert metrics(again) == metrics(whole)
        weights = "package/weights.safetensors"
        assert (again / weights).read_bytes() == (whole / weights).read_bytes()


def test_two_optimisers_both_step_and_share_no_parameter(problem, tmp_path):
    built, settings = problem(**FULL)
    before = {name: value.detach().clone() for name, value in built.model.named_parameters()}
    train(built, settings, tmp_path / "run", say=quiet)
    state = load(tmp_path / "run" / "checkpoints" / "last.ckpt")
    main, extra = state["optimizer_states"]
    names = [name for name in before if "coordinate_net" in name]
    assert len(extra["param_groups"][0]["params"]) == len(names)
    assert len(main["param_groups"][0]["params"]) + len(names) == len(before)
    moved = {name: not torch.equal(value, before[name]) for name, value in built.model.named_parameters()}
    # the last layer's node update feeds nothing
    assert all(moved[name] for name in moved if "layers.1.node_net" not in name)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"learning_rate": 0.5}, "learning_rate"), ({"batch_size": 4}, "batch_size"), ({"epochs": 9}, "epochs")],
)
def test_changed_settings_are_refused_by_name(problem, tmp_path, change, named):
    train(*problem(epochs=1), tmp_path / "run", say=quiet)
    with pytest.raises(UsageError, match=named):
        train(*problem(**{"epochs": 1, **change}), tmp_path / "run", resume=True, say=quiet)


def test_more_epochs_without_a_schedule_equal_one_long_run(problem, tmp_path):
    train(*problem(schedule="none", epochs=1), tmp_path / "short", say=quiet)
    train(*problem(schedule="none", epochs=3), tmp_path / "short", resume=True, say=quiet)
    train(*problem(schedule="none", epochs=3), tmp_path / "long", say=quiet)
    one, two = (load(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("short", "long"))
    assert_same(one["state_dict"], two["state_dict"])


def test_a_finished_run_resumes_to_itself(problem, tmp_path):
    first = train(*problem(), tmp_path / "run", say=quiet)
    again = train(*problem(), tmp_path / "run", resume=True, say=quiet)
    assert again.best_validation == first.best_validation
    assert again.steps == first.steps


def test_nothing_to_resume_and_something_in_the_way(problem, tmp_path):
    with pytest.raises(UsageError, match="no checkpoint"):
        train(*problem(), tmp_path / "empty", resume=True, say=quiet)
    train(*problem(epochs=1), tmp_path / "run", say=quiet)
    with pytest.raises(UsageError, match="--resume"):
        train(*problem(epochs=1), tmp_path / "run", say=quiet)


def command(data, run, *more):
    return [
        *(sys.executable, "-m", "forecasting.cli.main", "train", "--json"),
        *(
            f"data.path={data}",
            f"run={run}",
            "data.window={history: 2, horizon: [1, 2], stride: 1}",
            "data.split.kind=scene",
        ),
        *("model.arguments.hidden=6", "model.arguments.layers=2", "training.epochs=60", "training.batch_size=4"),
        *("training.checkpoint_every_steps=7", "training.ema_decay=0.9"),
        *more,
    ]


def started(arguments, run):
    """Start a run and wait until it has a checkpoint."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    checkpoint, deadline = run / "checkpoints" / "last.ckpt", time.monotonic() + 60
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_sigkill_in_the_middle_of_an_epoch(data, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = started(command(data, killed), killed)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    reached = int(load(killed / "checkpoints" / "last.ckpt")["state_dict"]["step"])
    done = subprocess.run(
        [sys.executable, "-m", "forecasting.cli.main", "train", "--resume", str(killed), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    total = json.loads(done.stdout)["steps"]
    assert 0 < reached < total
    subprocess.run(command(data, whole), capture_output=True, check=True)
    one, two = (load(run / "checkpoints" / "last.ckpt") for run in (killed, whole))
    assert_same(one, two)
    assert metrics(killed) == metrics(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_signals_leave_a_usable_package_and_a_run_to_continue(data, tmp_path, number):
    run = tmp_path / "run"
    process = started(command(data, run, "training.epochs=5000"), run)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["stopped"] == "signal"
    assert "continue it with --resume" in err
    from forecasting.packages import load_package

    assert load_package(run).card["stopped"] == "signal"
    assert int(load(run / "checkpoints" / "last.ckpt")["state_dict"]["step"]) == result["steps"]
