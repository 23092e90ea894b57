"""The logs of a run: `metrics.csv`, a row for each validation, and `relaxation.csv`, what the method does."""

import csv
from collections.abc import Mapping
from pathlib import Path

COLUMNS = ("step", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds")


def append_trace(path: Path, step: int, trace: Mapping[str, float]) -> None:
    """One row for each level, dual and strength, in long form: names may change on the way."""
    if not trace:
        return
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(("step", "name", "value"))
        writer.writerows((step, name, f"{value:.9g}") for name, value in trace.items())


def append_log(path: Path, row: dict[str, float]) -> None:
    """One row of `COLUMNS`."""
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow({key: f"{value:.9g}" for key, value in row.items()})


def truncate_log(path: Path, step: int) -> None:
    """Drop the rows behind a step."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *(row for row in rows if int(float(row[0])) <= step)])
