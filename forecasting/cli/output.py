"""What people and programs see: results on standard output, everything else on standard error."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, indent=2, allow_nan=False, default=str), flush=True)


def print_error(message: str) -> None:
    """One line on standard error."""
    print(f"forecast: error: {message}", file=sys.stderr)


def note(message: str) -> None:
    """A line of progress on standard error."""
    print(message, file=sys.stderr, flush=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Aligned columns on standard output; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(header), *cells]) for column in range(len(header))]
    numeric = [all(isinstance(row[column], int | float | None) for row in rows) for column in range(len(header))]
    for line in [list(header), *cells]:
        parts = [
            text.rjust(width) if right else text.ljust(width) for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(parts).rstrip())


class Progress:
    """Progress of long work on standard error: a bar on a terminal, otherwise a plain line now and then.

    Args:
        what: is being done; total: steps, None where nobody knows; every: [s] between plain lines.
    """

    def __init__(self, what: str, total: int | None = None, every: float = 5.0) -> None:
        self.what, self.total, self.every = what, total, every
        self.start = self.last = time.monotonic()
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            line = TextColumn("{task.fields[line]}")
            columns = (line, BarColumn(), TimeRemainingColumn()) if total else (line,)
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(what, total=total, line=what)

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def to(self, done: int) -> None:
        """Say that `done` steps are done."""
        now = time.monotonic()
        if now - self.last < (0.1 if self._bar else self.every) and done != self.total:
            return
        self.last = now
        rate = done / max(now - self.start, 1e-9)
        line = f"{self.what}: {done:,}{f' of {self.total:,}' if self.total else ''} ({rate:,.0f}/s"
        if self._bar:
            self._bar.update(self._task, completed=done, line=f"{line})")
            return
        left = f", {(self.total - done) / rate:.0f} s left" if self.total and rate > 0 else ""
        note(f"{line}{left})")


class Stages:
    """Progress of several long works, one after the other."""

    def __init__(self) -> None:
        self._now: Progress | None = None

    def __enter__(self) -> "Stages":
        return self

    def __exit__(self, *about: object) -> None:
        if self._now:
            self._now.__exit__(*about)

    def to(self, what: str, done: int, total: int) -> None:
        """Say that `done` of `total` steps of `what` are done."""
        if self._now is None or (self._now.what, self._now.total) != (what, total):
            self.__exit__()
            self._now = Progress(what, total).__enter__()
        self._now.to(done)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
