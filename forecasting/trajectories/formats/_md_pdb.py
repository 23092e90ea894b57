"""PDB files of one or more models: atoms in columns of text."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._md_motion import Array, Motion, box_of

RECORDS = frozenset(
    b"HEADER OBSLTE TITLE SPLIT CAVEAT COMPND SOURCE KEYWDS EXPDTA NUMMDL MDLTYP AUTHOR REVDAT SPRSDE JRNL REMARK DBREF "
    b"SEQADV SEQRES MODRES HET HETNAM FORMUL HELIX SHEET TURN SSBOND LINK CISPEP SITE CRYST1 ORIGX1 SCALE1 MTRIX1 MODEL ATOM "
    b"HETATM".split()
)
"""Words a PDB file begins with."""

_IDENTITY = (12, 27)
_COORDINATES = ((30, 38), (38, 46), (46, 54))
_CELL = ((6, 15), (15, 24), (24, 33), (33, 40), (40, 47), (47, 54))
_WIDTH = 54
_ATOMS = (b"ATOM  ", b"HETATM")
_BOUNDARIES = (b"MODEL", b"ENDMDL", b"END")
Int = NDArray[np.int64]


def is_pdb(head: bytes) -> bool:
    """Whether a file begins with a record of PDB and has an atom with coordinates in its head."""
    lines = head.split(b"\n")
    if lines[0][:6].rstrip() not in RECORDS or b"\0" in head:
        return False
    atom = next((line for line in lines if line.startswith(_ATOMS) and len(line) >= _WIDTH), b"")
    try:
        return all(np.isfinite(float(atom[begin:end])) for begin, end in _COORDINATES)
    except ValueError:
        return False


def read_pdb(path: Path, file: BinaryIO) -> Motion:
    """All models of a PDB file.

    Args:
        path: for messages; file: at its beginning.

    Raises:
        DataError: if a model is cut, models are of other atoms, or a coordinate is no number.
    """
    text = file.read()
    letters = np.frombuffer(text + b"\n" + b" " * _WIDTH, dtype=np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    words = np.char.rstrip(np.char.partition(_cut(letters, starts, 0, 6), b"\n")[:, 0], b" \r")
    atoms = np.flatnonzero((words == b"ATOM") | (words == b"HETATM"))
    if not len(atoms):
        raise DataError(f"{path}: the file holds no atoms")
    short = ends[atoms] - starts[atoms] < _WIDTH
    if short.any():
        line = atoms[np.argmax(short)] + 1
        raise DataError(f"{path}: line {line} is too short for an atom with coordinates; the file is cut, or correct the line")
    model = _models(path, words, atoms)
    count = int(model[1]) if len(model) > 1 else len(atoms)
    frames = len(model)
    identities = _cut(letters, starts[atoms], *_IDENTITY).reshape(frames, count)
    other = (identities != identities[0]).any(axis=1)
    if other.any():
        line = atoms[int(np.argmax(other)) * count] + 1
        raise DataError(f"{path}: the model from line {line} on has other atoms than the first; split the file")
    positions = _numbers(path, letters, starts[atoms], _COORDINATES, atoms)
    boxes = np.flatnonzero(words == b"CRYST1")
    cells = _cells(path, letters, starts, ends, boxes, atoms[model]) if len(boxes) else None
    return Motion("angstrom", positions.reshape(frames, count, 3), cells, None)


def _models(path: Path, words: NDArray[np.bytes_], atoms: Int) -> Int:
    """(T,) index of each model's first atom, after checks that models are whole and of one size."""
    openings, closings = np.flatnonzero(words == b"MODEL"), np.flatnonzero(words == b"ENDMDL")
    if len(openings) and len(closings) != len(openings):
        raise DataError(f"{path}: {len(openings)} models begin and {len(closings)} end; the file is cut or damaged")
    part = np.searchsorted(np.flatnonzero(np.isin(words, _BOUNDARIES)), atoms)
    _, first, counts = np.unique(part, return_index=True, return_counts=True)
    wrong = np.flatnonzero(counts != counts[0])
    if len(wrong):
        raise DataError(
            f"{path}: the model from line {atoms[first[wrong[0]]] + 1} on has {counts[wrong[0]]} atoms, the first has "
            f"{counts[0]}; the file is cut, or split it"
        )
    return first


def _cells(path: Path, letters: NDArray[np.uint8], starts: Int, ends: Int, boxes: Int, firsts: Int) -> Array:
    """(T, 3, 3) of the last box before each model; zero where there is none, or the unit cube that stands for none."""
    if (ends[boxes] - starts[boxes] < _WIDTH).any():
        raise DataError(f"{path}: line {boxes[0] + 1}: CRYST1 is too short for a box; correct it")
    values = _numbers(path, letters, starts[boxes], _CELL, boxes)
    cells = box_of(values[:, :3], values[:, 3:])
    cells[(values[:, :3] == 1).all(axis=1)] = 0.0
    before = np.searchsorted(boxes, firsts) - 1
    found: Array = np.where((before >= 0)[:, None, None], cells[before], 0.0)
    return found


def _numbers(path: Path, letters: NDArray[np.uint8], starts: Int, columns: Sequence[tuple[int, int]], lines: Int) -> Array:
    """(rows, columns) numbers that stand in columns of text."""
    values = np.empty((len(starts), len(columns)))
    for index, (begin, end) in enumerate(columns):
        cells = _cut(letters, starts, begin, end)
        try:
            values[:, index] = cells.astype(float)
        except ValueError:
            row = next(row for row, cell in enumerate(cells.tolist()) if not _is_number(cell))
            found = cells[row].decode("latin-1")
            raise DataError(
                f"{path}: line {lines[row] + 1}, columns {begin + 1}-{end}: {found!r} is not a number; correct it"
            ) from None
    return values


def _cut(letters: NDArray[np.uint8], starts: Int, begin: int, end: int) -> NDArray[np.bytes_]:
    """(rows,) what stands in some columns of the lines that begin at `starts`."""
    rows = np.lib.stride_tricks.sliding_window_view(letters, end - begin)[starts + begin]
    cells: NDArray[np.bytes_] = np.ascontiguousarray(rows).view(f"S{end - begin}")[:, 0]
    return cells


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
