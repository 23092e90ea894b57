"""Sweeps: what is tried, what ends, what is refused, and how they go on. Trials stand in for training, but for the last ones."""

import fcntl
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from forecasting.cli import _sweep_trial, _sweep_work
from forecasting.cli._sweep_space import Choices, Range, parse_space
from forecasting.cli.main import main
from forecasting.packages import load_package
from forecasting.testing.scenes import random_dataset

RATES = "sweep.space={training.learning_rate: {low: 1e-5, high: 1e-1, log: true}}"
STAND_IN = Path(__file__).with_name("sweep_trainer.py")


@pytest.fixture
def stand_in(monkeypatch):
    """Trials of 50 ms an epoch."""
    monkeypatch.setattr(_sweep_trial, "command", lambda: [sys.executable, str(STAND_IN)])
    monkeypatch.setattr(_sweep_work, "POLL", 0.03)


@pytest.fixture
def sweep(stand_in, tmp_path, capsys):
    """Runs a sweep and reads its result."""

    def swept(*words: str, folder: str = "sweep", epochs: int = 2, fault: int = 0) -> dict:
        about = [f"run={tmp_path / folder}", "data.path=x.csv", f"training.epochs={epochs}", f"training.warmup_steps={fault}"]
        code = main(["sweep", "--json", *([] if "--resume" in words else about), *words])
        return {**json.loads(capsys.readouterr().out), "code": code}

    return swept


def varied(result: dict) -> list[list[str]]:
    return [row["overrides"] for row in result["trials"]]


def test_the_best_trial_is_the_one_with_the_smallest_validation_loss(sweep, tmp_path):
    result = sweep(RATES, "sweep.trials=6", "sweep.prune=false")
    assert (result["code"], result["stopped"]) == (0, "finished")
    assert [row["state"] for row in result["trials"]] == ["complete"] * 6
    best = min(result["trials"], key=lambda row: row["loss"])
    assert result["best"]["trial"] == best["trial"]
    (rate,) = best["overrides"]
    assert result["best"]["command"].endswith(f"training.epochs=2 training.warmup_steps=0 {rate}")
    assert "run=" not in result["best"]["command"]
    assert result["best"]["package"] == str(tmp_path / "sweep" / f"trial-{best['trial']:04d}" / "package")


def test_the_same_seed_tries_the_same_however_often_it_is_called(sweep):
    whole = sweep(RATES, "sweep.trials=12", epochs=1, folder="whole")
    sweep(RATES, "sweep.trials=4", epochs=1)
    folder = sweep(RATES, "sweep.trials=11", epochs=1)["folder"]
    parts = sweep("--resume", folder, "sweep.trials=12")
    assert varied(parts) == varied(whole)
    assert len({tuple(row) for row in varied(whole)}) == 12
    other = sweep(RATES, "sweep.trials=1", "sweep.seed=1", epochs=1, folder="other")
    assert varied(other) != varied(whole)[:1]


def interrupt_when(folder: Path, trials: int) -> None:
    """Press Ctrl-C once so many trials have a checkpoint."""
    deadline = time.monotonic() + 60
    while len(list(folder.glob("trial-*/checkpoints/last.ckpt"))) < trials and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


def test_a_sweep_that_is_asked_to_stop_saves_its_trials_and_goes_on_with_them(sweep, tmp_path):
    threading.Thread(target=interrupt_when, args=(tmp_path / "sweep", 2), daemon=True).start()
    result = sweep(RATES, "sweep.trials=3", "--jobs", "2", epochs=1000)
    assert (result["code"], result["stopped"], result["best"]) == (0, "signal", None)
    assert [row["state"] for row in result["trials"]] == ["running"] * 2
    before = [int((Path(row["run"]) / "checkpoints" / "last.ckpt").read_text()) for row in result["trials"]]
    assert all(0 < epochs < 1000 for epochs in before)
    for row in result["trials"]:
        words = Path(row["run"]) / "words.json"
        words.write_text(words.read_text().replace("epochs=1000", f"epochs={max(before) + 3}"))
    again = sweep("--resume", result["folder"], "sweep.trials=2", "sweep.prune=false")
    assert [row["state"] for row in again["trials"]] == ["complete"] * 2
    assert varied(again) == varied(result)
    said = [json.loads((Path(again["folder"]) / "said" / f"trial-000{k}.json").read_text()) for k in range(2)]
    assert all(found["resumed"] for found in said)


