"""What happens between steps: validation, keeping the best, stopping, checkpoints, the log, and progress."""

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from forecasting.training.log import append_log, append_trace, truncate_log
from forecasting.training.module import TrainingModule
from forecasting.training.settings import TrainingSettings

Say = Callable[[str], None]


class Keeper(Callback):
    """Validates, remembers the best weights, logs, and stops when validation no longer improves or the time is over.

    Where several processes learn together, every one does the same, and what stops one of them stops all after the same step.

    Args:
        settings: how to train; steps_per_epoch, steps: in all; folder: of the run.
        say: told a plain line at every validation.

    Attributes:
        asked: whether somebody asked this process to stop after the step.
    """

    def __init__(self, settings: TrainingSettings, steps_per_epoch: int, steps: int, folder: Path, say: Say) -> None:
        self.settings, self.steps_per_epoch, self.steps = settings, steps_per_epoch, steps
        self.log_file, self.trace_file = folder / "metrics.csv", folder / "relaxation.csv"
        self.say = say
        self.best, self.waiting, self.seconds = math.inf, 0, 0.0
        self.stopped, self.asked = "finished", False
        self._train_sum, self._train_count = 0.0, 0
        self._since = time.monotonic()
        self._began = time.monotonic()
        self.validation_seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a continued run needs."""
        return {
            "best": self.best,
            "waiting": self.waiting,
            "seconds": self.seconds,
            "train_sum": self._train_sum,
            "train_count": self._train_count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.best, self.waiting = state_dict["best"], state_dict["waiting"]
        self.seconds = state_dict["seconds"]
        self._train_sum, self._train_count = state_dict["train_sum"], state_dict["train_count"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, and drop log rows that a continued run will write again."""
        self._since = self._began = time.monotonic()
        if trainer.is_global_zero:
            for path in (self.log_file, self.trace_file):
                truncate_log(path, int(_module(pl_module).step))

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the step; validate when it is time."""
        module = _module(pl_module)
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
        self._train_sum += module.train_loss
        self._train_count += 1
        step = int(module.step)
        if step % (self.steps_per_epoch * self.settings.validate_every) == 0 or step == self.steps:
            self._validate(trainer, module, step)
        late = self.settings.max_time_s is not None and now - self._began > self.settings.max_time_s
        late, asked = module.ranks.any(late, self.asked)
        if late or asked:
            self.stopped = "signal" if asked else "time"
            trainer.should_stop = True

    def _validate(self, trainer: lightning.Trainer, module: TrainingModule, step: int) -> None:
        start = time.monotonic()
        loss = module.validation_loss()
        progress = step / self.steps
        if loss < self.best and module.relaxation.may_keep(progress):
            self.best, self.waiting = loss, 0
            module.keep_best()
        elif module.relaxation.may_keep(progress):
            self.waiting += 1
        train = self._train_sum / max(self._train_count, 1)
        self._train_sum, self._train_count = 0.0, 0
        row = {
            "step": step,
            "epoch": step / self.steps_per_epoch,
            "train_loss": train,
            "validation_loss": loss,
            "learning_rate": self.settings.learning_rate * self.settings.rate(step - 1, self.steps),
            "seconds": self.seconds,
        }
        if trainer.is_global_zero:
            append_log(self.log_file, row)
            append_trace(self.trace_file, step, module.relaxation.trace(module.model))
            for logger in trainer.loggers:
                logger.log_metrics({key: float(value) for key, value in row.items()}, step=step)
            self.say(
                f"epoch {row['epoch']:.4g} of {self.steps / self.steps_per_epoch:.4g}: train {train:.5g}, "
                f"validation {loss:.5g}, best {self.best:.5g} ({self.seconds:.0f} s)"
            )
        if self.settings.patience is not None and self.waiting >= self.settings.patience:
            self.stopped = "patience"
            trainer.should_stop = True
        took = time.monotonic() - start
        self.validation_seconds += took
        self._since = time.monotonic()
        self.seconds += took


class Checkpoints(Callback):
    """Writes `last.ckpt` every so many steps and at the end, replacing it atomically.

    Args:
        path: of the checkpoint; every: steps; keep_all: a copy of each under its step, for tests.
    """

    def __init__(self, path: Path, every: int, keep_all: bool = False) -> None:
        self.path, self.every, self.keep_all = path, every, keep_all

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when it is time, or when training is about to stop."""
        step = int(_module(pl_module).step)
        if step % self.every == 0 or trainer.should_stop or step == _module(pl_module).steps:
            self.save(trainer)
            if self.keep_all and trainer.is_global_zero:
                os.link(self.path, self.path.with_name(f"step-{step:06d}.ckpt"))

    def save(self, trainer: lightning.Trainer) -> None:
        """Write the checkpoint beside the old one, then take its place."""
        part = self.path.with_suffix(".part")
        trainer.save_checkpoint(part)
        if trainer.is_global_zero:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(self.path)


class GracefulStop(Callback):
    """SIGINT and SIGTERM let the current step end; then the run saves and leaves a usable package. A second one is final.

    Args:
        keeper: asked to stop.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take the signals over, after Lightning has taken them."""
        try:
            self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        except ValueError:  # not in the main thread: signals are not ours to handle
            self._before = {}

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.keeper.asked:
            raise KeyboardInterrupt
        self.keeper.asked = True
        self.keeper.say("stopping after this step; the run is saved, continue it with --resume (once more stops at once)")


class ProgressLines(Callback):
    """Progress on standard error: a bar on a terminal, otherwise a plain line every few seconds.

    Args:
        steps_per_epoch, steps: in all; every: [s] between plain lines.
    """

    def __init__(self, steps_per_epoch: int, steps: int, every: float = 10.0) -> None:
        self.steps_per_epoch, self.steps, self.every = steps_per_epoch, steps, every
        self._bar: Any = None
        self._task: Any = None
        self._start = self._last = time.monotonic()
        self._first = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show the bar."""
        self._start = self._last = time.monotonic()
        self._first = int(_module(pl_module).step)
        if sys.stderr.isatty() and trainer.is_global_zero:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=self.steps, completed=self._first)
            self._bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move on."""
        module = _module(pl_module)
        step, now = int(module.step), time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=f"loss {module.train_loss:.4g}")
        elif trainer.is_global_zero and now - self._last >= self.every:
            self._last = now
            rate = (step - self._first) / (now - self._start)
            left = (self.steps - step) / rate
            print(
                f"step {step} of {self.steps}: loss {module.train_loss:.5g}, {rate:.1f} steps/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _module(module: lightning.LightningModule) -> TrainingModule:
    if not isinstance(module, TrainingModule):
        raise TypeError(f"these callbacks serve TrainingModule, found {type(module).__name__}")
    return module
