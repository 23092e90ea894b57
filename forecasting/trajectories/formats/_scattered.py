"""A look at samples of a table, to see early whether the rows of its scenes stand apart."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.trajectories.formats._grid import codes, encoded

PLACES = 24
"""Samples taken of a large file, evenly spread."""

SAMPLE = 1 << 14
"""[bytes] of each sample of a text file."""

GROUP = 1 << 16
"""Rows of each sample of a Parquet file."""


def recurs(labels: Iterable[object]) -> bool:
    """Whether a label comes again after another one."""
    seen = set()
    for label, _ in groupby(labels):
        if label in seen:
            return True
        seen.add(label)
    return False


def csv_scattered(path: Path, skip: int, delimiter: str, column: int) -> bool:
    """Whether samples of a CSV file show scenes with rows that stand apart; never true of a sorted file.

    Args:
        path: of the file; skip: lines before the first row; column: index of the scene's column.
    """
    return recurs(row[column] for row in csv.reader(_sampled_lines(path, skip), delimiter=delimiter) if len(row) > column)


def parquet_scattered(path: Path, column: str) -> bool:
    """The same of a Parquet file, from the beginnings of some of its row groups."""
    with pq.ParquetFile(path, read_dictionary=[column], pre_buffer=False) as file:
        groups = _spread(file.num_row_groups, PLACES)
        samples = (next(file.iter_batches(GROUP, row_groups=[group], columns=[column]), None) for group in groups)
        return recurs(label for sample in samples if sample is not None for label in _changes(sample.column(0)))


def _changes(column: pa.Array) -> Iterator[object]:
    """The labels of a column where they change."""
    labels = encoded(column)
    code = codes(labels)
    for start in [0, *(np.flatnonzero(np.diff(code)) + 1)]:
        yield labels.dictionary[int(code[start])].as_py() if code[start] >= 0 else None


def _sampled_lines(path: Path, skip: int) -> Iterator[str]:
    size = path.stat().st_size
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        if size <= PLACES * SAMPLE:
            yield from islice(file, skip, None)
            return
    with path.open("rb") as binary:
        for place in range(PLACES):
            binary.seek(place * (size - SAMPLE) // (PLACES - 1))
            lines = binary.read(SAMPLE).decode("utf-8", errors="replace").split("\n")
            yield from lines[skip if place == 0 else 1 : -1]


def _spread(count: int, wanted: int) -> Sequence[int]:
    if count <= wanted:
        return range(count)
    return sorted({place * (count - 1) // (wanted - 1) for place in range(wanted)})
