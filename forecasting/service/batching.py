"""Answers many requests at once with one package.

Small jobs that wait are forecast together, as many as fit into one micro-batch; who asks alone does not wait for company. Larger
ones go step by step, in turn, with a batch of small ones between any two steps, so that a small request never waits long behind
a large one. What a job is answered does not depend on the others (`inference.filling` says why), to the last bit.

Quick work is done at once, between the arrival of one request and the next: two threads that both want the interpreter would hand
it back and forth at every operation of the model, which costs more than the work. What takes longer is done in a thread.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

from forecasting.errors import ForecastingError
from forecasting.service.aside import Aside
from forecasting.service.jobs import Job, Size, run_together
from forecasting.service.memory import Returner
from forecasting.service.problems import Problem, no_memory, stopping, unexpected
from forecasting.service.shelf import Served

logger = logging.getLogger(__name__)
SMALL = 4
"""A job of less than one in so many parts of a micro-batch shares it."""
QUICK = 0.04
"""[s] of work that is done at once; so long, nothing else is answered."""
COMPANY = 0.002
"""[s] for which a micro-batch waits where the one before was shared."""
FIXED = 0.01
"""[s] of a micro-batch, however small."""


@dataclass(eq=False)
class _Waiting:
    """A job in the queue.

    Attributes:
        job: itself; size: of it; written: makes the answer's body of a finished job; done: the future of who waits.
        steps: where a large job stands; answer: once it is there.
    """

    job: Job
    size: Size
    written: Callable[[Job], bytes]
    done: "asyncio.Future[bytes]"
    steps: Iterator[None] | None = None
    answer: bytes | Problem = b""


@dataclass
class Tally:
    """What a worker did.

    Attributes:
        batches, windows: computed; together: jobs that shared a batch; busy: [s] of computing.
    """

    batches: int = 0
    windows: int = 0
    together: int = 0
    busy: float = 0.0


class Worker:
    """Answers jobs for one package, one micro-batch at a time.

    Args:
        served: the package; queue: jobs that may wait.
    """

    def __init__(self, served: Served, queue: int) -> None:
        self.served, self.queue = served, queue
        self.tally = Tally()
        self._small: deque[_Waiting] = deque()
        self._large: deque[_Waiting] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._stopping = self._crowded = False
        self._pace = QUICK  # [s] of a node or an edge beyond FIXED, the mean of the last two micro-batches
        self._one_at_a_time = Lock()
        self._returner = Returner()
        self._thread = Aside(f"worker of {served.name}")

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._small) + len(self._large)

    def submit(self, job: Job, size: Size, written: Callable[[Job], bytes]) -> "asyncio.Future[bytes]":
        """Take a job; the future gets the body that `written` makes of it, or a `Problem`.

        Raises:
            Problem: 429 where the queue is full, 503 where the worker is stopping.
        """
        if self._stopping:
            raise stopping()
        if self.waiting >= self.queue:
            raise Problem(429, f"{self.queue} requests wait for {self.served.name}; come again", {"retry-after": "1"})
        loop = asyncio.get_running_loop()
        limits = self.served.predictor.limits
        small = isinstance(job.scenes, list) and job.forecast and job.residual is None and job.anchors.every is None
        small = small and size.nodes * SMALL <= limits.nodes and size.edges * SMALL <= limits.edges
        waiting = _Waiting(job, size, written, loop.create_future())
        (self._small if small else self._large).append(waiting)
        if self._draining is None or self._draining.done():
            self._draining = loop.create_task(self._drain())
        return waiting.done

    def stop(self) -> None:
        """Take no more; nobody waits for the step that is being done."""
        self._stopping = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _drain(self) -> None:
        """Work until nothing waits."""
        crowded = self._crowded
        while self.waiting:
            await asyncio.sleep(COMPANY if crowded else 0)  # requests that have arrived come in first, and answers go out
            together, alone = self._turn()
            crowded = len(together) > 1
            work = partial(self._work, together, alone)
            units = sum(one.size.nodes + one.size.edges for one in together)
            if alone is None and FIXED + self._pace * units <= QUICK:
                finished = work()
            else:
                finished = await asyncio.get_running_loop().run_in_executor(self._thread, work)
            for one in finished:
                _resolve(one)
            self._crowded = crowded

    def _work(self, together: list[_Waiting], alone: _Waiting | None) -> list[_Waiting]:
        """One micro-batch of small jobs and one step of a large one; the jobs that are finished by it."""
        with self._one_at_a_time:
            start, work = time.perf_counter(), time.thread_time()
            finished = self._compute(together)
            seconds = time.thread_time() - work
            units = sum(one.size.nodes + one.size.edges for one in together)
            if units:
                pace = max(seconds - FIXED, 0.0) / units
                self._pace = pace if self._pace == QUICK else (self._pace + pace) / 2
            if alone is not None and self._step(alone):
                finished = [*finished, alone]
            elif alone is not None:
                self._large.append(alone)
            self.tally.busy += time.perf_counter() - start
            self._returner.now_and_then()
            return finished

    def _turn(self) -> tuple[list[_Waiting], _Waiting | None]:
        """Small jobs for one micro-batch, and the next large one."""
        limits, nodes, edges = self.served.predictor.limits, 0, 0
        together: list[_Waiting] = []
        while self._small:
            size = self._small[0].size
            if together and (nodes + size.nodes > limits.nodes or edges + size.edges > limits.edges):
                break
            if together and self._small[0].job.interval != together[0].job.interval:
                break
            one = self._small.popleft()
            if not one.job.left:
                together.append(one)
                nodes, edges = nodes + size.nodes, edges + size.edges
        while self._large:
            one = self._large.popleft()
            if not one.job.left:
                return together, one
        return together, None

    def _compute(self, together: list[_Waiting]) -> list[_Waiting]:
        if not together:
            return []
        if self._guarded(together, lambda: run_together([one.job for one in together], self.served)):
            self.tally.batches += 1
            self.tally.together += len(together)
            for one in together:
                self._write(one)
        else:
            for one in together:
                while not self._step(one):
                    pass
        return together

    def _step(self, one: _Waiting) -> bool:
        """Take a job one step further; whether it is finished."""
        one.steps = one.steps or one.job.steps(self.served)
        ended = self._guarded([one], lambda: next(one.steps, _END) is _END)  # type: ignore[arg-type]
        self.tally.batches += 1
        if ended and not one.answer:
            self._write(one)
        return ended

    def _write(self, one: _Waiting) -> None:
        self.tally.windows += one.size.windows
        if one.answer:
            return
        self._guarded([one], lambda: setattr(one, "answer", one.job.problem or one.written(one.job)))

    def _guarded(self, jobs: list[_Waiting], work: Callable[[], Any]) -> Any:
        """The result of `work`; what it raises becomes the answer of the jobs, and counts as finished."""
        try:
            return work()
        except Problem as problem:
            found = problem
        except ForecastingError as error:
            found = Problem.of(error)
        except MemoryError:
            found = no_memory()
        except Exception:
            logger.exception("a request failed in an unexpected way")
            found = unexpected()
        for one in jobs:
            one.answer = found
        return True


_END = object()


def _resolve(one: _Waiting) -> None:
    """Give the answer to who waits, if somebody still does."""
    with suppress(asyncio.InvalidStateError):
        if isinstance(one.answer, Problem):
            one.done.set_exception(one.answer)
        else:
            one.done.set_result(one.answer)
    one.answer = b""
