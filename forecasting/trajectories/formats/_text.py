"""Reading text files: comment lines, delimiters, tables of numbers, and where in a file a fault is."""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from forecasting.errors import DataError

DELIMITERS = (",", ";", "\t")
EMPTY_CELLS = frozenset({"", "na", "n/a", "nan", "-nan", "null", "#n/a", "#na"})
_BLANKS = re.compile(rb"[ \t]+")
_EDGES = re.compile(rb"(?m)^ +| +\r?$|\r$")


@dataclass(frozen=True)
class Preamble:
    """What stands before the first line of a table.

    Attributes:
        comments: lines that begin with ``#``, without it.
        lines: how many lines to skip, blank ones included.
        first: the first line of the table ("" if there is none).
    """

    comments: tuple[str, ...]
    lines: int
    first: str

    @classmethod
    def of(cls, lines: Iterator[str]) -> "Preamble":
        """Split off the leading comments."""
        comments, count = list[str](), 0
        for line in lines:
            text = line.lstrip("\ufeff").strip("\r\n")
            if text.strip() and not text.startswith("#"):
                return cls(tuple(comments), count, text)
            comments.append(text.removeprefix("#").strip())
            count += 1
        return cls(tuple(comments), count, "")

    @classmethod
    def load(cls, path: Path) -> "Preamble":
        """The preamble of a file.

        Raises:
            DataError: if it is missing, empty or not text.
        """
        with reading_text(path), path.open(encoding="utf-8") as file:
            preamble = cls.of(iter(file))
        if not preamble.first:
            raise DataError(f"{path}: the file holds no rows")
        return preamble


@contextmanager
def reading_text(path: Path) -> Iterator[None]:
    """Turn system and encoding errors into a `DataError`."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}); convert it, or choose another --format") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def sample_lines(head: bytes) -> list[str]:
    """The whole lines of a file's head, or none if it is not text; a last line that may be cut is left out."""
    try:
        text = head[: head.rfind(b"\n") + 1 or len(head)].decode("utf-8")
    except UnicodeDecodeError:
        return []
    return [] if "\0" in text else text.split("\n")


def split_line(line: str) -> tuple[str, list[str]]:
    """The delimiter (comma, semicolon or tab, whichever stands most often) and the cells of a line."""
    delimiter = max(DELIMITERS, key=line.count)
    return delimiter, next(csv.reader([line], delimiter=delimiter), [])


def are_numbers(cells: list[str]) -> bool:
    """Whether every cell is a number or empty, and one at least is a number."""
    values = [cell.strip() for cell in cells if cell.strip().lower() not in EMPTY_CELLS]
    return bool(values) and all(_is_number(value) for value in values)


def looks_numeric(lines: list[str], width: int, *, integral: int = 0) -> bool:
    """Whether all of the lines are `width` numbers between blanks, the first `integral` of them whole."""
    rows = [line.split() for line in islice((line for line in lines if line.strip()), 50)]
    return bool(rows) and all(
        len(row) == width and are_numbers(row) and "" not in row and all(_is_whole(cell) for cell in row[:integral])
        for row in rows
    )


def load_numbers(path: Path, preamble: Preamble, width: int) -> NDArray[np.float64]:
    """(rows, width) of a table of numbers between blanks or tabs.

    Raises:
        DataError: if a line has another number of columns or a cell is no number; names the line.
    """
    with reading_text(path):
        content = path.read_bytes()
    body = content.split(b"\n", preamble.lines)[-1]
    body = _EDGES.sub(b"", _BLANKS.sub(b" ", body))
    try:
        table = pacsv.read_csv(
            BytesIO(body),
            read_options=pacsv.ReadOptions(column_names=[str(index) for index in range(width)], use_threads=False),
            parse_options=pacsv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=pacsv.ConvertOptions(column_types={str(index): pa.float64() for index in range(width)}),
        )
    except (pa.ArrowException, ValueError) as error:
        raise DataError(fault(path, preamble.lines, str.split, width, range(width)) or f"{path}: {first_line(error)}") from None
    return np.column_stack([column.to_numpy() for column in table.columns])


def fault(path: Path, skip: int, split: Callable[[str], list[str]], width: int, numeric: range | list[int]) -> str:
    """Say in which line a table breaks: another number of cells, or text where a number belongs; "" if in none."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if number <= skip or not line.strip():
                continue
            cells = split(line.strip("\r\n").lstrip("\ufeff"))
            if len(cells) != width:
                return f"{path}: line {number} has {len(cells)} columns, expected {width}; correct it, or the file is cut"
            for index in numeric:
                if cells[index].strip().lower() not in EMPTY_CELLS and not _is_number(cells[index]):
                    return f"{path}: line {number}, column {index + 1}: '{cells[index][:40]}' is not a number; correct it"
    return ""


def line_of_row(path: Path, skip: int, row: int) -> str:
    """Where a person finds a row (from 0) of a table that begins after `skip` lines: ``line 12``."""
    with path.open("rb") as file:
        filled = (number for number, line in enumerate(file, start=1) if number > skip and line.strip())
        return f"line {next(islice(filled, row, None), skip + row + 1)}"


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _is_whole(text: str) -> bool:
    return _is_number(text) and float(text).is_integer()
