"""Work that another thread does while this one goes on: reading ahead, and writing behind."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

T = TypeVar("T")


def read_ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same items, taken from their source by another thread, at most `depth` of them waiting.

    An error of the source is raised here, after the items before it. When this iterator is closed, the source is no
    longer asked.
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(depth)
    closed = threading.Event()

    def put(item: T | None, error: BaseException | None = None, *, last: bool = False) -> None:
        while not closed.is_set():
            try:
                waiting.put((item, error, last), timeout=0.05)
            except queue.Full:
                continue
            return

    def take() -> None:
        try:
            for item in items:
                put(item)
                if closed.is_set():
                    return
            put(None, last=True)
        except BaseException as error:
            put(None, error, last=True)

    thread = threading.Thread(target=take, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error, last = waiting.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        closed.set()
        thread.join()


def with_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Each item, and whether it is the last one."""
    before: list[T] = []
    for item in items:
        if before:
            yield before.pop(), False
        before.append(item)
    for item in before:
        yield item, True


class WriteBehind:
    """Calls functions one after the other in another thread, with at most `depth` of them waiting.

    Use it in a ``with`` block: leaving the block waits for what was asked for. An error of a function is raised by a
    later `do`, or at the end of the block, and what waits behind it is not done.
    """

    def __init__(self, depth: int = 2) -> None:
        self.depth = depth
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
        self._waiting: deque[Future[Any]] = deque()
        self._failed = False

    def do(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have `function` called when those before it are done."""
        while len(self._waiting) >= self.depth:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._run, function, *arguments))

    def _run(self, function: Callable[..., Any], *arguments: Any) -> None:
        if self._failed:
            return
        try:
            function(*arguments)
        except BaseException:
            self._failed = True
            raise

    def drain(self) -> None:
        """Wait until everything is done."""
        while self._waiting:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.drain()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
