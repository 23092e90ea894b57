"""Motion capture of Biovision: a skeleton and its joint angles per frame in one text file (BVH)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._skeleton import Joint, bad_number, bones, check_moves, parse_numbers, place, words_per_line
from forecasting.trajectories.formats._text import reading_text
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Source, Trajectory

_MOTION = re.compile(rb"(?im)^[ \t]*MOTION[ \t\r]*$")
_HEADER = re.compile(rb"(?i)\s*Frames[ \t]*:[ \t]*(\S+)\s+Frame[ \t]+Time[ \t]*:[ \t]*(\S+)[ \t\r]*(?:\n|$)")
_CHANNEL = re.compile(r"([xyz])(position|rotation)", re.IGNORECASE)


class BvhFormat(Format):
    """One scene per file, joints by forward kinematics.

    Nodes are the root and the joints; end sites, which only give the last bones a length, are left out. Position channels
    replace the offset of their axis. Rotations multiply in the order of their channels. Lost: angles, end sites.
    """

    name = "bvh"
    summary = "Biovision BVH: joint angles to positions, any Euler order; y up; rate from Frame Time; needs --unit"
    suffixes = (".bvh",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain by its first word; see `Format.sniff`."""
        return 1.0 if head[:4096].removeprefix(b"\xef\xbb\xbf").split(None, 1)[:1] == [b"HIERARCHY"] else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file; see `Format.read`."""
        with reading_text(path):
            content = path.read_bytes()
            motion = _MOTION.search(content)
            if motion is None:
                raise DataError(f"{path}: there is no line MOTION; this is no whole BVH file")
            text = content[: motion.start()].decode("utf-8-sig")
        joints, columns = _Hierarchy(path, text).parse()
        step, channels = _motion(path, content, motion.end(), columns)
        rate, unit = options.resolve_rate(path, 1 / step), options.resolve_unit(path, 3)
        positions = unit.from_file(place(joints, channels, degrees=True))
        edges = bones(joints)
        yield Trajectory(
            scene=path.stem,
            time=np.arange(len(positions), dtype=np.float64) * (step if options.rate is None else 1 / rate),
            positions=positions,
            valid=observed(positions),
            node_ids=np.array([joint.name for joint in joints]),
            node_types=np.full(len(joints), options.node_type or "joint"),
            unit=unit,
            frame=options.resolve_frame(path, 3, "+y"),
            edges=edges,
            edge_types=np.full(len(edges), "bone"),
            source=Source(str(path), self.name, {"rate": rate}),
        )


@dataclass
class _Node:
    """A joint (or an end site, whose index is -1) whose braces are open; `first` is the column of its first channel."""

    index: int
    name: str
    parent: int
    line: int
    offset: NDArray[np.float64] | None = None
    channels: list[str] = field(default_factory=list)
    first: int = 0


class _Hierarchy:
    """The words between HIERARCHY and MOTION, read from the first to the last."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.words = [(word, number) for number, line in enumerate(text.split("\n"), start=1) for word in line.split()]
        self.at = 0
        self.columns = 0
        self.joints: list[Joint | None] = []
        self.names: set[str] = set()

    def parse(self) -> tuple[list[Joint], int]:
        """The joints, parents first, and how many channels they have together."""
        self._expect("HIERARCHY")
        open_nodes: list[_Node] = []
        while self.at < len(self.words):
            word, line = self._next()
            keyword = word.upper()
            if keyword in ("ROOT", "JOINT", "END"):
                open_nodes.append(self._open(keyword, line, open_nodes))
            elif not open_nodes:
                raise self._fault(line, f"'{word[:40]}'", "ROOT or MOTION")
            elif keyword == "OFFSET":
                open_nodes[-1].offset = self._offset(line)
            elif keyword == "CHANNELS":
                self._channels(open_nodes[-1], line)
            elif word == "}":
                self._close(open_nodes.pop())
            else:
                raise self._fault(line, f"'{word[:40]}'", "OFFSET, CHANNELS, JOINT, End Site or }")
        if open_nodes:
            raise self._fault(open_nodes[-1].line, f"'{open_nodes[-1].name}' without its closing }}", "one } for every {")
        joints = [joint for joint in self.joints if joint is not None]
        if not joints or not self.columns:
            raise DataError(f"{self.path}: the hierarchy has {len(joints)} joints and {self.columns} channels; nothing moves")
        check_moves(self.path, joints, self.columns)
        return joints, self.columns

    def _next(self) -> tuple[str, int]:
        if self.at >= len(self.words):
            raise DataError(f"{self.path}: the hierarchy ends within a joint; the file is cut")
        self.at += 1
        return self.words[self.at - 1]

    def _expect(self, expected: str) -> None:
        word, line = self._next()
        if word.upper() != expected:
            raise self._fault(line, f"'{word[:40]}'", expected)

    def _open(self, keyword: str, line: int, open_nodes: Sequence[_Node]) -> _Node:
        if (keyword == "ROOT") == bool(open_nodes) or (open_nodes and open_nodes[-1].index < 0):
            raise self._fault(line, f"{keyword} here", "ROOT outside and JOINT or End Site inside the braces of a joint")
        parts = []
        while (word := self._next()[0]) != "{":
            parts.append(word)
        name, parent = " ".join(parts), open_nodes[-1].index if open_nodes else -1
        if keyword == "END":
            return _Node(-1, "End Site", parent, line)
        if not name or name in self.names:
            raise self._fault(line, f"a joint called '{name[:40]}'", "a name that no other joint has")
        self.names.add(name)
        self.joints.append(None)
        return _Node(len(self.joints) - 1, name, parent, line)

    def _offset(self, line: int) -> NDArray[np.float64]:
        words = [self._next()[0] for _ in range(3)]
        values = parse_numbers(" ".join(words).encode(), 3)
        if values is None or not np.isfinite(values).all():
            raise self._fault(line, f"OFFSET {' '.join(words)[:60]}", "three numbers")
        return values

    def _channels(self, node: _Node, line: int) -> None:
        count = self._next()[0]
        if not count.isascii() or not count.isdigit() or len(count) > 2:
            raise self._fault(line, f"CHANNELS {count[:40]}", "how many they are")
        if node.channels or node.index < 0:
            raise self._fault(line, f"CHANNELS of '{node.name[:40]}'", "them once in every joint, and never in an end site")
        node.channels, node.first = [self._next()[0].lower() for _ in range(int(count))], self.columns
        self.columns += len(node.channels)
        moves = [name for name in node.channels if name.endswith("position")]
        if not all(map(_CHANNEL.fullmatch, node.channels)) or len(set(moves)) < len(moves):
            raise self._fault(line, f"channels {' '.join(node.channels)[:80]}", f"{count} such as Xposition or Zrotation")

    def _close(self, node: _Node) -> None:
        if node.offset is None:
            raise self._fault(node.line, f"'{node.name[:40]}' without OFFSET", "an OFFSET in every joint and end site")
        if node.index < 0:
            return
        found = [("xyz".index(name[0]), name[1:], column) for column, name in enumerate(node.channels, start=node.first)]
        shifts = tuple((axis, column) for axis, kind, column in found if kind == "position")
        start = node.offset.copy()
        start[[axis for axis, _ in shifts]] = 0.0
        turns = tuple((axis, column) for axis, kind, column in found if kind == "rotation")
        self.joints[node.index] = Joint(node.name, node.parent, start=start, shifts=shifts, turns=turns)

    def _fault(self, line: int, found: str, expected: str) -> DataError:
        return DataError(f"{self.path}: line {line}: found {found}, expected {expected}; correct the hierarchy")


