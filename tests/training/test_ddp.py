"""Two processes learn exactly what one learns with twice the accumulation."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from forecasting.errors import UsageError
from forecasting.packages import load_package
from forecasting.testing.runs import QUICKEST, assert_same, checkpoint, quiet, trace
from forecasting.testing.scenes import random_dataset
from forecasting.training import assemble, train
from forecasting.training.loader import StepSampler

from .conftest import config

WORKER = Path(__file__).with_name("ddp_worker.py")
EXTRA = {"coordinates": {"pattern": "coordinate_net", "optimizer": "sgd", "learning_rate": 1e-2}}
FULL = {"ema_decay": 0.9, "clip_norm": 0.5, "extra_optimizers": EXTRA, "warmup_steps": 2, "epochs": 2}
CASES = {
    **{name: {"relaxation": [name, QUICKEST[name]], "epochs": 2} for name in QUICKEST},
    "everything": FULL,
    "hypotheses": {"head": {"name": "hypotheses", "count": 3}, "epochs": 2},
    "mixed segnn": {"relaxation": ["mixed", QUICKEST["mixed"]], "model": "segnn", "epochs": 1},
}
"""What is trained, by name."""
BURST = {"learning_rate": 1e20, "clip_norm": None, "precision": "32"}
EACH = 4
TOGETHER = {"devices": 2, "strategy": "ddp"}


def start(jobs: Path) -> list[subprocess.Popen]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "NODE_RANK": "0", "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(jobs), str(rank)],
            env={**os.environ, **common, "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def make(name: str, **more: object) -> dict:
    return {"precision": "64", "batch_size": EACH, "epochs": 2, **CASES.get(name, BURST), **more}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("ddp")


@pytest.fixture(scope="module")
def data(place):
    found = random_dataset(place / "data", scenes=7, frames=12).folder
    assert (
        len(assemble(config(found))[0].anchors["train"]) % (2 * EACH) == 1
    )  # so that at the end of an epoch one process has nothing to learn from
    return found


@pytest.fixture(scope="module")
def together(place, data):
    """What two processes did: everything in `CASES`, something that cannot go well, and something to go on with."""
    about = [
        *({"folder": str(place / "two" / name), "make": make(name, **TOGETHER)} for name in CASES),
        {"folder": str(place / "two" / "burst"), "make": make("burst", **TOGETHER)},
        {"folder": str(place / "two" / "long"), "make": make("ace_resilient", **TOGETHER, schedule="none"), "keep": True},
        {"folder": str(place / "two" / "short"), "make": make("ace_resilient", **TOGETHER, schedule="none", epochs=1)},
        {"folder": str(place / "two" / "short"), "make": make("ace_resilient", **TOGETHER, schedule="none"), "resume": True},
    ]
    jobs = place / "jobs.json"
    jobs.write_text(json.dumps([{**job, "data": str(data)} for job in about]))
    workers = start(jobs)
    for worker in workers:
        said = worker.communicate(timeout=300)[1]
        assert worker.returncode == 0, said
    return [json.loads(jobs.with_name(f"jobs.{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_one_with_twice_the_accumulation(together, place, data, name):
    folder = place / "one" / name
    done = train(*assemble(config(data, **make(name, accumulate=2, batch_size=2 * EACH))), folder, say=quiet)
    assert done.steps >= 4
    assert [found["raised"][str(place / "two" / name)] for found in together] == ["", ""]
    one, two = checkpoint(folder)["state_dict"], checkpoint(place / "two" / name)["state_dict"]
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-6, atol=1e-9, msg=lambda text, key=key: f"{key}: {text}")
    best, other = (load_file(run / "package" / "weights.safetensors") for run in (folder, place / "two" / name))
    for key, value in best.items():
        torch.testing.assert_close(other[key], value, rtol=1e-6, atol=1e-7)
    assert logged(place / "two" / name) == pytest.approx(logged(folder), rel=1e-6)
    for (step, which, value), mine in zip(trace(folder), trace(place / "two" / name), strict=True):
        assert mine == (step, which, pytest.approx(value, rel=1e-6, abs=1e-9))


def logged(run: Path) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(value) for row in csv.DictReader(file) for key, value in row.items() if key != "seconds"]


@pytest.mark.parametrize(("count", "size", "world"), [(17, 4, 2), (5, 3, 4), (1, 2, 3), (24, 4, 3)])
def test_an_epoch_gives_every_window_once(count, size, world):
    samplers = [StepSampler(count, size, seed=3, rank=rank, world=world) for rank in range(world)]
    epoch = range(samplers[0].steps_per_epoch)
    given = [windows for sampler in samplers for windows, _ in zip(sampler, epoch, strict=False)]
    assert sorted(sum(given, [])) == list(range(count))
    assert max(map(len, given)) <= size


def test_a_run_of_two_processes_goes_on_as_if_it_had_not_stopped(together, place):
    whole, again = place / "two" / "long", place / "two" / "short"
    assert_same(checkpoint(again)["state_dict"], checkpoint(whole)["state_dict"])
    assert_same(checkpoint(again)["optimizer_states"], checkpoint(whole)["optimizer_states"])
    assert trace(again) == trace(whole)
    assert (again / "package/weights.safetensors").read_bytes() == (whole / "package/weights.safetensors").read_bytes()


def test_the_same_run_cannot_go_on_in_one_process(together, place, data, tmp_path):
    shutil.copytree(place / "two" / "strict", tmp_path / "run")
    with pytest.raises(UsageError, match="devices"):
        train(*assemble(config(data, **make("strict"))), tmp_path / "run", resume=True, say=quiet)


def test_numbers_that_burst_stop_both_with_one_message_and_leave_a_package(together, place):
    first, second = (found["raised"][str(place / "two" / "burst")] for found in together)
    assert first == second
    assert first.startswith("NumericalError: process ")
    assert "scene@frame" in first
    load_package(place / "two" / "burst")


def test_what_processes_tell_each_other(together):
    for found in (about["probe"] for about in together):
        assert found["loss"] == 1.5
        both, second, nobody = found["gradients"]
        assert both == [[3.0] * 3] * 2
        assert second == [[5.0] * 3] * 2
        assert nobody is None
        assert found["total"] == [2.0, 1.0]
        assert found["any"] == [True, False]
        assert found["fault"] == "process 1: became inf in 1"
        assert found["gradient"] == "process 1: became nan in 1"
        assert found["shared"] == [7.0]
        assert "rank 0 and rank 1" in found["disagreement"]
