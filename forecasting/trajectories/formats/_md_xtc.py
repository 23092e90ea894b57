"""XTC trajectories of GROMACS: frames of compressed coordinates, decoded by MDAnalysis after they were followed to their end."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._md_motion import PART, Array, Motion, exactly
from forecasting.trajectories.formats._md_xtc_bits import LARGEST, SMALLEST, followed
from forecasting.trajectories.formats._optional import optional_package

MAGIC = 1995
BOX = 52
"""Bytes of a frame before the coordinates: magic, atoms, step, time, box."""

PACKED = 92
"""Bytes of a frame before packed coordinates."""

UNPACKED = 9
"""Up to so many atoms are stored as plain numbers."""

WIDEST = 1 << 30
"""Steps of precision that the decoder can tell apart along an axis."""


def is_xtc(head: bytes) -> bool:
    """Whether a file begins like an XTC."""
    if len(head) < BOX + 4:
        return False
    magic, atoms, _ = struct.unpack_from(">3i", head)
    return bool(magic == MAGIC and atoms > 0 and struct.unpack_from(">i", head, BOX)[0] == atoms)


def read_xtc(path: Path, file: BinaryIO, size: int) -> Motion:
    """All frames of an XTC file.

    Args:
        path: for messages; file: at its beginning; size: [bytes] of the file.

    Raises:
        DataError: if a frame is damaged, cut or of other atoms than the first.
        UsageError: if MDAnalysis is not installed.
    """
    heads, places = _index(path, file, size)
    atoms = int(heads["atoms"][0])
    if atoms > UNPACKED:
        _check_groups(path, file, heads, places)
    decoder = optional_package("MDAnalysis.lib.formats.libmdaxdr", "md", "xtc")
    positions = np.empty((len(heads), atoms, 3))
    for index, coordinates in enumerate(_decoded(path, decoder, len(heads))):
        positions[index] = coordinates
    return Motion("10angstrom", positions, heads["box"].astype(float), decimal(heads["time"]))


def decimal(values: NDArray[np.float32]) -> Array:
    """The shortest decimal numbers that single precision stores as it did: 0.1 for 0.100000001."""
    return values.astype("=f4").astype("U16").astype(float)


_HEAD = np.dtype(
    [
        *(("magic", ">i4"), ("atoms", ">i4"), ("step", ">i4"), ("time", ">f4"), ("box", ">f4", (3, 3)), ("again", ">i4")),
        *(("precision", ">f4"), ("low", ">i4", 3), ("high", ">i4", 3), ("kind", ">i4"), ("bytes", ">i4")),
    ]
)


def _index(path: Path, file: BinaryIO, size: int) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """(F,) heads of all frames and where they begin, by going from frame to frame."""
    heads, places, place = bytearray(), list[int](), 0
    while place < size:
        file.seek(place)
        head = file.read(PACKED)
        number = len(places) + 1
        if len(head) < BOX + 4:
            raise DataError(f"{path}: frame {number} ends after {len(head)} bytes; the file is cut")
        magic, atoms = struct.unpack_from(">2i", head)
        again = struct.unpack_from(">i", head, BOX)[0]
        first = struct.unpack_from(">i", heads, 4)[0] if places else atoms
        if magic != MAGIC or atoms != again or atoms < 1:
            raise DataError(
                f"{path}: frame {number} (byte {place}) begins with {magic} and {atoms} atoms, expected {MAGIC} and the atoms of "
                "the frames before; the file is damaged"
            )
        if atoms != first:
            raise DataError(f"{path}: frame {number} has {atoms} atoms, the first has {first}; split the file")
        packed = atoms > UNPACKED
        count = struct.unpack_from(">i", head, PACKED - 4)[0] if packed and len(head) == PACKED else 0
        length = PACKED + (count + 3) // 4 * 4 if packed else BOX + 4 + 12 * atoms
        if count < 0 or place + length > size or (packed and len(head) < PACKED):
            raise DataError(f"{path}: frame {number} claims {length} bytes, {size - place} are there; the file is cut or damaged")
        if packed and not atoms <= count <= 14 * atoms:
            raise DataError(f"{path}: frame {number} packs {atoms} atoms into {count} bytes, which cannot be; it is damaged")
        heads += head.ljust(PACKED, b"\0")
        places.append(place)
        place += length
    if not places:
        raise DataError(f"{path}: the file holds no frames")
    return np.frombuffer(bytes(heads), dtype=_HEAD), np.array(places, dtype=np.int64)


def _check_groups(path: Path, file: BinaryIO, heads: NDArray[np.void], places: NDArray[np.int64]) -> None:
    widths = heads["high"].astype(np.int64) - heads["low"] + 1
    kinds, counts = heads["kind"].astype(np.int64), heads["bytes"].astype(np.int64)
    sound = ((widths > 0) & (widths < WIDEST)).all(axis=1) & (kinds >= SMALLEST) & (kinds <= LARGEST) & (heads["precision"] > 0)
    _refuse(path, sound, 0)
    bits = np.array([_bits(row) for row in widths.tolist()], dtype=np.int64)
    ends, atoms = places + PACKED + counts, int(heads["atoms"][0])
    begin = 0
    while begin < len(heads):
        stop = max(begin + 1, int(np.searchsorted(ends, places[begin] + PART)))
        file.seek(int(places[begin]))
        data = exactly(path, file, int(ends[stop - 1] - places[begin])) + b"\0\0"
        starts = places[begin:stop] + PACKED - places[begin]
        here = slice(begin, stop)
        _refuse(path, followed(np.frombuffer(data, np.uint8), starts, counts[here], bits[here], kinds[here], atoms), begin)
        begin = stop


def _bits(widths: list[int]) -> int:
    """Of an atom stored in full: one number for three axes, or one for each where an axis is wide."""
    if max(widths) > 0xFFFFFF:
        return sum(width.bit_length() for width in widths)
    return (widths[0] * widths[1] * widths[2]).bit_length()


def _refuse(path: Path, sound: NDArray[np.bool_], first: int) -> None:
    if not sound.all():
        frame = first + int(np.argmin(sound)) + 1
        raise DataError(f"{path}: frame {frame} does not unpack to its atoms; it is damaged, leave it out or write it again")


def _decoded(path: Path, decoder: Any, frames: int) -> Iterator[NDArray[np.float32]]:
    """(N, 3) [nm] coordinates of each frame."""
    try:
        with decoder.XTCFile(str(path)) as file:
            for _ in range(frames):
                yield file.read().x
    except (OSError, StopIteration) as error:
        raise DataError(f"{path}: it cannot be unpacked ({error}); it is damaged") from None
