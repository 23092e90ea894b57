"""`forecast train` in two processes: who speaks and writes, and what happens when one of them goes away."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forecasting.cli.main import main
from forecasting.errors import UsageError
from forecasting.packages import load_package
from forecasting.testing.scenes import random_dataset
from forecasting.training.companions import check_launcher, is_first

MODULE = ["-m", "forecasting.cli.main", "train"]
SMALL = ["model.arguments.hidden=6", "model.arguments.layers=2", "data.window.history=2", "data.window.horizon=2"]
LONG = ["training.epochs=100000", "training.schedule=none", "training.batch_size=4", "training.checkpoint_every_steps=5"]


@pytest.fixture
def about(tmp_path):
    data = random_dataset(tmp_path / "data", scenes=9).folder
    keys = [f"data.path={data}", f"data_root={tmp_path}", "data.split.kind=scene", "threads=1", "training.devices=2", *SMALL]
    return [*keys, "relaxation=ace_resilient"]


def started(command: list[str], run: Path | None = None) -> subprocess.Popen:
    """Start it, in a session of its own, and wait until it has a checkpoint."""
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while run and not (run / "checkpoints" / "last.ckpt").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(process.communicate()[1])
        time.sleep(0.1)
    return process


def children(process: subprocess.Popen) -> list[int]:
    """Processes that it started."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "which", ["the other", pytest.param("the first", marks=pytest.mark.slow), pytest.param("asked", marks=pytest.mark.slow)]
)
def test_no_process_is_left_alone(about, tmp_path, which):
    run = tmp_path / "run"
    process = started([*MODULE, "--json", *about, *LONG, f"run={run}"], run)
    (other,) = children(process)
    if which == "asked":
        os.kill(other, signal.SIGTERM)  # any process may be asked to stop; all do, after the same step
    else:
        os.kill(process.pid if which == "the first" else other, signal.SIGKILL)
    before = time.monotonic()
    out, err = process.communicate(timeout=60)
    while is_alive(other) and time.monotonic() < before + 60:
        time.sleep(0.1)
    assert not is_alive(other)
    if which == "asked":
        assert process.returncode == 0, err
        assert json.loads(out)["stopped"] == "signal"
        load_package(run)
    else:
        assert "another process of this run ended before its time" in err
        assert f"--resume {run}" in err
        assert "Traceback" not in err
    if which == "the other":
        assert process.returncode == 1
        assert "process 1 was killed by signal 9" in err
        assert "error" in json.loads(out)
        load_package(run)


@pytest.mark.slow
def test_processes_of_torchrun(about, tmp_path):
    run = tmp_path / "run"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = started([*launcher, *MODULE, "--json", *about, "training.epochs=2", f"run={run}"])
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["epochs"] == 2
    assert err.count("windows: ") == 1
    load_package(result["package"])


def test_numbers_of_processes_that_contradict_each_other(monkeypatch):
    check_launcher(4, 1)
    with pytest.raises(UsageError, match="torchrun --nnodes=2"):
        check_launcher(4, 2)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    check_launcher(4, 2)
    with pytest.raises(UsageError, match=r"started 8 processes.*training.devices=4 training.nodes=2"):
        check_launcher(1, 1)


@pytest.mark.parametrize(
    ("environment", "first"), [({}, True), ({"LOCAL_RANK": "1"}, False), ({"RANK": "4", "LOCAL_RANK": "0"}, False)]
)
def test_the_first_process_is_known_from_the_environment(monkeypatch, environment, first):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first(2) is first
    assert is_first(1)


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("trainer.devices=2", "training.devices=2"),
        ("trainer.num_nodes=3", "training.nodes=3"),
        ("trainer.max_epochs=5", "training.epochs=5"),
    ],
)
def test_keys_of_other_programs_are_named_as_here(capsys, key, right):
    assert main(["train", "data.path=x.csv", key]) == 2
    assert right in capsys.readouterr().err
