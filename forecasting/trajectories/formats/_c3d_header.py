"""What the header and the parameters of a C3D file say about its points, compared with each other and with the file's size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from forecasting.errors import DataError
from forecasting.trajectories.formats._c3d_parameters import PROCESSORS, Numbers, Parameter, read_parameters

BLOCK = 512
MAGIC = 0x50
SATURATED = 0xFFFF
"""A frame number that does not fit into two bytes."""

MOST_PADDING = 1 << 24
"""Bytes behind the points that are looked at."""

NOT_POSITIONS = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS", "REACTIONS")
"""Parameters that list points which hold computed quantities in place of positions."""


@dataclass(frozen=True)
class C3dHeader:
    """Where the points of a file are, and what they are.

    Attributes:
        storage: of the file's numbers.
        points, analog: points, and analog values, per frame.
        frames: how many there are.
        first_frame: number of the first one.
        scale: unit of a coordinate that is stored as a whole number; negative where real numbers are stored.
        start: byte where the first frame begins.
        rate: frames per second as said, or None.
        parameters: ``GROUP:NAME`` -> parameter.
    """

    storage: Numbers
    points: int
    analog: int
    frames: int
    first_frame: int
    scale: float
    start: int
    rate: float | None
    parameters: Mapping[str, Parameter]

    @property
    def width(self) -> int:
        """Bytes of a number."""
        return 4 if self.scale < 0 else 2

    @property
    def frame_size(self) -> int:
        """Bytes of a frame."""
        return (4 * self.points + self.analog) * self.width

    def text(self, name: str) -> str:
        """The first text of a parameter, or "" without one."""
        found = self.parameters.get(name)
        return found.texts[0] if found and found.texts else ""

    @property
    def labels(self) -> list[str]:
        """(points,) their labels; ``*NUMBER`` where there is none, and ``#2`` … behind one that stood before."""
        found = _texts(self.parameters, "LABELS")[: self.points]
        found += [""] * (self.points - len(found))
        counts, taken, labels = dict[str, int](), set(found), list[str]()
        for number, name in enumerate(found, start=1):
            base = name or f"*{number}"
            label, repeat = base, counts.get(base, 1)
            while repeat > 1 and label in taken:
                label, repeat = f"{base}#{repeat}", repeat + 1
            counts[base] = max(repeat, 2)
            taken.add(label)
            labels.append(label)
        return labels

    @property
    def computed(self) -> set[str]:
        """Labels of the points that are no positions."""
        return {label for name in NOT_POSITIONS for label in _texts(self.parameters, name) if label}


def read_header(path: Path, file: BinaryIO, size: int) -> C3dHeader:
    """Read and compare what the file says.

    Args:
        path: for messages; file: at any place; size: [bytes] of the file.

    Raises:
        DataError: if header, parameters and size contradict each other.
    """
    head = _bytes(file, 0, BLOCK)
    begin = (head[0] - 1) * BLOCK if head else 0
    intro = _bytes(file, begin, 4) if begin > 0 else b""
    if len(head) < BLOCK or head[1] != MAGIC or len(intro) < 4 or intro[3] not in PROCESSORS:
        raise DataError(f"{path}: no C3D header, or one without parameters; the file is damaged, cut or of another format")
    storage = Numbers(PROCESSORS[intro[3]])
    points, analog, first, last, _, _, _, block, samples = (int(value) for value in storage.words(head[2:20]))
    header_scale, header_rate = float(storage.floats(head[12:16])[0]), float(storage.floats(head[20:24])[0])
    start = (block - 1) * BLOCK
    if not begin < start <= size:
        raise DataError(
            f"{path}: the header says that points begin in block {block}, expected one behind the parameters (block {head[0]}) "
            f"and in the file of {size} bytes; it is cut or damaged"
        )
    try:
        parameters = read_parameters(_bytes(file, begin + 4, start - begin - 4), storage)
    except ValueError as error:
        raise DataError(f"{path}: {error}; the file is damaged") from None
    said = _Said(path, parameters)
    said.agree("POINT:USED", points, "points per frame")
    said.agree("POINT:DATA_START", block, "as the first block of points")
    said.agree("ANALOG:USED", analog / max(samples, 1), "analog channels")
    scale = said.number("POINT:SCALE", header_scale)
    stored_whole = max(scale, header_scale) > 0
    if (
        not np.isfinite(scale)
        or scale == 0
        or (scale < 0) != (header_scale < 0)
        or (stored_whole and _differ(scale, header_scale))
    ):
        raise DataError(f"{path}: POINT:SCALE is {scale:.6g}, the header says {header_scale:.6g}; correct one of them")
    rate = said.number("POINT:RATE", header_rate)
    if min(rate, header_rate) > 0 and _differ(rate, header_rate):
        raise DataError(f"{path}: POINT:RATE is {rate:.6g}, the header says {header_rate:.6g} frames/s; correct one of them")
    frames = _frames(said, first, last)
    known = rate if 0 < rate < np.inf else None
    header = C3dHeader(storage, points, analog, frames, first, scale, start, known, parameters)
    _check_size(path, file, header, size)
    return header


