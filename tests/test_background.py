"""Work in other threads: order, errors, and an end that waits."""

import threading
from collections.abc import Iterator

import pytest

from forecasting.background import WriteBehind, read_ahead


def test_items_come_in_order_and_from_another_thread() -> None:
    found = list(read_ahead((number, threading.current_thread().name) for number in range(50)))
    assert [number for number, _ in found] == list(range(50))
    assert {name for _, name in found} == {"read-ahead"}


def test_an_error_of_the_source_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = read_ahead(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_a_reader_that_stops_early_stops_the_source() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    items = read_ahead(source(), depth=3)
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert len(taken) <= 6
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_what_is_asked_for_is_done_in_order() -> None:
    done: list[int] = []
    with WriteBehind() as behind:
        for number in range(20):
            behind.do(done.append, number)
        behind.drain()
        assert done == list(range(20))
        behind.do(done.append, 20)
    assert done[-1] == 20


def test_nothing_is_done_after_an_error() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("disk full")

    def work() -> None:
        with WriteBehind(depth=1) as behind:
            behind.do(fail)
            for number in range(5):
                behind.do(done.append, number)

    with pytest.raises(OSError, match="disk full"):
        work()
    assert not done
