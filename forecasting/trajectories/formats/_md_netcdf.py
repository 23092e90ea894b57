"""NetCDF trajectories of AMBER: named arrays, one record per frame."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._md_motion import PART, Array, Motion, box_of, exactly

MOST = 10_000
"""Dimensions, attributes or variables of one list; more is damage."""

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_TYPES = {1: "i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8"}
_UNITS = {"coordinates": "angstrom", "cell_lengths": "angstrom", "cell_angles": "degree", "time": "picosecond"}
_VECTORS = {"velocities": ("velocity", "angstrom/picosecond"), "forces": ("force", "kilocalorie/mole/angstrom")}


def is_netcdf(head: bytes) -> bool:
    """Whether a file begins like a NetCDF of AMBER."""
    return head[:3] == b"CDF" and head[3:4] in (b"\x01", b"\x02") and b"AMBER" in head


@dataclass(frozen=True)
class _Variable:
    shape: tuple[int, ...]
    per_frame: bool
    attributes: Mapping[str, Any]
    kind: str
    begin: int

    @property
    def size(self) -> int:
        """Bytes, of one frame where there are several, rounded up to four."""
        return (math.prod(self.shape) * np.dtype(self.kind).itemsize + 3) // 4 * 4


def read_netcdf(path: Path, file: BinaryIO, size: int) -> Motion:
    """All frames of a NetCDF file.

    Args:
        path: for messages; file: at its beginning; size: [bytes] of the file.

    Raises:
        DataError: if it is none of AMBER, or its counts and size contradict each other.
    """
    head = _Head(path, file, size)
    frames, variables = head.frames, {name: item for name, item in head.variables.items() if item.per_frame}
    place = variables.get("coordinates")
    if place is None or len(place.shape) != 2 or place.shape[1] != 3 or 0 in place.shape:
        raise DataError(f"{path}: there is no array 'coordinates' (frame, atom, spatial); this is no AMBER trajectory")
    record, begin = head.record(variables)
    there = (size - begin) / record.itemsize
    if frames < 1 or frames != int(there) or size - begin - frames * record.itemsize > 3:
        raise DataError(
            f"{path}: {frames} frames of {place.shape[0]} atoms are announced, there are {there:.6g}; the file is cut or damaged"
        )
    wanted = dict[str, tuple[int, ...]](coordinates=place.shape)
    wanted |= {name: place.shape for name in _VECTORS if name in variables}
    wanted |= {name: (3,) for name in ("cell_lengths", "cell_angles") if name in variables}
    wanted |= {"time": ()} if "time" in variables else {}
    for name, shape in wanted.items():
        if variables[name].shape != shape or variables[name].kind == "S1":
            raise DataError(f"{path}: array '{name}' is {variables[name].shape} per frame, expected numbers {shape}")
    arrays = {name: np.empty((frames, *shape)) for name, shape in wanted.items()}
    file.seek(begin)
    step = max(1, PART // record.itemsize)
    for start in range(0, frames, step):
        count = min(step, frames - start)
        block = np.frombuffer(exactly(path, file, count * record.itemsize), dtype=record)
        for name, array in arrays.items():
            array[start : start + count] = block[name]
    for name in arrays:
        arrays[name] *= _factor(path, name, variables[name].attributes)
    cells = _cells(arrays)
    vectors = {new: (arrays[old], unit) for old, (new, unit) in _VECTORS.items() if old in arrays}
    return Motion("angstrom", arrays["coordinates"], cells, arrays.get("time"), vectors)


def _cells(arrays: Mapping[str, Array]) -> Array | None:
    if "cell_lengths" not in arrays or "cell_angles" not in arrays:
        return None
    return box_of(arrays["cell_lengths"], arrays["cell_angles"])


def _factor(path: Path, name: str, attributes: Mapping[str, Any]) -> float:
    expected = _UNITS.get(name) or _VECTORS[name][1]
    unit = attributes.get("units", expected)
    if not isinstance(unit, str) or unit.removesuffix("s") != expected:
        raise DataError(f"{path}: array '{name}' is in {str(unit)[:40]!r}, expected {expected}; convert it")
    factor = attributes.get("scale_factor", 1.0)
    if isinstance(factor, str) or not np.isfinite(factor) or factor == 0:
        raise DataError(f"{path}: array '{name}' has the scale factor {factor!r}, expected a number; correct it")
    return float(factor)


class _Head:
    """Dimensions, attributes and variables of a file."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.size = path, file, size
        magic = exactly(path, file, 4)
        if magic[:3] != b"CDF" or magic[3] not in (1, 2):
            raise DataError(f"{path}: it does not begin with CDF and version 1 or 2; this is no NetCDF file that can be read")
        self.frames = self._number()
        self.dimensions = [(self._text(), self._number()) for _ in range(self._count(_DIMENSIONS))]
        self._attributes()
        offset = ">i" if magic[3] == 1 else ">q"
        self.variables = dict(self._variable(offset) for _ in range(self._count(_VARIABLES)))

    def record(self, variables: Mapping[str, _Variable]) -> tuple[np.dtype[np.void], int]:
        """Layout of one frame, and where the first begins."""
        begin = min(item.begin for item in variables.values())
        length = sum(item.size for item in variables.values())
        inside = all(item.begin - begin + item.size <= length for item in variables.values())
        if not (self.file.tell() <= begin <= self.size and inside and 0 < length <= self.size - begin):
            raise DataError(f"{self.path}: a frame is {length} bytes, beginning at byte {begin} of {self.size}; the file is cut")
        formats = [(item.kind, item.shape) for item in variables.values()]
        offsets = [item.begin - begin for item in variables.values()]
        layout: Any = {"names": [*variables], "formats": formats, "offsets": offsets, "itemsize": length}
        try:
            return np.dtype(layout), begin
        except ValueError:
            raise DataError(f"{self.path}: the arrays of a frame are too large or of impossible shapes; it is damaged") from None

    def _variable(self, offset: str) -> tuple[str, _Variable]:
        name = self._text()
        numbers = [self._number() for _ in range(self._bounded(self._number()))]
        attributes = self._attributes()
        kind = _TYPES.get(self._number())
        self._number()
        begin = struct.unpack(offset, exactly(self.path, self.file, struct.calcsize(offset)))[0]
        if kind is None or any(not 0 <= number < len(self.dimensions) for number in numbers):
            raise DataError(f"{self.path}: array {name[:40]!r} is of an unknown kind or shape; the file is damaged")
        lengths = [self.dimensions[number][1] for number in numbers]
        per_frame = bool(lengths) and lengths[0] == 0
        return name, _Variable(tuple(lengths[per_frame:]), per_frame, attributes, kind, begin)

    def _attributes(self) -> dict[str, Any]:
        return dict(self._attribute() for _ in range(self._count(_ATTRIBUTES)))

    def _attribute(self) -> tuple[str, Any]:
        name, kind, count = self._text(), _TYPES.get(self._number()), self._number()
        if kind is None:
            raise DataError(f"{self.path}: attribute {name[:40]!r} is of an unknown kind; the file is damaged")
        if kind == "S1":
            return name, self._padded(count).decode("latin-1").strip(" \0")
        content = self._padded(count * np.dtype(kind).itemsize)
        values: NDArray[Any] = np.frombuffer(content, dtype=kind)
        return name, float(values[0]) if len(values) == 1 else "several numbers"

    def _count(self, tag: int) -> int:
        found, count = self._number(), self._number()
        if found not in (0, tag) or (found == 0 and count):
            raise DataError(f"{self.path}: byte {self.file.tell() - 8}: found list {found}, expected {tag}; the file is damaged")
        return self._bounded(count)

    def _bounded(self, count: int) -> int:
        if count > MOST:
            raise DataError(f"{self.path}: byte {self.file.tell() - 4}: a list of {count}, expected a few; the file is damaged")
        return count

    def _text(self) -> str:
        return self._padded(self._number()).decode("latin-1")

    def _number(self) -> int:
        value: int = struct.unpack(">I", exactly(self.path, self.file, 4))[0]
        return value

    def _padded(self, count: int) -> bytes:
        if count > self.size - self.file.tell():
            raise DataError(f"{self.path}: byte {self.file.tell()}: a text of {count} bytes, which are not there; it is cut")
        return exactly(self.path, self.file, (count + 3) // 4 * 4)[:count]