@dataclass(frozen=True)
class _Said:
    path: Path
    parameters: Mapping[str, Parameter]

    def numbers(self, name: str) -> Sequence[float]:
        found = self.parameters.get(name)
        return found.values if found else []

    def number(self, name: str, otherwise: float) -> float:
        values = self.numbers(name)
        return values[0] if values else otherwise

    def agree(self, name: str, header: float, what: str) -> None:
        value = self.number(name, header)
        if value != header:
            raise DataError(
                f"{self.path}: {name} is {value:.9g}, the header says {header:.9g} {what}; correct one, or the file is damaged"
            )


def _frames(said: _Said, first: int, last: int) -> int:
    """Frames by every count that fits its field; they must agree."""
    claims = {"the header": float(last - first + 1)} if last < SATURATED else {}
    for name in ("POINT:FRAMES", "POINT:LONG_FRAMES"):
        values = said.numbers(name)
        if values and (values[0] != SATURATED or said.parameters[name].kind == 4):
            claims[name] = values[0]
    if not claims:
        begin, end = (said.numbers(f"TRIAL:ACTUAL_{name}_FIELD") for name in ("START", "END"))
        if len(begin) < 2 or len(end) < 2:
            raise DataError(f"{said.path}: nothing says how many frames there are; write POINT:LONG_FRAMES")
        claims["TRIAL:ACTUAL_END_FIELD"] = end[0] + end[1] * 65536 - begin[0] - begin[1] * 65536 + 1
    counts = set(claims.values())
    if len(counts) > 1 or not 0 < min(counts) < 2**32 or min(counts) % 1:
        text = ", ".join(f"{count:.9g} by {name}" for name, count in claims.items())
        raise DataError(f"{said.path}: frames are {text}, expected one whole positive number; correct the counts")
    return int(min(counts))


def _check_size(path: Path, file: BinaryIO, header: C3dHeader, size: int) -> None:
    if header.points == 0:
        raise DataError(f"{path}: the file holds no points, only analog values; there is no motion to read")
    end = header.start + header.frames * header.frame_size
    if end > size:
        there = (size - header.start) // header.frame_size
        raise DataError(
            f"{path}: {header.frames} frames of {header.points} points are announced, {there} whole ones are there; "
            "the file is cut"
        )
    if size - end >= BLOCK and any(_bytes(file, end, min(size - end, MOST_PADDING))):
        raise DataError(
            f"{path}: {size - end} bytes follow the {header.frames} frames that are announced; the counts of frames or points "
            "are wrong, correct them"
        )


def _bytes(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def _texts(parameters: Mapping[str, Parameter], name: str) -> list[str]:
    """The texts of POINT:NAME, POINT:NAME2, POINT:NAME3 …, which hold 255 each."""
    texts, number = list[str](), 1
    while found := parameters.get(f"POINT:{name}{number if number > 1 else ''}"):
        texts += found.texts
        number += 1
    return texts


def _differ(one: float, other: float) -> bool:
    return not abs(one - other) <= 1e-3 * max(abs(one), abs(other))
