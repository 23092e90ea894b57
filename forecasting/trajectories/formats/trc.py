"""Marker positions of optical motion capture as tab separated text (TRC, of Cortex and OpenSim)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._skeleton import parse_numbers
from forecasting.trajectories.formats._text import fault, reading_text
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Source, Trajectory
from forecasting.trajectories.units import METRES

CLOCK_TOLERANCE = 0.02
"""How far the Time column may run from the data rate of the header, as a share of the duration."""

_BLANK_CELL = re.compile(rb"(?<=[\t\n]) +(?=[\t\n])")
_FILLED = ((b"\t\t", b"\tnan\t"), (b"\t\t", b"\tnan\t"), (b"\t\n", b"\tnan\n"), (b"\n\t", b"\nnan\t"))


class TrcFormat(Format):
    """One scene per file, one node per marker; an empty cell is a missing one.

    Times are those of the Time column; with ``--rate``, frame numbers over the rate.
    """

    name = "trc"
    summary = "TRC markers of Cortex and OpenSim; unit from its header; needs --up"
    suffixes = (".trc",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain by its first word; see `Format.sniff`."""
        return 1.0 if head.removeprefix(b"\xef\xbb\xbf").startswith(b"PathFileType") else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file; see `Format.read`."""
        with reading_text(path):
            content = path.read_bytes()
            header = _Header.of(path, content)
        table = _table(path, header, content)
        frames, seconds = (_clock(path, header, table[:, index], index) for index in range(2))
        rate = options.resolve_rate(path, header.rate)
        if options.rate is None:
            _check_clock(path, frames, seconds, rate)
        unit = options.resolve_unit(path, 3, header.unit)
        positions = table[:, 2:].reshape(len(table), len(header.markers), 3)
        valid = observed(positions)
        positions[~valid] = np.nan
        yield Trajectory(
            scene=path.stem,
            time=seconds if options.rate is None else frames / rate,
            positions=unit.from_file(positions),
            valid=valid,
            node_ids=np.array(header.markers),
            node_types=np.full(len(header.markers), options.node_type or "marker"),
            unit=unit,
            frame=options.resolve_frame(path, 3),
            source=Source(str(path), self.name, {"rate": rate}),
        )


@dataclass(frozen=True)
class _Header:
    """The lines before the table.

    Attributes:
        rate, frames, unit: as said; a unit that is no known length is left out.
        markers: their names.
        lines, begin, end: lines before the first row, and the bytes where the rows begin and end.
    """

    rate: float
    frames: int
    unit: str
    markers: tuple[str, ...]
    lines: int
    begin: int
    end: int

    @property
    def width(self) -> int:
        return 2 + 3 * len(self.markers)

    @classmethod
    def of(cls, path: Path, content: bytes) -> "_Header":
        parts = content.split(b"\n", 5)
        if len(parts) < 6 or not parts[0].removeprefix(b"\xef\xbb\xbf").startswith(b"PathFileType"):
            raise DataError(f"{path}: line 1: expected PathFileType and five header lines; this is no whole TRC file")
        lines = [part.decode("utf-8").rstrip("\r") for part in parts[:5]]
        said = {
            key.strip().lower(): value.strip() for key, value in zip(lines[1].split("\t"), lines[2].split("\t"), strict=False)
        }
        names = [cell.strip() for cell in lines[3].split("\t")]
        markers = tuple(name for name in names[2:] if name)
        coordinates = sum(1 for cell in lines[4].split("\t") if cell.strip())
        count = _whole(path, said, "NumMarkers")
        if names[:2] != ["Frame#", "Time"]:
            raise DataError(
                f"{path}: line 4: found {' '.join(names[:2])[:40]!r}, expected Frame# and Time between tabs; correct it"
            )
        if not 0 < len(markers) == count == coordinates / 3:
            raise DataError(
                f"{path}: line 4 names {len(markers)} markers, line 5 has {coordinates} coordinates, and NumMarkers is {count}, "
                "expected as many markers and three coordinates for each; correct the header"
            )
        rows = len(content) - len(parts[5])
        begin = content.rfind(b"\n", 0, len(content) - len(parts[5].lstrip())) + 1
        end = content.find(b"\n", len(content.rstrip())) + 1
        unit = said.get("units", "").lower()
        return cls(
            _positive(path, said, "DataRate"),
            _whole(path, said, "NumFrames"),
            unit if unit in METRES else "",
            markers,
            5 + content.count(b"\n", rows, begin),
            begin,
            end or len(content),
        )


def _table(path: Path, header: _Header, content: bytes) -> NDArray[np.float64]:
    """(T, 2 + 3N) frame number, time, and three coordinates per marker; empty cells are NaN."""
    body = content[header.begin : header.end].replace(b"\r\n", b"\n")
    tabs = _tabs_per_line(body)
    spare = int(tabs[0] == header.width and (tabs == tabs[0]).all())
    wrong = np.flatnonzero(tabs != header.width + spare - 1)
    if not body.strip():
        raise DataError(f"{path}: the file holds no frames")
    if len(wrong):
        raise DataError(
            f"{path}: line {header.lines + 1 + wrong[0]} has {tabs[wrong[0]] + 1} columns, expected {header.width}; "
            "correct it, or the file is cut"
        )
    if spare:
        body = body.replace(b"\t\n", b"\n").removesuffix(b"\t")
    if b" " in body:
        body = _BLANK_CELL.sub(b"", body)
    for empty, filled in _FILLED:
        body = body.replace(empty, filled)
    values = parse_numbers(body + b"nan" if body.endswith(b"\t") else body, len(tabs) * header.width)
    if values is None:
        line = fault(path, header.lines, lambda line: line.split("\t"), header.width, range(header.width))
        raise DataError(line or f"{path}: a cell is neither a number nor empty; leave missing cells empty")
    if len(tabs) != header.frames:
        raise DataError(f"{path}: there are {len(tabs)} frames, NumFrames says {header.frames}; correct it, or the file is cut")
    return values.reshape(len(tabs), header.width)


def _tabs_per_line(body: bytes) -> NDArray[np.int64]:
    letters = np.frombuffer(body.removesuffix(b"\n"), dtype=np.uint8)
    tabs, ends = np.flatnonzero(letters == ord("\t")), np.flatnonzero(letters == ord("\n"))
    return np.diff(np.concatenate([[0], np.searchsorted(tabs, ends), [len(tabs)]]))


def _clock(path: Path, header: _Header, values: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    if np.isnan(values).any():
        line, what = header.lines + 1 + int(np.argmax(np.isnan(values))), ("a frame number", "a time")[index]
        raise DataError(f"{path}: line {line}, column {index + 1} is empty, expected {what}; correct it")
    return values


def _check_clock(path: Path, frames: NDArray[np.float64], seconds: NDArray[np.float64], rate: float) -> None:
    """Compare the Time column with the frame numbers and the data rate, where both run forwards."""
    if len(frames) < 2 or not (np.isfinite(seconds).all() and (np.diff(seconds) > 0).all() and (np.diff(frames) > 0).all()):
        return
    found, expected = seconds[-1] - seconds[0], (frames[-1] - frames[0]) / rate
    if abs(found - expected) > CLOCK_TOLERANCE * expected + 0.001:
        raise DataError(
            f"{path}: frames {frames[0]:.0f} to {frames[-1]:.0f} take {found:.6g} s by the Time column, "
            f"expected {expected:.6g} s by DataRate {rate:.6g}; correct one of them, or say --rate"
        )


def _positive(path: Path, said: Mapping[str, str], key: str) -> float:
    text = said.get(key.lower(), "")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 <= value < np.inf:
        raise DataError(f"{path}: line 3: {key} is {text[:40]!r}, expected a number; correct the header")
    return value


def _whole(path: Path, said: Mapping[str, str], key: str) -> int:
    value = _positive(path, said, key)
    if value != int(value):
        raise DataError(f"{path}: line 3: {key} is {value}, expected a whole number; correct the header")
    return int(value)


FORMATS.register(TrcFormat.name)(TrcFormat())
