"""What every file of molecular dynamics holds, and reading its bytes with care."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._periodic import cell_of

PART = 1 << 23
"""Bytes that are read at a time."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Motion:
    """Atoms over time, in the file's own units.

    Attributes:
        unit: of one step of the file's numbers, as `parse_unit` reads it.
        positions: (T, N, 3) [unit].
        cells: (T, 3, 3) [unit] vectors of the periodic box as rows, zero where there is none; or None for no box at all.
        picoseconds: (T,) times, or None where the file does not say them.
        vectors: name -> (T, N, 3) further vectors and their unit; of ``velocity`` [unit/ps].
    """

    unit: str
    positions: Array
    cells: Array | None
    picoseconds: Array | None
    vectors: Mapping[str, tuple[Array, str]] = field(default_factory=dict)


def exactly(path: Path, file: BinaryIO, count: int) -> bytes:
    """The next bytes of a file, as many as were found to be there.

    Raises:
        DataError: if the file became shorter.
    """
    content = file.read(count)
    if len(content) < count:
        raise DataError(f"{path}: the file ends {count - len(content)} bytes early; it is cut, write it again")
    return content


def box_of(lengths: Array, angles: Array) -> Array:
    """(T, 3, 3) vectors of boxes as rows: zero where all lengths are, NaN where lengths and angles span no box.

    Args:
        lengths: (T, 3) of the vectors.
        angles: (T, 3) [degrees] alpha, beta, gamma.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        cells = cell_of(lengths, angles)
    possible = (angles > 0).all(axis=1) & (angles < 180).all(axis=1) & (lengths >= 0).all(axis=1)
    cells[~possible] = np.nan
    cells[(lengths == 0).all(axis=1)] = 0.0
    return cells
