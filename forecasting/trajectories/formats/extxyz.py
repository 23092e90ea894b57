"""Atoms as text: xyz, extended xyz and PLUMED's xyz, read frame by frame; extended xyz written."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from forecasting.errors import DataError
from forecasting.trajectories.formats._extxyz_comment import NOTES_KEY, Comment, number, parse_comment
from forecasting.trajectories.formats._extxyz_scene import SceneBuilder
from forecasting.trajectories.formats._extxyz_write import write_scenes
from forecasting.trajectories.formats._text import reading_text
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Trajectory

SHORTEST_ROW = 7
"""Bytes of the shortest atom line but for its line break: ``H 0 0 0``."""

_COUNT = re.compile(rb"\s*\d{1,15}\s*")


class ExtxyzFormat(Format):
    """Frames of a count, a comment and one line per atom.

    A file is one scene (a file of ours holds several), so every frame has the same atoms in the same order, or a column
    ``id`` says which is which. Nodes are numbered from 0 or take those ids; their types are the species, which in
    PLUMED's files are names of atoms.

    * Positions are in angstrom where the comment has ``Properties``; plain and PLUMED files may be in anything, so
      ``--unit`` says it. There is no up axis.
    * Where a box repeats (``Lattice`` with ``pbc``, or PLUMED's box), nodes are followed through its walls.
    * Columns become fields: three real numbers a vector, others scalars (T and F are 1 and 0). Texts are not read.
    * A number in the comment of the first frame, such as ``energy``, becomes a scalar field with the same value at every
      node of the frame, NaN in frames without it. Arrays and texts there are not read.
    * No unit of a field is known. So a column ``velocity`` and a number ``time`` become ``file_velocity`` and
      ``file_time``, and frames are counted: ``--rate`` says how many make a second.
    """

    name = "extxyz"
    summary = "xyz, extended xyz and PLUMED xyz: count, comment, species x y z, columns; --rate, --unit where it is plain"
    suffixes = (".xyz", ".extxyz")
    can_write = True

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain with ``Properties``, nearly so where an atom follows the comment; see `Format.sniff`."""
        lines = head.split(b"\n", 3)
        if len(lines) < 3 or not _COUNT.fullmatch(lines[0]) or b"\0" in head:
            return 1.0 if len(lines) == 2 and _COUNT.fullmatch(lines[0]) and b"Properties=" in lines[1] else 0.0
        if b"Properties=" in lines[1]:
            return 1.0
        try:
            cells = lines[2].decode("utf-8").split()
        except UnicodeDecodeError:
            return 0.0
        if len(cells) < 4 or any(number(cell) is None for cell in cells[1:4]):
            return 0.0
        return 0.5 if number(cells[0]) is not None else 0.95

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file, or the scenes that we wrote; see `Format.read`."""
        with reading_text(path), path.open("rb") as file:
            scene: SceneBuilder | None = None
            for frame in _frames(path, file):
                if scene is None or NOTES_KEY in frame.comment.values:
                    if scene is not None:
                        yield scene.finish()
                    scene = SceneBuilder(path, self.name, options, frame.line, frame.comment, frame.body)
                scene.add(frame.line, frame.count, frame.comment, frame.body)
        if scene is None:
            raise DataError(f"{path}: the file holds no frames")
        yield scene.finish()

    def write(self, path: Path, trajectories: Iterable[Trajectory]) -> None:
        """Write extended xyz that other programs read too; see `Format.write`.

        The first frame of each scene holds, under the key ``forecasting``, what the format has no place for. Species are
        the node types where those are elements, else ``X``; planar positions get z = 0. An entry that is neither valid
        nor has a field is left out of its frame.
        """
        write_scenes(path, trajectories)


@dataclass(frozen=True)
class _Frame:
    line: int
    count: int
    comment: Comment
    body: bytes


def _frames(path: Path, file: BinaryIO) -> Iterator[_Frame]:
    left, line = path.stat().st_size, 0
    while head := file.readline():
        line, left = line + 1, left - len(head)
        if not head.strip():
            continue
        count = _count(path, line, head)
        text = file.readline()
        left -= len(text)
        if count * SHORTEST_ROW > left + 1:
            raise DataError(
                f"{path}: line {line} claims {count} atoms, but only {left} bytes follow; the file is cut or the count wrong"
            )
        rows = list(islice(file, count))
        if len(rows) < count:
            raise DataError(
                f"{path}: line {line} claims {count} atoms, but {len(rows)} lines follow; the file is cut or the count wrong"
            )
        body = b"".join(rows)
        try:
            comment = parse_comment(text.decode("utf-8"))
        except UnicodeDecodeError:
            raise DataError(f"{path}: line {line + 1} is not UTF-8 text; convert the file") from None
        except ValueError as error:
            raise DataError(f"{path}: line {line + 1}: {error}; correct the line") from None
        yield _Frame(line, count, comment, body if not body or body.endswith(b"\n") else body + b"\n")
        line, left = line + count + 1, left - len(body)


def _count(path: Path, line: int, text: bytes) -> int:
    if not _COUNT.fullmatch(text):
        shown = text[:40].decode("utf-8", "replace").strip()
        raise DataError(f"{path}: line {line} is {shown!r}, expected the number of atoms of the next frame; correct it")
    return int(text)


FORMATS.register(ExtxyzFormat.name)(ExtxyzFormat())
