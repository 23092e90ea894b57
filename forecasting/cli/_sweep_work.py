"""The work of a sweep: trials are started, watched and told to end, by one loop."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import IO, Any

from forecasting.cli._sweep_settings import Sweep
from forecasting.cli._sweep_study import Study
from forecasting.cli._sweep_trial import RunningTrial, said_folder
from forecasting.errors import UsageError

POLL = 0.3
HOPELESS = 3
"""Trials of which none ended well, so that the fault is not with what they vary."""


class Work:
    """Works on a sweep.

    Args:
        sweep: what to do; study: where it is kept; jobs: trials at a time; lock: of the folder; say: told a line now and then.
    """

    def __init__(self, sweep: Sweep, study: Study, jobs: int, lock: IO[str], say: Callable[[str], None]) -> None:
        self.sweep, self.study, self.jobs, self.lock, self.say = sweep, study, jobs, lock, say
        self._at_work: list[RunningTrial] = []
        self._waiting = study.left_running()
        self._began = time.monotonic()
        self._asked = self._left = 0
        self.stopped = "finished"

    def do(self) -> str:
        """Try until all is done.

        Returns:
            finished, time or signal.

        Raises:
            UsageError: if the first trials all fail.
        """
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while self._goes_on():
                self._start()
                for trial in list(self._at_work):
                    self._look_at(trial)
                if self._at_work:
                    time.sleep(POLL)
        finally:
            for trial in self._at_work:
                trial.process.kill()
            for number, handler in before.items():
                signal.signal(number, handler)
        return "signal" if self._left and self.stopped == "finished" else self.stopped

    def _goes_on(self) -> bool:
        if self._asked > 1:
            raise KeyboardInterrupt
        limit = self.sweep.settings.max_time_s
        if self.stopped == "finished" and (self._asked or (limit is not None and time.monotonic() - self._began > limit)):
            self.stopped = "signal" if self._asked else "time"
            self.say(f"{len(self._at_work)} trials at work are saved; continue with --resume {self.sweep.folder}")
            for trial in self._at_work:
                trial.ask_to_stop()
                trial.stopped = True
        return bool(self._at_work) or (self.stopped == "finished" and self._more())

    def _more(self) -> bool:
        return bool(self._waiting) or len(self.study.tried()) < self.sweep.settings.trials

    def _start(self) -> None:
        threads = max((os.cpu_count() or 1) // self.jobs, 1)
        while self.stopped == "finished" and len(self._at_work) < self.jobs and self._more():
            number = self._waiting.pop(0) if self._waiting else self.study.ask()
            varied = self.study.tried()[number].overrides
            overrides = [*self.sweep.overrides, *varied]
            self.say(f"trial {number}: {' '.join(varied)}")
            self._at_work.append(RunningTrial.start(self.sweep.folder, number, overrides, threads, self.lock))

    def _look_at(self, trial: RunningTrial) -> None:
        ended = trial.process.poll() is not None
        for epoch, loss in trial.new_losses():
            if self.study.report(trial.number, epoch, loss) and self.sweep.settings.prune and not ended:
                trial.ask_to_stop()
                trial.pruned = True
        if ended:
            self._at_work.remove(trial)
            self._end(trial, trial.result())

    def _end(self, trial: RunningTrial, result: dict[str, Any]) -> None:
        if trial.stopped and ("error" in result or result["stopped"] == "signal"):
            return
        if trial.was_ended(result):
            self._left += 1
            self.say(f"trial {trial.number} was told to end by somebody else; --resume {self.sweep.folder} goes on with it")
            return
        if trial.pruned and "error" in result:  # it was about to end by itself when it was told to
            result = {**result, "best_validation": trial.best, "stopped": "signal", "seconds": trial.seconds}
        loss = result.get("best_validation")
        if loss is None:
            error = result.get("error", "it was never validated")
            self.study.fail(trial.number, error)
            self.say(f"trial {trial.number} failed: {error}")
            self._give_up(error)
            return
        pruned = trial.pruned and result["stopped"] == "signal"
        self.study.finish(trial.number, loss, result["seconds"], pruned=pruned)
        self.say(f"trial {trial.number} {'was ended, others do better' if pruned else 'ended'}: validation loss {loss:.5g}")

    def _give_up(self, error: str) -> None:
        ended = [trial for trial in self.study.tried() if trial.state != "running"]
        if len(ended) >= HOPELESS and all(trial.state == "failed" for trial in ended):
            raise UsageError(
                f"none of the first {len(ended)} trials ended well; the last one said: {error} (all output: "
                f"{said_folder(self.sweep.folder)})"
            )

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked += 1
