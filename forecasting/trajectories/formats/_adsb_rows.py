"""Reading JSON tables of aircraft row by row, without trusting how far they unpack or how deep they nest."""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._text import first_line

MAX_EXPANSION = 200
"""How many times its packed size a file may unpack to; rows of real flights unpack to 10 to 20 times."""
MAX_TEXT = 1 << 31
"""[bytes] of text that is read row by row."""
MAX_COLUMNS_TEXT = 1 << 26
"""[bytes] of text that is a table by columns, which must be held as a whole."""
MAX_ROW = 1 << 14
"""[characters] of one row."""
CHUNK = 1 << 20
POSITION = ("latitude", "longitude", "altitude")
SPEEDS = ("groundspeed", "track", "vertical_rate")
MAX_NUMBER = 1e15
LIMITS = {"latitude": 90.0, "longitude": 360.0}
REQUIRED = frozenset({"timestamp", "icao24", *POSITION})
BLOCK = 1 << 10
"""Rows that are turned to arrays together."""

Array = NDArray[np.float64]
_GZIP = b"\x1f\x8b"
_BLANKS = re.compile(r"[ \t\r\n]*")
_AFTER_ROW = re.compile(r"[ \t\r\n]*([,\]])")


@dataclass(frozen=True)
class AircraftRows:
    """A table of reports in file order; each array is (rows,), float64 with NaN for missing values.

    Attributes:
        time: [s] since 1970-01-01 UTC.
        aircraft: index into `names`.
        names: ICAO addresses in order of first appearance.
        latitude, longitude: [degrees].
        altitude: [ft].
        groundspeed: [knots]; track: [degrees]; vertical_rate: [ft/min].
        has_velocity: whether the table has the columns of the speeds.
    """

    time: Array
    aircraft: NDArray[np.int64]
    names: tuple[str, ...]
    latitude: Array
    longitude: Array
    altitude: Array
    groundspeed: Array
    track: Array
    vertical_rate: Array
    has_velocity: bool


def opening(head: bytes) -> str:
    """The beginning of the text of a file, unpacked if need be; empty if it is neither text nor gzip text."""
    try:
        plain = zlib.decompressobj(wbits=31).decompress(head, CHUNK) if head.startswith(_GZIP) else head
    except zlib.error:
        return ""
    return plain.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="ignore").lstrip()


def read_aircraft(path: Path) -> AircraftRows:
    """Read all rows of a file.

    Raises:
        DataError: if it is damaged, unpacks too far, lacks a column, or a cell is not what it must be; names the row.
    """
    time, names, first = list[Array](), dict[str, int](), 1
    aircraft = list[NDArray[np.int64]]()
    numbers: dict[str, list[Array]] = {name: [] for name in (*POSITION, *SPEEDS)}
    has_velocity = False
    rows = _rows(path)
    while block := list(islice(rows, BLOCK)):
        where = _Where(path, first)
        _require_columns(where, block)
        time.append(_times(where, [row["timestamp"] for row in block]))
        aircraft.append(_codes(where, [row["icao24"] for row in block], names))
        for column, parts in numbers.items():
            parts.append(_numbers(where, column, [row.get(column) for row in block]))
        has_velocity = has_velocity or any(all(column in row for column in SPEEDS) for row in block)
        first += len(block)
    if not time:
        raise DataError(f"{path}: the table has no rows")
    return AircraftRows(
        time=np.concatenate(time),
        aircraft=np.concatenate(aircraft),
        names=tuple(names),
        has_velocity=has_velocity,
        **{name: np.concatenate(parts) for name, parts in numbers.items()},
    )


@dataclass(frozen=True)
class _Where:
    """A block of rows: the file, and the number of the first row."""

    path: Path
    first: int

    def __call__(self, index: int) -> str:
        return f"{self.path}: row {self.first + index}"


def _require_columns(where: _Where, block: list[Mapping[str, Any]]) -> None:
    for index, row in enumerate(block):
        if not row.keys() >= REQUIRED:
            missing = ", ".join(sorted(REQUIRED - row.keys()))
            raise DataError(f"{where(index)} has no {missing}; expected the columns {', '.join(sorted(REQUIRED))}")


def _times(where: _Where, values: list[Any]) -> Array:
    """[s] of milliseconds, or of ISO texts, which are UTC unless they say otherwise."""
    if set(map(type, values)) <= {int, float}:
        return _numbers(where, "timestamp", values) / 1000
    return np.array([_time(where, index, value) for index, value in enumerate(values)])


def _time(where: _Where, index: int, value: Any) -> float:
    if type(value) in (int, float):
        return float(_numbers(_Where(where.path, where.first + index), "timestamp", [value])[0]) / 1000
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{where(index)}: timestamp is {_shown(value)}, expected milliseconds since 1970 or a time such as "
            "2019-10-24T20:21:25Z; correct it"
        ) from None


