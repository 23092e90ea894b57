"""Tasks of a batch prediction, done by a pool of Ray actors. The only file that knows Ray."""

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.errors import ForecastingError, UsageError
from forecasting.inference.batch import perform
from forecasting.inference.job import Job
from forecasting.inference.shard_folder import Done, ShardFolder, Task
from forecasting.trajectories.validation import Finding

if TYPE_CHECKING:
    from forecasting.inference.predictor import Predictor

SHARE = 0.5
"""Processors that an actor asks Ray for. It computes on one; but actors that claim all of them leave none for Ray Data's own
tasks, which then wait for ever."""
MEMORY = 300 << 20
"""[bytes] of Ray's object store: only tasks and their records go through it."""
FINDINGS = 100


class Ray:
    """Does tasks on a cluster, or on this machine as a cluster of one; see `Engine`.

    Every actor has a `Predictor` of its own and writes its shards itself, so inputs and outputs must lie where all machines
    find them under the same name. A task whose actor dies is done again by another; as shards are written whole under a name
    that their content decides, none is lost and none is there twice.

    Args:
        address: of the cluster; empty starts one here, and ends it afterwards.
        workers: actors; 0 for one for each processor.

    Raises:
        UsageError: if Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, address: str = "", workers: int = 0) -> None:
        if workers < 0:
            raise UsageError(f"--workers must not be negative, found {workers}")
        self.address, self.workers = address, workers
        self.ray = _load()

    def __call__(
        self, job: Job, folder: ShardFolder, tasks: Sequence[Task], note: Callable[[Finding], None], read: Callable[[int], None]
    ) -> Iterator[Done]:
        """Do the tasks; see `Engine`."""
        if not tasks:
            return
        own = not self.ray.is_initialized()
        if own:
            self._start()
        try:
            for row in self._rows(job, folder, tasks):
                done, findings, count = pickle.loads(row["result"])
                for finding in findings:
                    note(finding)
                read(count)
                if isinstance(done, ForecastingError):
                    raise done
                yield done
        finally:
            if own:
                self.ray.shutdown()

    def _start(self) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
        try:
            if self.address:
                self.ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
            else:
                self.ray.init(num_cpus=max(os.cpu_count() or 1, 2), object_store_memory=MEMORY, **quiet)
        except (ConnectionError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(f"Ray at '{self.address or 'this machine'}' does not answer ({reason})") from None

    def _rows(self, job: Job, folder: ShardFolder, tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
        data = self.ray.data
        data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        workers = min(self.workers or int(self.ray.cluster_resources().get("CPU", 1)), len(tasks))
        items = data.from_items([{"task": pickle.dumps(task)} for task in tasks], override_num_blocks=len(tasks))
        results = items.map_batches(
            Worker,
            fn_constructor_args=(job, folder.place.name, str(Path.cwd())),
            batch_size=1,
            batch_format="numpy",
            compute=data.ActorPoolStrategy(size=workers),
            num_cpus=SHARE,
        )
        rows: Iterator[dict[str, Any]] = results.iter_rows()
        return rows


class Worker:
    """One actor: a predictor, and the folder that its shards go to.

    Args:
        job: what to do; folder: where shards go; home: folder from which paths count.
    """

    def __init__(self, job: Job, folder: str, home: str) -> None:
        from forecasting.numerics import configure
        from forecasting.preparations import keep_few_preparations

        keep_few_preparations()
        configure(1)
        os.chdir(home)
        self.job, self.folder = job, ShardFolder(folder)
        self.predictor: Predictor = job.predictor()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do the tasks of a batch; an error of a kind that users can cause is part of the result."""
        return {"result": np.array([self._do(pickle.loads(task)) for task in batch["task"]], dtype=object)}

    def _do(self, task: Task) -> bytes:
        findings: list[Finding] = []
        counts: list[int] = []
        found: Done | ForecastingError
        try:
            found = perform(self.predictor, self.job, self.folder, task, findings.append, counts.append)
        except ForecastingError as error:
            found = error
        return pickle.dumps((found, findings[:FINDINGS], sum(counts)))


def _load() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageError('--engine ray needs Ray: pip install "forecasting[scale]"') from None
    return ray