@pytest.mark.parametrize("fault", [0, 15], ids=["at work", "before it can save"])
def test_a_trial_that_somebody_else_ends_is_not_complete_and_is_run_again(sweep, tmp_path, fault):
    """Its loss is not that of a whole training."""
    folder = tmp_path / "sweep"
    if not fault:
        threading.Thread(target=end_first_trial, args=(folder,), daemon=True).start()
    result = sweep("sweep.space={training.learning_rate: [1e-3]}", "sweep.trials=1", epochs=40, fault=fault)
    assert (result["code"], result["stopped"], result["best"]) == (0, "signal", None)
    assert [row["state"] for row in result["trials"]] == ["running"]
    again = sweep("--resume", result["folder"]) if not fault else result
    assert [row["state"] for row in again["trials"]] == (["complete"] if not fault else ["running"])
    assert fault or again["trials"][0]["loss"] == pytest.approx(1 + 1 / 40)


def end_first_trial(folder: Path) -> None:
    """Send SIGTERM to the process of the first trial once it has a checkpoint."""
    said = folder / "trial-0000" / "checkpoints" / "process"
    deadline = time.monotonic() + 60
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(int(said.read_text()), signal.SIGTERM)


def test_time_that_is_over_stops_it_likewise(sweep):
    result = sweep(RATES, "sweep.max_time_s=0.5", epochs=1000)
    assert (result["stopped"], [row["state"] for row in result["trials"]]) == ("time", ["running"])


@pytest.mark.parametrize(("fault", "error"), [(5, "the loss became nan"), (9, "was killed by signal 9")])
def test_a_trial_that_fails_is_known_to_have_failed(sweep, fault, error):
    result = sweep(RATES, "sweep.trials=2", fault=fault)
    assert (result["code"], result["best"]) == (0, None)
    assert [row["state"] for row in result["trials"]] == ["failed"] * 2
    assert all(error in row["error"] for row in result["trials"])
    hopeless = sweep("--resume", result["folder"], "sweep.trials=20")
    assert hopeless["code"] == 2
    assert "none of the first 3 trials ended well" in hopeless["error"]
    assert error in hopeless["error"]


def test_some_fail_and_the_others_go_on(sweep):
    result = sweep("sweep.space={training.weight_decay: [0.0, 5.0], training.learning_rate: [1e-4, 1e-3]}", "sweep.trials=8")
    states = {(row["overrides"][0], row["state"]) for row in result["trials"]}
    assert states == {("training.weight_decay=0.0", "complete"), ("training.weight_decay=5.0", "failed")}
    assert result["best"]["loss"] == min(row["loss"] for row in result["trials"] if row["state"] == "complete")


def test_trials_that_do_worse_than_the_others_end_early(sweep):
    result = sweep(RATES, "sweep.trials=14", "--jobs", "3", epochs=12)
    pruned = [row for row in result["trials"] if row["state"] == "pruned"]
    assert pruned
    assert all(row["loss"] > result["best"]["loss"] for row in pruned)
    assert all(int((Path(row["run"]) / "checkpoints" / "last.ckpt").read_text()) < 12 for row in pruned)
    kept = sweep(RATES, "sweep.trials=8", "sweep.prune=false", "--jobs", "3", epochs=4, folder="kept")
    assert {row["state"] for row in kept["trials"]} == {"complete"}


