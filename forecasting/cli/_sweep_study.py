"""The study of a sweep: what was tried, what came of it, and what to try next. The only file that knows Optuna."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecasting.cli._sweep_space import Space
from forecasting.errors import UsageError

FEWEST = 5
"""Trials that end before any is pruned."""


@dataclass(frozen=True)
class Tried:
    """A trial.

    Attributes:
        number: from 0; state: running, complete, pruned or failed; overrides: what it varies.
        loss: best validation loss, of a complete or pruned one; seconds: that it took; error: why it failed.
    """

    number: int
    state: str
    overrides: tuple[str, ...]
    loss: float | None
    seconds: float | None
    error: str | None


class Study:
    """Trials kept in `study.db` of a folder, found again by the next call.

    What trial k tries is a function of the seed, k and what is known by then.

    Args:
        folder: of the sweep; space: what may vary; seed: of what is tried; jobs: trials at a time.

    Raises:
        UsageError: if Optuna is not installed.
    """

    def __init__(self, folder: Path, space: Space, seed: int, jobs: int) -> None:
        try:
            import optuna
        except ModuleNotFoundError:
            raise UsageError("forecast sweep needs optuna: pip install 'forecasting[sweep]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self.space, self.seed, self.jobs = optuna, space, seed, jobs
        self._study = optuna.create_study(
            study_name="sweep",
            storage=f"sqlite:///{folder / 'study.db'}",
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FEWEST),
            load_if_exists=True,
        )

    def ask(self) -> int:
        """Begin a trial; its number."""
        number = len(self._study.trials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=self._optuna.exceptions.ExperimentalWarning)
            self._study.sampler = self._optuna.samplers.TPESampler(
                seed=(self.seed * 1_000_003 + number) % 2**32, constant_liar=self.jobs > 1
            )
        trial = self._study.ask()
        trial.set_user_attr("overrides", [self.space[key].draw(trial, key) for key in self.space])
        return int(trial.number)

    def left_running(self) -> list[int]:
        """Trials that an earlier call left; one that ended before it was known what it tries has failed."""
        for trial in self._trials("RUNNING"):
            if "overrides" not in trial.user_attrs:
                self.fail(trial.number, "ended before it began")
        return [trial.number for trial in self._trials("RUNNING")]

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Tell what a running trial has come to; whether it should end."""
        trial = self._trial(number)
        if epoch not in self._study.trials[number].intermediate_values:
            trial.report(loss, epoch)
        return bool(trial.should_prune())

    def finish(self, number: int, loss: float, seconds: float, *, pruned: bool) -> None:
        """A trial has ended well, or was ended by `report`."""
        self._trial(number).set_user_attr("loss", loss)
        self._trial(number).set_user_attr("seconds", seconds)
        state = self._optuna.trial.TrialState
        self._study.tell(number, None if pruned else loss, state=state.PRUNED if pruned else state.COMPLETE)

    def fail(self, number: int, error: str) -> None:
        """A trial has ended badly."""
        self._trial(number).set_user_attr("error", error)
        self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)

    def tried(self) -> list[Tried]:
        """All trials, by number."""
        names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        return [
            Tried(
                trial.number,
                names.get(trial.state.name, "running"),
                tuple(trial.user_attrs.get("overrides", ())),
                *(trial.user_attrs.get(name) for name in ("loss", "seconds", "error")),
            )
            for trial in self._study.trials
        ]

    def _trials(self, state: str) -> Sequence[Any]:
        found: Sequence[Any] = self._study.get_trials(deepcopy=False, states=[self._optuna.trial.TrialState[state]])
        return found

    def _trial(self, number: int) -> Any:
        return self._optuna.trial.Trial(self._study, self._study.trials[number]._trial_id)
