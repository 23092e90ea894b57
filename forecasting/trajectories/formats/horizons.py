"""Vector tables of JPL Horizons: one file per body, or a folder of bodies that make one scene."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._text import fault, first_line, reading_text
from forecasting.trajectories.formats._tracks import state_scene
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Source, Trajectory

J2000 = 2451545.0
"""[d] Julian date that is time 0."""
DAY = 86400.0
STATE = ("X", "Y", "Z", "VX", "VY", "VZ")
HEAD = 1 << 16

_START = re.compile(r"(?m)^\$\$SOE[ \t]*\r?$")
_STOP = re.compile(r"(?m)^\$\$EOE[ \t]*\r?$")
_COLUMNS = re.compile(r"(?m)^[ \t]*JD\w+[ \t]*,.*$")
_NOTE = re.compile(r"(?m)^(Target body name|Center body name|Output units|Reference frame|Coordinate systm) *:(.{0,200})")
_NUMBER = re.compile(r" *\(-?\d+\)$")
_UNITS = re.compile(r"(KM|AU)-(S|D)\b")
_DOCUMENTS = re.compile(r"(upstream_)?readme|sources?|licen[cs]e|copying|notice|changelog")


@dataclass(frozen=True)
class Header:
    """What a file says before its table.

    Attributes:
        body: name of the target body, or empty.
        shared: what bodies of one scene must have in common: centre, axes and unit.
        unit: ``au`` or ``km``.
        per_second: what turns the file's velocities into velocities per second.
        columns: of the table, stripped.
    """

    body: str
    shared: dict[str, str]
    unit: str
    per_second: float
    columns: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Header | None":
        """The header of a vector table, or None where the text holds none."""
        start = _START.search(text)
        lines = _COLUMNS.findall(text, 0, start.start()) if start else []
        if start is None or not lines:
            return None
        columns = tuple(cell.strip() for cell in lines[-1].split(","))
        if not set(STATE) <= set(columns):
            return None
        notes = {name: value.partition("{")[0].strip() for name, value in _NOTE.findall(text, 0, start.start())}
        body = _NUMBER.sub("", notes.pop("Target body name", ""))
        length, clock = (_UNITS.findall(notes.get("Output units", "")) or [("AU", "D")])[0]
        return cls(body, notes, length.lower(), 1.0 if clock == "S" else 1 / DAY, columns)


class HorizonsFormat(Format):
    """Text of the Horizons system, table type VECTORS in CSV format.

    Time is counted in seconds from J2000 (Julian date 2451545.0) in the time scale of the file, so the Julian date is
    ``time / 86400 + 2451545``. A folder whose files all hold vectors about one centre, one body each, is one scene.
    """

    name = "horizons"
    summary = "JPL Horizons vectors (CSV), a file per body or a folder of bodies; au or km from its header, time since J2000"
    suffixes = (".dat", ".txt")

    def sniff(self, path: Path, head: bytes) -> float:
        """Nearly certain by the column names between header and ``$$SOE``; see `Format.sniff`."""
        if path.is_dir():
            return 0.95 if _is_system(path) else 0.0
        return 0.95 if _header_of(head) else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file or folder; see `Format.read`."""
        files = _bodies(path) if path.is_dir() else [path]
        if not files:
            raise DataError(f"{path}: no file of this folder holds a Horizons table; name the files themselves")
        tables = [(file, *_load(file)) for file in files]
        _, first, _, _ = tables[0]
        for file, header, _, _ in tables:
            if header.shared != first.shared:
                raise DataError(
                    f"{file}: its header says {_said(header)}, but {files[0].name} says {_said(first)}; read them one by one"
                )
        ids = [header.body or file.stem for file, header, _, _ in tables]
        if len(set(ids)) < len(ids):
            raise DataError(f"{path}: several files hold the same body ({', '.join(ids)}); keep one file per body")
        time, states = _joined([(file, time, states) for file, _, time, states in tables])
        states[..., 3:] *= first.per_second
        yield state_scene(
            path.stem if path.is_file() else path.resolve().name,
            time,
            states,
            np.array(ids),
            node_type=options.node_type or "body",
            unit=options.resolve_unit(path, 3, first.unit),
            frame=options.resolve_frame(path, 3, "none"),
            source=Source(str(path), self.name, {"epoch_julian_date": J2000, "clock": first.columns[0], **first.shared}),
        )


