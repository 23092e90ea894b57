"""Work beside the requests, in threads that nobody waits for at the end of the process."""

import atexit
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")
Given = ParamSpec("Given")
GLANCE = 0.02
"""[s] between two looks at whether work has ended."""


class Aside(Executor):
    """One thread, which starts with the first piece of work and takes one after the other.

    Unlike with `ThreadPoolExecutor`, a piece of work that never ends does not keep the process from ending.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self.name, self.working = name, False
        self._lock, self._stopped = Lock(), False
        self._thread: Thread | None = None
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def submit(self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """Take a piece of work.

        Raises:
            RuntimeError: after `shutdown`.
        """
        with self._lock:
            if self._stopped:
                raise RuntimeError(f"the {self.name} takes no more work")
            if self._thread is None:
                self._thread = Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()
                _started.add(self)
            future = Future[Result]()
            self._waiting.put((future, partial(fn, *args, **kwargs)))
            return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; what waits is done, unless `cancel_futures`."""
        with self._lock:
            self._stopped = True
            while cancel_futures:
                try:
                    item = self._waiting.get_nowait()
                except Empty:
                    break
                if item is not None:
                    item[0].cancel()
            self._waiting.put(None)
        if wait and self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            future, work = item
            self.working = True
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)
            self.working = False
            del item, future, work  # what was worked on is kept by nobody while the next piece is waited for


_started: WeakSet[Aside] = WeakSet()


def still_working(seconds: float) -> list[str]:
    """Names of the threads that are at work, and still are after so many seconds."""
    until = time.monotonic() + seconds
    while (found := [each.name for each in _started if each.working]) and time.monotonic() < until:
        time.sleep(GLANCE)
    return found


@atexit.register
def _end_idle_threads() -> None:
    """Those that wait for work are to end before the interpreter does, which could crash in them."""
    for each in tuple(_started):
        each.shutdown(wait=not each.working, cancel_futures=True)