def test_a_trial_that_is_ended_while_it_ends_by_itself_has_not_failed(sweep):
    result = sweep(RATES, "sweep.trials=8", "--jobs", "2", epochs=1, fault=7)
    states = [row["state"] for row in result["trials"]]
    assert set(states) == {"complete", "pruned"}, states
    assert all(row["loss"] > 1 and row["seconds"] > 0 for row in result["trials"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "sweep.space must say what may vary"),
        (["sweep.space={}"], "sweep.space must say what may vary"),
        (["sweep.space={training.learnin_rate: [1, 2]}"], "did you mean 'training.learning_rate'"),
        (["sweep.space={model.arguments.hiden: [1, 2]}"], "did you mean 'hidden'"),
        (["sweep.space={model: [egnn, static], model.arguments.layers: [1]}"], "model 'static' has no argument"),
        (["sweep.space={model: [egnn, egn]}"], "unknown model 'egn'"),
        (["sweep.space={training.epochs: [1, 2]}"], "training.epochs is given and in sweep.space"),
        (["sweep.space={training.learning_rate: {low: 1}}"], "needs the argument 'high'"),
        (["sweep.space={training.learning_rate: {low: 1, hi: 2}}"], "did you mean 'high'"),
        (["sweep.space={training.learning_rate: {low: 2, high: 1}}"], "low must be less than high"),
        (["sweep.space={training.learning_rate: {low: 0, high: 1, log: true}}"], "low must be positive"),
        (["sweep.space={training.learning_rate: {low: a, high: 1}}"], "both are numbers"),
        (["sweep.space={training.learning_rate: 3}"], "a list of choices"),
        (["sweep.space={training.learning_rate: [1"], "sweep"),
        (["sweep.space={training.learning_rate: {low: -1.0, high: 1.0}}"], "training.learning_rate must be a positive number"),
        (
            ["sweep.space={training.learning_rate: [1e-3, fast]}"],
            "training.learning_rate must be a positive number, found 'fast'",
        ),
        (["sweep.space={training.batch_size: [8, 0]}"], "training.batch_size must be a whole number of at least 1, found 0"),
        (["sweep.space={training.batch_size: {low: 8.0, high: 16}}"], "training.batch_size must be a whole number"),
        ([RATES, "training.batch_size=0"], "training.batch_size must be a whole number of at least 1, found 0"),
        ([RATES, "sweep.trial=3"], "did you mean 'trials'"),
        ([RATES, "sweep.trials=0"], "at least 1"),
        ([RATES, "sweep.max_time_s=0"], "must be positive"),
        ([RATES, "--jobs", "0"], "--jobs must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_tried(sweep, tmp_path, words, said):
    result = sweep(*words)
    assert result["code"] == 2
    assert said in result["error"]
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([RATES, "seed=3"], "another configuration"),
        ([RATES.replace("1e-5", "1e-6")], "another sweep.space"),
        ([RATES, "sweep.seed=2"], "another sweep.seed"),
    ],
)
def test_a_folder_holds_one_sweep(sweep, words, said):
    folder = sweep(RATES, "sweep.trials=1")["folder"]
    result = sweep(*words, "sweep.trials=1")
    assert result["code"] == 2
    assert said in result["error"]
    (key, *_) = words[-1].partition("=")
    refused = sweep("--resume", folder, f"{key}=1")
    assert f"{key} stays as it was" in refused["error"]


def test_nothing_to_resume_and_somebody_at_work(sweep, tmp_path):
    assert "holds no sweep" in sweep("--resume", str(tmp_path))["error"]
    folder = Path(sweep(RATES, "sweep.trials=1")["folder"])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is at work" in sweep("--resume", str(folder))["error"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    assert "holds a run of forecast train" in sweep(RATES, folder="run")["error"]


def test_without_optuna_the_extra_is_named(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'forecasting[sweep]'" in sweep(RATES)["error"]


def test_a_space_from_what_a_user_wrote():
    space = parse_space({"model": ["egnn"], "a.b": ["it's", [1, None]], "c.d": {"low": 1, "high": 8, "step": 2}})
    assert space == {
        "model": Choices(("model=egnn",)),
        "a.b": Choices((r"a.b='it\'s'", "a.b=[1,null]")),
        "c.d": Range("c.d", 1, 8, step=2),
    }


def test_trials_for_people(stand_in, tmp_path, capsys):
    words = ["sweep", f"run={tmp_path / 'sweep'}", "data.path=x.csv", "training.epochs=1", "sweep.trials=2"]
    assert main([*words, "sweep.space={training.learning_rate: [1e-3, 1e-2], seed: [0]}"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["trial", "state", "validation", "loss", "seconds", "what", "it", "varies"]
    assert "\nforecast train data.path=x.csv training.epochs=1 " in out


def test_real_trials(tmp_path, capsys):
    data = random_dataset(tmp_path / "data", scenes=9).folder
    about = [f"data.path={data}", f"data_root={tmp_path}", "data.split.kind=scene", "data.window={history: 2, horizon: 2}"]
    small = ["model.arguments.layers=1", "training.epochs=1", "threads=1", f"run={tmp_path / 'sweep'}"]
    start = time.monotonic()
    assert main(["sweep", "--json", *about, *small, "sweep.trials=1", "sweep.space={model.arguments.hidden: [4, 6]}"]) == 0
    result = json.loads(capsys.readouterr().out)
    (trial,) = result["trials"]
    assert 0 < trial["seconds"] < time.monotonic() - start
    package = load_package(result["best"]["package"])
    assert package.card["best_validation"] == trial["loss"]
    assert f"model.arguments.hidden={package.arguments['hidden']}" in trial["overrides"]
