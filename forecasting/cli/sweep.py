"""`forecast sweep`: try configurations, and keep what learned best."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from forecasting.cli.output import note, print_table

if TYPE_CHECKING:
    from forecasting.cli._sweep_settings import Sweep
    from forecasting.cli._sweep_study import Tried

SUMMARY = "try many configurations, and keep the one that learned best"
DESCRIPTION = """\
Try configurations of `forecast train`, each in a process of its own. The best is the one with the smallest validation loss; the
test part of the data is never looked at. What sweep.space names varies, every other KEY=VALUE holds for all trials. The folder
keeps everything: the same command again, or --resume, goes on, with the trials that were cut off first.

  forecast sweep experiment=charged data.path=data/charged sweep.trials=20 run=checkpoints/sweep \\
    'sweep.space={training.learning_rate: {low: 1e-4, high: 1e-2, log: true}, model.arguments.hidden: [32, 64]}'
  forecast sweep --resume checkpoints/sweep sweep.trials=40      twenty more
  forecast sweep --jobs 4 data.path=walk/ 'sweep.space={model: [egnn, segnn]}' sweep.max_time_s=3600
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="configuration, and sweep.space, sweep.trials, …")
    parser.add_argument("--resume", metavar="FOLDER", help="sweep to continue")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time (default: 1)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Try until there are as many trials as wanted, the time is over, or somebody says stop."""
    import time

    from forecasting.cli._sweep_settings import keep, sweep_again, sweep_of
    from forecasting.cli._sweep_space import check_space, parse_space
    from forecasting.cli._sweep_study import Study
    from forecasting.cli._sweep_work import Work
    from forecasting.errors import UsageError

    if options.jobs < 1:
        raise UsageError(f"--jobs must be at least 1, found {options.jobs}")
    if options.resume:
        sweep = sweep_again(options.resume, options.overrides)
    else:
        sweep = sweep_of(options.overrides, time.strftime("checkpoints/sweep-%Y%m%d-%H%M%S"))
    space = parse_space(sweep.settings.space)
    check_space(space, sweep.overrides)
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(sweep.folder) as lock:
        study = Study(sweep.folder, space, sweep.settings.seed, options.jobs)
        keep(sweep)
        stopped = Work(sweep, study, options.jobs, lock, note).do()
        return {"folder": str(sweep.folder), "stopped": stopped, **_summary(sweep, study.tried())}


def show(result: dict[str, Any]) -> None:
    """The trials, best first, and how to have the best again."""
    trials = sorted(result["trials"], key=lambda row: (row["loss"] is None, row["state"] != "complete", row["loss"] or 0.0))
    rows = [(row["trial"], row["state"], row["loss"], row["seconds"], " ".join(row["overrides"])) for row in trials]
    print_table(["trial", "state", "validation loss", "seconds", "what it varies"], rows)
    for row in trials:
        if row["error"]:
            print(f"trial {row['trial']}: {row['error']}")
    if result["best"]:
        best = result["best"]
        print(f"\nbest: trial {best['trial']}, validation loss {best['loss']:.5g}\n{best['command']}\npackage: {best['package']}")
    else:
        print("\nno trial ended well")
    if result["stopped"] != "finished":
        print(f"stopped ({result['stopped']}); continue with forecast sweep --resume {result['folder']}")


def _summary(sweep: "Sweep", tried: "list[Tried]") -> dict[str, Any]:
    import shlex

    from forecasting.cli._sweep_trial import trial_folder

    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            "loss": trial.loss,
            "seconds": trial.seconds,
            "overrides": list(trial.overrides),
            "error": trial.error,
            "run": str(trial_folder(sweep.folder, trial.number)),
        }
        for trial in tried
    ]
    ended = [trial for trial in tried if trial.state == "complete" and trial.loss is not None]
    if not ended:
        return {"trials": rows, "best": None}
    best = min(ended, key=lambda trial: (trial.loss, trial.number))
    command = shlex.join(["forecast", "train", *sweep.overrides, *best.overrides])
    package = str(trial_folder(sweep.folder, best.number) / "package")
    return {
        "trials": rows,
        "best": {
            "trial": best.number,
            "loss": best.loss,
            "overrides": list(best.overrides),
            "command": command,
            "package": package,
        },
    }


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[IO[str]]:
    """Hold the lock of a sweep's folder; its trials hold it too, so that none is started twice."""
    import fcntl

    from forecasting.errors import UsageError

    with (folder / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"a sweep, or a trial that one left behind, is at work in {folder}; wait until it ends") from None
        yield lock
