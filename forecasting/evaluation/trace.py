"""What happened in training, from the files in a run folder."""

import csv
import math
from pathlib import Path
from typing import Any

from forecasting.errors import DataError

SERIES = ("train_loss", "validation_loss")


def training_trace(run_folder: str | Path) -> dict[str, Any]:
    """Losses and the state of the relaxation at every validation.

    Args:
        run_folder: with ``metrics.csv`` and, for relaxed models, ``relaxation.csv`` (long form: step, name, value).

    Returns:
        plain values: ``epochs``, ``steps``, ``series`` name -> values at these (None where not finite), ``levels`` name ->
        [steps, values] for every level, size, dual and strength, by the names of the file.

    Raises:
        DataError: if there is no ``metrics.csv``, or a file is damaged; names the line.
    """
    folder = Path(run_folder)
    metrics = folder / "metrics.csv"
    if not metrics.is_file():
        raise DataError(f"{folder} has no metrics.csv; give the folder that `forecast train` wrote")
    rows = _rows(metrics, ("step", "epoch", *SERIES))
    levels: dict[str, list[list[Any]]] = {}
    for number, row in enumerate(_rows(folder / "relaxation.csv", ("step", "name", "value")), start=2):
        steps, values = levels.setdefault(row["name"], [[], []])
        steps.append(_whole(row["step"], folder / "relaxation.csv", number))
        values.append(_number(row["value"], folder / "relaxation.csv", number))
    return {
        "epochs": [_number(row["epoch"], metrics, number) for number, row in enumerate(rows, start=2)],
        "steps": [_whole(row["step"], metrics, number) for number, row in enumerate(rows, start=2)],
        "series": {
            name.replace("_", " "): [_number(row[name], metrics, number) for number, row in enumerate(rows, start=2)]
            for name in SERIES
        },
        "levels": levels,
    }


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a table, none if there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{path}, line 1: no column '{missing[0]}'; expected {', '.join(columns)}")
        return [{name: row[name] or "" for name in columns} for row in reader]


def _number(text: str, path: Path, line: int) -> float | None:
    """The number, None where there is none or it is not finite."""
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise DataError(f"{path}, line {line}: '{text}' is not a number; the file is damaged") from None
    return value if math.isfinite(value) else None


def _whole(text: str, path: Path, line: int) -> int:
    value = _number(text, path, line)
    if value is None:
        raise DataError(f"{path}, line {line}: there is no step; the file is damaged")
    return int(value)
