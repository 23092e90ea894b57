"""One trial of a sweep: a `forecast train` in a process of its own."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any


@dataclass
class RunningTrial:
    """A trial at work.

    Attributes:
        number: of the trial; run: its run folder; process: that trains.
        pruned: whether it was told to end because others do better; stopped: because the sweep ends.
        best: smallest validation loss that it has logged; seconds: that it had taken by its last one.
    """

    number: int
    run: Path
    process: subprocess.Popen[bytes]
    pruned: bool = False
    stopped: bool = False
    best: float | None = None
    seconds: float = 0.0
    _rows: int = field(default=0, repr=False)

    @classmethod
    def start(cls, folder: Path, number: int, overrides: Sequence[str], threads: int, lock: IO[str]) -> "RunningTrial":
        """Start it, or continue it where an earlier call left a checkpoint.

        It is out of reach of the terminal's Ctrl-C, which the sweep passes on once; it holds the lock of the sweep's folder for
        as long as it lives.

        Args:
            folder: of the sweep; number: of the trial; overrides: of `forecast train`.
            threads: for it, where the environment does not say; lock: of the folder.
        """
        run, said = trial_folder(folder, number), said_folder(folder)
        if (run / "checkpoints" / "last.ckpt").exists():
            about = ["--resume", str(run)]
        else:
            shutil.rmtree(run, ignore_errors=True)
            about = [*overrides, f"run={run}"]
        said.mkdir(exist_ok=True)
        with (said / f"{run.name}.json").open("wb") as out, (said / f"{run.name}.log").open("ab") as err:
            process = subprocess.Popen(
                [*command(), *about, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
                env={"OMP_NUM_THREADS": str(threads), **os.environ},
            )
        return cls(number, run, process)

    def ask_to_stop(self) -> None:
        """Let it end its step, save and leave a package; once."""
        if not (self.pruned or self.stopped):
            self.process.send_signal(signal.SIGTERM)

    def new_losses(self) -> list[tuple[int, float]]:
        """(epoch, validation loss) of the validations since the last call."""
        try:
            with (self.run / "metrics.csv").open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["seconds"]]  # a row that is being written is left for later
        except (FileNotFoundError, KeyError):
            return []
        new, self._rows = rows[self._rows :], max(len(rows), self._rows)
        losses = [float(row["validation_loss"]) for row in new]
        if new:
            self.best = min([*losses, *([] if self.best is None else [self.best])])
            self.seconds = float(new[-1]["seconds"])
        return [(round(float(row["epoch"])), loss) for row, loss in zip(new, losses, strict=True)]

    def was_ended(self, result: dict[str, Any]) -> bool:
        """Whether somebody else told the process, which said `result`, to end, before it had done its work."""
        asked = self.process.returncode in (-signal.SIGTERM, -signal.SIGINT) or result.get("stopped") == "signal"
        return asked and not self.pruned

    def result(self) -> dict[str, Any]:
        """What the ended process said: its result, or the key ``error``."""
        path = said_folder(self.run.parent) / f"{self.run.name}.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = {}
        if self.process.returncode or "best_validation" not in found:
            code = self.process.returncode
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            return {"error": found.get("error", f"{ended}; see {path.with_suffix('.log')}")}
        return dict(found)


def trial_folder(folder: Path, number: int) -> Path:
    """The run folder of a trial."""
    return folder / f"trial-{number:04d}"


def said_folder(folder: Path) -> Path:
    """Where trials' output is kept."""
    return folder / "said"


def command() -> list[str]:
    """`forecast train` with this interpreter."""
    return [sys.executable, "-m", "forecasting.cli.main", "train"]