def _motion(path: Path, content: bytes, at: int, columns: int) -> tuple[float, NDArray[np.float64]]:
    """[s] between frames, and the (T, K) numbers of all frames, as many as the header says."""
    header = _HEADER.match(content, at)
    skipped = content.count(b"\n", 0, header.end() if header else at)
    if header is None:
        raise DataError(f"{path}: line {skipped + 2}: expected 'Frames: N' and 'Frame Time: SECONDS' after MOTION; correct it")
    said, step = (parse_numbers(word, 1) for word in header.groups())
    if said is None or not said[0] >= 0:
        raise DataError(f"{path}: line {skipped - 1}: found Frames: {_text(header[1])}, expected a whole number; correct it")
    if step is None or not 0 < step[0] < np.inf:
        raise DataError(f"{path}: line {skipped}: found Frame Time: {_text(header[2])}, expected seconds above 0; correct it")
    body = content[header.end() :]
    counts = words_per_line(body)
    lines = np.flatnonzero(counts)
    wrong = np.flatnonzero(counts[lines] != columns)
    if len(wrong):
        number = lines[wrong[0]]
        raise DataError(
            f"{path}: line {number + skipped + 1} has {counts[number]} numbers, expected {columns}, one for each channel; "
            "correct it, or the file is cut"
        )
    if len(lines) != said[0]:
        raise DataError(
            f"{path}: there are {len(lines)} frames, the header says {_text(header[1])}; correct it, or the file is cut"
        )
    values = parse_numbers(body, len(lines) * columns)
    if values is None or not np.isfinite(values).all():
        words = body.split()
        place_of = bad_number(words)
        raise DataError(
            f"{path}: line {lines[place_of // columns] + skipped + 1}: '{_text(words[place_of])}' is not a number; correct it"
        )
    return float(step[0]), values.reshape(len(lines), columns)


def _text(word: bytes) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in word[:40].decode("utf-8", "replace"))


FORMATS.register(BvhFormat.name)(BvhFormat())
