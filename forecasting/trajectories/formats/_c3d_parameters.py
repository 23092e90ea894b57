"""The parameter section of a C3D file: named numbers and texts in groups."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_PARAMETERS = 10_000
"""More than any program writes; a chain of more records is damage."""

PROCESSORS = {84: "little", 85: "vax", 86: "big"}
"""Byte that says how numbers are stored -> Intel, DEC and MIPS."""

_SIZES = {-1: 1, 1: 1, 2: 2, 4: 4}


@dataclass(frozen=True)
class Numbers:
    """How the numbers of a file are stored.

    Attributes:
        processor: ``little`` (Intel), ``vax`` (DEC) or ``big`` (MIPS).
    """

    processor: str

    def words(self, content: bytes) -> NDArray[np.uint16]:
        """Unsigned whole numbers of two bytes."""
        return np.frombuffer(content, dtype=">u2" if self.processor == "big" else "<u2").astype(np.uint16)

    def floats(self, content: bytes) -> NDArray[np.float32]:
        """Real numbers of four bytes."""
        if self.processor == "vax":
            swapped = np.frombuffer(content, dtype="<u2").reshape(-1, 2)[:, ::-1].copy()
            return (swapped.view("<f4").reshape(-1) / 4).astype(np.float32)
        return np.frombuffer(content, dtype=">f4" if self.processor == "big" else "<f4").astype(np.float32)


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        kind: -1 text, 1 bytes, 2 whole numbers, 4 real numbers.
        shape: as stored, the fastest running dimension first.
        content: its bytes.
        storage: of the file's numbers.
    """

    kind: int
    shape: tuple[int, ...]
    content: bytes
    storage: Numbers

    @property
    def values(self) -> list[float]:
        """Its numbers; whole ones are unsigned. None for a text."""
        if self.kind == 4:
            return self.storage.floats(self.content).astype(float).tolist()
        if self.kind == 2:
            return self.storage.words(self.content).astype(float).tolist()
        return [float(value) for value in self.content] if self.kind == 1 else []

    @property
    def texts(self) -> list[str]:
        """Its texts without the blanks that fill them up. None for numbers."""
        if self.kind != -1:
            return []
        width = self.shape[0] if self.shape else 1
        return [_decode(self.content[start : start + width]) for start in range(0, len(self.content), max(width, 1))]


def read_parameters(section: bytes, storage: Numbers) -> Mapping[str, Parameter]:
    """``GROUP:NAME`` in capitals -> parameter.

    Args:
        section: from the first record to the end of the section or further.
        storage: of the file's numbers.

    Raises:
        ValueError: if a record does not fit into the section or is of no known kind.
    """
    groups, found, position = dict[int, str](), dict[tuple[int, str], Parameter](), 0
    for _ in range(MOST_PARAMETERS):
        if position + 2 > len(section):
            raise ValueError("the parameters run into the points")
        length, number = struct.unpack_from("bb", section, position)
        if length == 0 or number == 0:
            break
        pointer = position + 2 + abs(length)
        if pointer + 2 > len(section):
            raise ValueError("a parameter's name runs into the points")
        name = _decode(section[position + 2 : pointer]).upper()
        if number < 0:
            groups[-number] = name
        else:
            found[number, name] = _parameter(section, pointer + 2, name, storage)
        skip = int(storage.words(section[pointer : pointer + 2])[0])
        if skip == 0:
            break
        if skip < 2:
            raise ValueError(f"parameter {name[:40]!r} points back into itself")
        position = pointer + skip
    else:
        raise ValueError(f"there are more than {MOST_PARAMETERS} parameters")
    return {f"{groups.get(number, number)}:{name}": parameter for (number, name), parameter in found.items()}


def _parameter(section: bytes, start: int, name: str, storage: Numbers) -> Parameter:
    try:
        kind, dimensions = struct.unpack_from("bB", section, start)
        shape = struct.unpack_from(f"{dimensions}B", section, start + 2)
    except struct.error:
        raise ValueError(f"parameter {name[:40]!r} runs into the points") from None
    if kind not in _SIZES:
        raise ValueError(f"parameter {name[:40]!r} is of the unknown kind {kind}")
    begin, size = start + 2 + dimensions, math.prod(shape) * _SIZES[kind]
    if begin + size > len(section):
        raise ValueError(f"parameter {name[:40]!r} claims {size} bytes, {len(section) - begin} are there")
    return Parameter(kind, shape, section[begin : begin + size], storage)


def _decode(content: bytes) -> str:
    content = content.rstrip(b" \0").lstrip(b" ")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
