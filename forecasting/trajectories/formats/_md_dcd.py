"""DCD trajectories of CHARMM, NAMD, LAMMPS and others: Fortran records of single precision."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._md_motion import PART, Array, Motion, box_of, exactly

AKMA = 0.0488882129084
"""[ps] the unit of time that follows from angstrom, kcal/mol and atomic masses."""

_CONTROL = 84
_MAGIC = b"CORD"


def is_dcd(head: bytes) -> bool:
    """Whether a file begins like a DCD."""
    return head[4:8] == _MAGIC and _order(head) != ""


@dataclass(frozen=True)
class _Header:
    """Layout and clock; `frames` is 0 where the writer left it so, `step` [ps] is NaN where none is said."""

    order: str
    atoms: int
    frames: int
    first: float
    step: float
    cell: bool
    axes: int
    size: int

    @property
    def frame(self) -> np.dtype[np.void]:
        """One frame with the marks around its records."""
        mark, parts = np.dtype(f"{self.order}i4"), list[tuple[str, object]]()
        records = [("cell", f"({6},){self.order}f8")] * self.cell
        records += [(axis, f"({self.atoms},){self.order}f4") for axis in "xyzw"[: self.axes]]
        for name, kind in records:
            parts += [(f"{name}_before", mark), (name, np.dtype(kind)), (f"{name}_after", mark)]
        return np.dtype(parts)


def read_dcd(path: Path, file: BinaryIO, size: int) -> Motion:
    """All frames of a DCD file.

    Args:
        path: for messages; file: at its beginning; size: [bytes] of the file.

    Raises:
        DataError: if its counts, record marks and size contradict each other, or atoms are fixed.
    """
    header = _header(path, file, size)
    kind = header.frame
    frames, rest = divmod(size - header.size, kind.itemsize)
    if rest or frames != (header.frames or frames) or not frames:
        raise DataError(
            f"{path}: the header announces {header.frames} frames of {header.atoms} atoms, there are "
            f"{(size - header.size) / kind.itemsize:.6g}; the file is cut or damaged, write it again"
        )
    positions, cells = np.empty((frames, header.atoms, 3)), np.zeros((frames, 6))
    step = max(1, PART // kind.itemsize)
    for begin in range(0, frames, step):
        count = min(step, frames - begin)
        block = np.frombuffer(exactly(path, file, count * kind.itemsize), dtype=kind)
        _check_marks(path, block, begin)
        for index, axis in enumerate("xyz"):
            positions[begin : begin + count, :, index] = block[axis]
        if header.cell:
            cells[begin : begin + count] = block["cell"]
    times = header.first + np.arange(frames, dtype=np.float64) * header.step if header.step > 0 else None
    return Motion("angstrom", positions, box_vectors(cells) if header.cell else None, times)


def box_vectors(stored: Array) -> Array:
    """(T, 3, 3) vectors of the box from (T, 6) numbers in one of the three ways programs store them.

    They are A, gamma, B, beta, alpha, C with angles in degrees or as cosines; or, of newer CHARMM, the lower triangle of a
    symmetric matrix, which is taken where the numbers can be no lengths and angles.
    """
    lengths, angles = stored[:, [0, 2, 5]], stored[:, [4, 3, 1]]
    cosines: NDArray[np.bool_] = np.all(np.abs(angles) <= 1, axis=1)
    matrix = ~cosines & ((stored < 0).any(axis=1) | (angles > 180).any(axis=1))
    degrees = np.where(cosines[:, None], 90.0 - np.degrees(np.arcsin(np.clip(angles, -1, 1))), angles)
    cells = box_of(lengths, degrees)
    cells[matrix] = stored[matrix][:, [0, 1, 3, 1, 2, 4, 3, 4, 5]].reshape(-1, 3, 3)
    return cells


def _header(path: Path, file: BinaryIO, size: int) -> _Header:
    head = file.read(_CONTROL + 8)
    order = _order(head)
    if len(head) < _CONTROL + 8 or not order or head[4:8] != _MAGIC:
        raise DataError(f"{path}: it does not begin with a record of 84 bytes and CORD; this is no whole DCD file")
    control = struct.unpack_from(f"{order}20i", head, 8)
    title = struct.unpack(f"{order}i", exactly(path, file, 4))[0]
    if not 4 <= title <= size or struct.unpack_from(f"{order}i", head, 88)[0] != _CONTROL:
        raise DataError(f"{path}: the record of titles claims {title} bytes of {size}; the header is damaged")
    exactly(path, file, title)
    after, before, atoms, end = struct.unpack(f"{order}4i", exactly(path, file, 16))
    if (after, before, end) != (title, 4, 4):
        raise DataError(f"{path}: the records of the header do not close where they should; it is damaged")
    if not 0 < atoms <= (size - file.tell()) // 12:
        raise DataError(
            f"{path}: {atoms} atoms are announced, {size - file.tell()} bytes follow, expected at least one frame; "
            "the file is cut or damaged"
        )
    if control[8]:
        raise DataError(f"{path}: {control[8]} atoms are fixed and stored once only; write the trajectory with all atoms")
    charmm = control[19] != 0
    delta = struct.unpack_from(f"{order}f" if charmm else f"{order}d", head, 44)[0]
    step = delta * control[2] * AKMA
    step = step if 0 < step < np.inf else np.nan
    cell, axes = charmm and control[10] != 0, 4 if charmm and control[11] else 3
    return _Header(order, atoms, control[0], control[1] * delta * AKMA, step, cell, axes, file.tell())


def _check_marks(path: Path, block: NDArray[np.void], first: int) -> None:
    for name in block.dtype.names or ():
        if name.endswith(("_before", "_after")):
            size = block.dtype[name.partition("_")[0]].itemsize
            wrong = np.flatnonzero(block[name] != size)
            if len(wrong):
                raise DataError(
                    f"{path}: frame {first + wrong[0] + 1}: a record says {block[name][wrong[0]]} bytes, expected {size}; "
                    "the file is damaged"
                )


def _order(head: bytes) -> str:
    return {struct.pack("<i", _CONTROL): "<", struct.pack(">i", _CONTROL): ">"}.get(head[:4], "")
