"""Skeletons of Acclaim (ASF): the bones, the channels that move them, and the tree they form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._rotations import euler
from forecasting.trajectories.formats._skeleton import Joint, check_moves
from forecasting.trajectories.formats._text import reading_text

ROOT = "root"
_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz", "l")
_BLANKS = str.maketrans("(),", "   ")


@dataclass(frozen=True)
class Skeleton:
    """What an ASF file says.

    Attributes:
        joints: in the order of the hierarchy (depth first), the root first.
        channels: name of a movable joint -> how many channels it has; they stand in this order.
        length: number after ``:units length``, or None.
        degrees: whether angles are degrees.
    """

    joints: tuple[Joint, ...]
    channels: Mapping[str, int]
    length: float | None
    degrees: bool


def read_skeleton(path: Path) -> Skeleton:
    """Read an ASF file.

    Angles of an axis belong to the letters of its order one by one, and the first letter turns first about fixed axes.

    Raises:
        DataError: if it is no skeleton or contradicts itself; names the line.
    """
    return _Parser(path).skeleton()


@dataclass(frozen=True)
class _Line:
    number: int
    words: tuple[str, ...]


class _Parser:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections: dict[str, list[_Line]] = {}
        with reading_text(path):
            text = path.read_text(encoding="utf-8")
        section = ""
        for number, raw in enumerate(text.split("\n"), start=1):
            words = tuple(raw.partition("#")[0].translate(_BLANKS).split())
            if words and words[0].startswith(":"):
                section = words[0].lower()
                self.sections.setdefault(section, []).append(_Line(number, words[1:]))
            elif words and section != ":documentation":
                self.sections.setdefault(section, []).append(_Line(number, words))
        for name in (":root", ":bonedata", ":hierarchy"):
            if name not in self.sections:
                raise DataError(f"{path}: there is no section {name}; this is not a whole ASF skeleton")

    def skeleton(self) -> Skeleton:
        units = self._entries(self.sections.get(":units", []))
        degrees = self._angle_unit(units)
        bones = {ROOT: self._entries(self.sections[":root"]), **self._bones()}
        order = self._tree(bones)
        joints: list[Joint] = []
        channels: dict[str, int] = {}
        first = 0
        for name, parent in order:
            tokens = self._channels(bones[name], "order" if name == ROOT else "dof")
            make = self._root if name == ROOT else self._bone
            joints.append(make(name, parent, bones[name], _columns(tokens, first), degrees))
            first += len(tokens)
            if tokens:
                channels[name] = len(tokens)
        check_moves(self.path, joints, first)
        length = self._numbers(units["length"], 1)[0] if "length" in units else None
        return Skeleton(tuple(joints), channels, length, degrees)

    def _fail(self, line: _Line, what: str) -> NoReturn:
        raise DataError(f"{self.path}: line {line.number}: {what}")

    def _entries(self, lines: Sequence[_Line]) -> dict[str, _Line]:
        return {line.words[0].lower(): _Line(line.number, line.words[1:]) for line in lines if line.words}

    def _numbers(self, line: _Line, count: int) -> list[float]:
        try:
            values = [float(word) for word in line.words[:count]]
        except ValueError:
            values = []
        if len(values) != count or not np.isfinite(values).all():
            self._fail(line, f"'{' '.join(line.words)[:60]}', expected {count} number(s); correct the skeleton")
        return values

    def _angle_unit(self, units: Mapping[str, _Line]) -> bool:
        line = units.get("angle", _Line(0, ("deg",)))
        word = line.words[0].lower() if line.words else ""
        if word not in ("deg", "rad"):
            self._fail(line, f"angle unit '{word}', expected deg or rad")
        return word == "deg"

    def _bones(self) -> dict[str, dict[str, _Line]]:
        bones: dict[str, dict[str, _Line]] = {}
        block: list[_Line] = []
        for line in self.sections[":bonedata"]:
            word = line.words[0].lower() if line.words else ""
            if word == "begin":
                block = [line]
            elif word == "end":
                entries = self._entries(block)
                name = " ".join(entries["name"].words) if "name" in entries else ""
                if not name or name == ROOT or name in bones:
                    self._fail(line, f"a bone ends here whose name is '{name}', expected a new name; correct the skeleton")
                bones[name], block = entries, []
            elif block:
                block.append(line)
        if block:
            self._fail(block[0], "this bone has no end; the file is cut")
        return bones

    def _tree(self, bones: Mapping[str, Mapping[str, _Line]]) -> list[tuple[str, int]]:
        children: dict[str, list[str]] = {}
        placed: set[str] = {ROOT}
        for line in self.sections[":hierarchy"]:
            if not line.words or line.words[0].lower() in ("begin", "end"):
                continue
            for name in line.words:
                if name not in bones:
                    self._fail(line, f"the hierarchy names the bone '{name[:40]}', which is not among the bones of the file")
            for name in line.words[1:]:
                if name in placed:
                    self._fail(line, f"bone '{name}' gets a second parent; every bone has one")
                placed.add(name)
                children.setdefault(line.words[0], []).append(name)
        order: list[tuple[str, int]] = []
        waiting = [(ROOT, -1)]
        while waiting:
            name, parent = waiting.pop()
            waiting.extend((child, len(order)) for child in reversed(children.get(name, [])))
            order.append((name, parent))
        if len(order) < len(bones):
            loose = sorted(set(bones) - {name for name, _ in order})
            raise DataError(f"{self.path}: the hierarchy does not connect {', '.join(loose[:5])} to the root; correct it")
        return order

    def _channels(self, entries: Mapping[str, _Line], key: str) -> tuple[str, ...]:
        if key not in entries:
            return ()
        tokens = tuple(word.lower() for word in entries[key].words)
        if not set(tokens) <= set(_CHANNELS) or len(set(tokens)) < len(tokens):
            self._fail(entries[key], f"channels '{' '.join(tokens)[:60]}', expected each of {' '.join(_CHANNELS)} at most once")
        return tokens

    def _root(self, name: str, parent: int, entries: Mapping[str, _Line], columns: "_Columns", degrees: bool) -> Joint:
        position, angles = entries.get("position"), entries.get("orientation")
        start = np.array(self._numbers(position, 3)) if position else np.zeros(3)
        basis = np.eye(3)
        if angles:
            axis = entries.get("axis", _Line(angles.number, ("XYZ",)))
            basis = self._basis(_Line(angles.number, angles.words[:3] + axis.words[:1]), degrees)
        return Joint(name, parent, start=start, basis=basis, shifts=columns.shifts, turns=columns.turns)

    def _bone(self, name: str, parent: int, entries: Mapping[str, _Line], columns: "_Columns", degrees: bool) -> Joint:
        for key in ("direction", "length"):
            if key not in entries:
                self._fail(entries["name"], f"bone '{name}' has no {key}; correct the skeleton")
        direction, length = np.array(self._numbers(entries["direction"], 3)), self._numbers(entries["length"], 1)[0]
        if length and abs(np.hypot(np.hypot(*direction[:2]), direction[2]) - 1) > 0.01:
            self._fail(entries["direction"], f"the direction of bone '{name}' is not of length 1; correct the skeleton")
        basis = self._basis(entries["axis"], degrees) if "axis" in entries else np.eye(3)
        return Joint(
            name,
            parent,
            end=direction * length,
            basis=basis,
            shifts=columns.shifts,
            turns=columns.turns,
            stretch=columns.stretch,
            direction=direction,
        )

    def _basis(self, line: _Line, degrees: bool) -> NDArray[np.float64]:
        angles = self._numbers(line, 3)
        order = line.words[3].lower() if len(line.words) > 3 else "xyz"
        if sorted(order) != ["x", "y", "z"]:
            self._fail(line, f"axis order '{order[:20]}', expected x, y and z in some order")
        factor = np.pi / 180 if degrees else 1.0
        return euler(["xyz".index(letter) for letter in reversed(order)], [factor * angle for angle in reversed(angles)])


@dataclass(frozen=True)
class _Columns:
    shifts: tuple[tuple[int, int], ...]
    turns: tuple[tuple[int, int], ...]
    stretch: int


def _columns(tokens: Sequence[str], first: int) -> _Columns:
    found = list(enumerate(tokens, start=first))
    shifts = tuple(("xyz".index(token[1]), column) for column, token in found if token[0] == "t")
    turns = tuple(("xyz".index(token[1]), column) for column, token in reversed(found) if token[0] == "r")
    return _Columns(shifts, turns, first + tokens.index("l") if "l" in tokens else -1)