def _codes(where: _Where, values: list[Any], names: dict[str, int]) -> NDArray[np.int64]:
    for index, value in enumerate(values):
        if not isinstance(value, str) or not value:
            raise DataError(f"{where(index)}: icao24 is {_shown(value)}, expected a text such as '4b1815'; name the aircraft")
    return np.array([names.setdefault(value, len(names)) for value in values], dtype=np.int64)


def _numbers(where: _Where, column: str, values: list[Any]) -> Array:
    """(rows,) float64, NaN for None."""
    limit = LIMITS.get(column, MAX_NUMBER)
    if set(map(type, values)) <= {int, float, NoneType}:
        with suppress(OverflowError):
            numbers = np.array(values, dtype=np.float64)
            if not (np.abs(numbers) > limit).any():
                return numbers
    for index, value in enumerate(values):
        if value is not None and (type(value) not in (int, float) or abs(value) > limit):
            between = f" from {-limit:g} to {limit:g}" if column in LIMITS else ""
            raise DataError(f"{where(index)}: {column} is {_shown(value)}, expected a number{between}; correct it")
    raise DataError(f"{where(0)}: {column} holds values that are no numbers; correct them")


def _shown(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, (str, int, float, NoneType)) else f"a {type(value).__name__}"


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with _json_errors(path), path.open("rb") as file:
        chunks = _texts(path, file)
        text = next(chunks, "").removeprefix("\ufeff").lstrip()
        if text.startswith("["):
            yield from _records(path, text[1:], chunks)
        elif text.startswith("{"):
            yield from _columns(path, text, chunks)
        else:
            raise DataError(f"{path}: begins with {text[:20]!r}, expected rows [{{…}}, …] or columns {{…}} in JSON; convert it")


def _records(path: Path, text: str, chunks: Iterator[str]) -> Iterator[Mapping[str, Any]]:
    """The objects of a list, one after the other; `text` is what follows its bracket."""
    decode, at, count = json.JSONDecoder().raw_decode, 0, 0
    while True:
        at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
        found = None
        if text.startswith("{", at):
            try:
                row, end = decode(text, at)
                found = _AFTER_ROW.match(text, end)
            except json.JSONDecodeError:
                pass
        elif at < len(text):
            if count == 0 and text.startswith("]", at):
                return
            raise DataError(f"{path}: row {count + 1} begins with '{text[at]}', expected an object {{…}}; correct it")
        if found is not None:
            yield row
            count, at = count + 1, found.end()
            if found[1] == "]":
                _expect_end(path, text[at:], chunks)
                return
            continue
        more = next(chunks, "")
        if not more or len(text) - at > MAX_ROW:
            raise DataError(f"{path}: row {count + 1} is damaged JSON, cut, or longer than {MAX_ROW} characters; correct it")
        text, at = text[at:] + more, 0


def _expect_end(path: Path, rest: str, chunks: Iterator[str]) -> None:
    for text in (rest, *chunks):
        if text.strip():
            raise DataError(f"{path}: more text follows the list of rows; keep one table per file")


def _columns(path: Path, text: str, chunks: Iterator[str]) -> Iterator[Mapping[str, Any]]:
    """The rows of ``{column: {row: value}}``."""
    for more in chunks:
        text += more
        if len(text) > MAX_COLUMNS_TEXT:
            raise DataError(f"{path}: a table by columns of more than {MAX_COLUMNS_TEXT >> 20} MiB; write it by rows")
    if text.count("{") > 1000 or "[" in text:
        raise DataError(f"{path}: expected columns {{name: {{row: value}}}}, found lists or deeper objects; write it by rows")
    table = json.loads(text)
    lengths = {name: len(column) if isinstance(column, dict) else -1 for name, column in table.items()}
    if len(set(lengths.values())) != 1 or -1 in lengths.values():
        found = ", ".join(f"{name} {length}" for name, length in list(lengths.items())[:8])
        raise DataError(f"{path}: its columns have different rows ({found}); write the table again")
    rows = next(iter(table.values())).keys()
    if any(column.keys() != rows for column in table.values()):
        raise DataError(f"{path}: its columns number their rows differently; write the table again")
    for key in rows:
        yield {name: column[key] for name, column in table.items()}


def _texts(path: Path, file: IO[bytes]) -> Iterator[str]:
    """The text of a file in pieces, unpacked if it is gzip."""
    packed = file.peek(2)[:2] == _GZIP if hasattr(file, "peek") else False
    limit = min(MAX_EXPANSION * max(path.stat().st_size, 1 << 12), MAX_TEXT) if packed else MAX_TEXT
    decoder, size = codecs.getincrementaldecoder("utf-8")(), 0
    stream: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if size > limit:
            raise DataError(f"{path}: holds more than {limit >> 20} MiB of text, far more than expected; split it into files")
        yield decoder.decode(chunk)
    decoder.decode(b"", final=True)


@contextmanager
def _json_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason}); the file is damaged") from None
    except RecursionError:
        raise DataError(f"{path}: its JSON is nested too deep; expected rows of plain values") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path}: damaged or not JSON ({first_line(error)}); write it again") from None