def _joined(
    tables: list[tuple[Path, NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T,) times and (T, bodies, 6) states; where clocks differ, all their times, NaN where a body has none."""
    _, clock, _ = tables[0]
    if all(np.array_equal(time, clock) for _, time, _ in tables):
        return clock, np.stack([states for _, _, states in tables], axis=1)
    for file, time, _ in tables:
        if not (np.diff(time) > 0).all():
            raise DataError(f"{file}: its times do not increase, so it cannot be joined with other bodies; sort its lines")
    union = np.unique(np.concatenate([time for _, time, _ in tables]))
    out = np.full((len(union), len(tables), len(STATE)), np.nan)
    for index, (_, time, states) in enumerate(tables):
        out[np.searchsorted(union, time), index] = states
    return union, out


def _load(path: Path) -> tuple[Header, NDArray[np.float64], NDArray[np.float64]]:
    """Header, (T,) times [s] and (T, 6) states of one file."""
    with reading_text(path):
        text = path.read_bytes().decode("utf-8")
    header = Header.of(text)
    start, stops = _START.search(text), [*_STOP.finditer(text)]
    if header is None or start is None:
        raise DataError(f"{path}: no vector table (JDTDB, date, X … VZ, then $$SOE); ask Horizons for VECTORS in CSV format")
    if len(stops) != 1 or stops[0].start() < start.end():
        raise DataError(f"{path}: {len(stops)} lines $$EOE after $$SOE, expected one; the file is cut, or holds several tables")
    body = text[start.end() : stops[0].start()]
    if not body.strip():
        raise DataError(f"{path}: no states between $$SOE and $$EOE; ask Horizons for a span that has some")
    width, skip = len(header.columns), text.count("\n", 0, start.end()) + 1
    wanted = [0, *map(header.columns.index, STATE)]
    try:
        table = pacsv.read_csv(
            BytesIO(body.encode()),
            read_options=pacsv.ReadOptions(column_names=[str(index) for index in range(width)], use_threads=False),
            parse_options=pacsv.ParseOptions(quote_char=False),
            convert_options=pacsv.ConvertOptions(
                column_types={str(index): pa.float64() for index in wanted}, include_columns=[str(index) for index in wanted]
            ),
        )
    except (pa.ArrowException, ValueError) as error:
        message = fault(path, skip, lambda line: line.split(","), width, wanted)
        raise DataError(message or f"{path}: {first_line(error)}") from None
    days, *states = (column.to_numpy() for column in table.columns)
    return header, (days - J2000) * DAY, np.column_stack(states)


def _is_system(folder: Path) -> bool:
    """Whether all data files of a folder are tables of different bodies about one centre."""
    headers = []
    try:
        for item in folder.iterdir():
            if _is_beside(item):
                continue
            header = _header_of(_head(item)) if item.is_file() else None
            if header is None:
                return False
            headers.append(header)
    except OSError:
        return False
    bodies = {header.body for header in headers}
    return len(bodies) == len(headers) > 1 and all(header.shared == headers[0].shared for header in headers)


def _bodies(folder: Path) -> list[Path]:
    return sorted(item for item in folder.iterdir() if item.is_file() and not _is_beside(item))


def _is_beside(item: Path) -> bool:
    return item.name.startswith(".") or _DOCUMENTS.fullmatch(item.stem.lower()) is not None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _header_of(head: bytes) -> Header | None:
    return Header.of(head.decode("utf-8", errors="ignore")) if b"$$SOE" in head else None


def _said(header: Header) -> str:
    return ", ".join(f"{name} '{value}'" for name, value in header.shared.items()) or "nothing about centre and axes"


FORMATS.register(HorizonsFormat.name)(HorizonsFormat())
