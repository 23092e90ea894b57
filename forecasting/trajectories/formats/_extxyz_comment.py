"""The comment line of an xyz frame: key=value pairs, the box, the columns, and our own notes about a scene."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import ForecastingError
from forecasting.symmetry.transforms import irreps_dim
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.units import Unit

NOTES_KEY = "forecasting"
PLAIN = "species:S:1:pos:R:3"
MAX_COLUMNS = 4096
_TEXT = r'"((?:[^"\\]|\\.)*+)"|' + r"'((?:[^'\\]|\\.)*+)'"
_PAIR = re.compile(
    rf"(?:{_TEXT}|([^\s=\"']+))"
    rf"(?:\s*+=\s*+(?:{_TEXT}|\{{([^{{}}]*+)\}}|(\[(?:[^\[\]]|\[[^\[\]]*+\])*+\])|(\S*+)))?"
)
_ESCAPE = re.compile(r"\\(.)")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_TRUTH = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}


class Column(NamedTuple):
    """Neighbouring columns of one property: its name, its kind (R, I, S or L) and how many they are."""

    name: str
    kind: str
    width: int


@dataclass(frozen=True)
class Comment:
    """What a comment line says.

    Attributes:
        properties: text of ``Properties``, empty where there is none.
        values: every other key but the box's -> its text without quotes; a key alone is ``T``.
        cell: (3, 3) lattice vectors, one per row; zero where no box is given.
        periodic: (3,) whether the box repeats along each.
    """

    properties: str
    values: Mapping[str, str]
    cell: NDArray[np.float64]
    periodic: tuple[bool, ...]


def parse_comment(line: str) -> Comment:
    """Read a comment line of plain, extended or PLUMED xyz (there it is the box: three lengths or nine numbers).

    Raises:
        ValueError: if its box or ``pbc`` is malformed.
    """
    words = line.split()
    if len(words) in (3, 9) and all(number(word) is not None for word in words):
        return Comment("", {}, _lattice(" ".join(words)), (True, True, True))
    values = parse_pairs(line)
    special = {key.lower(): key for key in values if key.lower() in ("properties", "lattice", "pbc")}
    found = {lower: values.pop(key) for lower, key in special.items()}
    lattice = found.get("lattice", "")
    return Comment(
        found.get("properties", ""),
        values,
        _lattice(lattice) if "lattice" in found else _lattice("0 0 0"),
        _periodic(found["pbc"]) if "pbc" in found else ("lattice" in found,) * 3,
    )


def parse_pairs(line: str) -> dict[str, str]:
    """Key -> text of ``key=value``, with quotes, braces, brackets and backslashes undone; a key alone is ``T``."""
    pairs = {}
    for match in _PAIR.finditer(line):
        double, single, bare, *values = match.groups()
        key = next(text for text in (double, single, bare) if text is not None)
        quoted = values[0] if values[0] is not None else values[1]
        if quoted is not None:
            text = _ESCAPE.sub(r"\1", quoted)
        else:
            text = next((item for item in values[2:] if item is not None), "T")
            text = text.rstrip(",")
        pairs[key] = text
    return pairs


def number(text: str) -> float | None:
    """The number that a text is, or None."""
    return float(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=64)
def parse_properties(text: str) -> tuple[Column, ...]:
    """The columns that ``Properties=name:kind:count:…`` declares.

    Raises:
        ValueError: if it is malformed, a name stands twice, or there is no ``pos:R:3``.
    """
    parts = text.split(":")
    if len(parts) % 3:
        raise ValueError(f"Properties '{text[:60]}' are not triples of name:kind:count")
    columns = []
    for name, kind, width in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if kind not in ("R", "I", "S", "L") or not re.fullmatch(r"[1-9]\d{0,3}", width, re.ASCII) or not name:
            raise ValueError(f"Properties hold '{name[:40]}:{kind[:10]}:{width[:10]}', expected a name, one of R I S L, a count")
        columns.append(Column(name, kind, int(width)))
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise ValueError("Properties name a column twice")
    if sum(column.width for column in columns) > MAX_COLUMNS:
        raise ValueError(f"Properties declare more than {MAX_COLUMNS} columns")
    if Column("pos", "R", 3) not in columns:
        raise ValueError(f"Properties '{text[:60]}' have no pos:R:3, the positions")
    return tuple(columns)


@lru_cache(maxsize=64)
def _lattice(text: str) -> NDArray[np.float64]:
    """(3, 3) vectors as rows, of three lengths or nine numbers."""
    numbers = [number(word) for word in text.replace(",", " ").replace("[", " ").replace("]", " ").split()]
    values = np.array([np.nan if item is None else item for item in numbers])
    if len(values) not in (3, 9) or not np.isfinite(values).all():
        raise ValueError(f"the box '{text[:60]}' is not three lengths or nine numbers")
    return np.diag(values) if len(values) == 3 else values.reshape(3, 3)


def _periodic(text: str) -> tuple[bool, ...]:
    flags = [_TRUTH.get(word.lower()) for word in text.strip("[]").replace(",", " ").split()]
    if len(flags) == 1:
        flags *= 3
    if len(flags) != 3 or None in flags:
        raise ValueError(f"pbc '{text[:40]}' is not three of T and F")
    return tuple(map(bool, flags))


@dataclass(frozen=True)
class FieldNote:
    """Where a field lies: in a ``column``, under a key of every frame's ``comment``, or as ``constant`` values here.

    Attributes:
        irreps, unit, translates: see `Field`.
        place: one of the three.
        key: of the column or the comment.
        values: (N, C) of a constant field.
    """

    irreps: str
    unit: str
    translates: bool
    place: str
    key: str = ""
    values: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class Notes:
    """What the first frame of each scene says under the key ``forecasting``, beside what an xyz file can say itself.

    Attributes:
        scene, partition: of the `Trajectory`.
        dim: 2 where z was added.
        unit, per_axis: see `Unit`; positions in the file are in `unit`.
        up, handedness: see `Frame`.
        ids, types: of all nodes, also of those absent from a frame; the column ``node`` counts them.
        edges, edge_types: see `Trajectory`.
        fields: by name.
    """

    scene: str
    partition: str
    dim: int
    unit: str
    per_axis: list[float]
    up: str
    handedness: str
    ids: list[int] | list[str]
    types: list[str]
    edges: list[list[int]]
    edge_types: list[str]
    fields: dict[str, FieldNote]

    def to_text(self) -> str:
        """As one value of a comment line, in quotes."""
        text = json.dumps(asdict(self), separators=(",", ":"))
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    @classmethod
    def from_text(cls, text: str) -> "Notes":
        """Read the notes back.

        Raises:
            ValueError: if they are damaged; says where.
        """
        try:
            raw = json.loads(text)
            notes = cls(**{**raw, "fields": {name: FieldNote(**item) for name, item in raw["fields"].items()}})
            notes._check()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, ForecastingError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"the notes under '{NOTES_KEY}' are damaged ({reason[:100]}); write the file again") from None
        return notes

    @property
    def file_unit(self) -> Unit:
        """Of the positions as they stand in the file, with the factors of the file they first came from."""
        return Unit(self.unit, tuple(map(float, self.per_axis)))

    @property
    def node_ids(self) -> NDArray[Any]:
        """(N,) int64 or text."""
        texts = bool(self.ids) and isinstance(self.ids[0], str)
        return np.array(self.ids, dtype=str if texts else np.int64)

    def constant(self, item: FieldNote) -> NDArray[np.float64]:
        """(N, C) values of a constant field."""
        return np.array(item.values, dtype=np.float64).reshape(len(self.ids), irreps_dim(item.irreps, self.dim))

    def _check(self) -> None:
        texts = (self.scene, self.partition, self.unit, *self.types, *self.edge_types)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a name is no text")
        if self.dim not in (2, 3) or len(self.per_axis) not in (0, self.dim):
            raise ValueError("dim or per_axis")
        if {*map(type, self.ids)} not in (set(), {int}, {str}):
            raise TypeError("ids are neither all whole numbers nor all texts")
        if len(self.types) != len(self.ids) or len(self.edges) != len(self.edge_types):
            raise ValueError("as many types as ids, and as many edge types as edges, belong there")
        if any(not 0 <= end < len(self.ids) for edge in self.edges for end in edge):
            raise ValueError("an edge leads to no node")
        Frame(self.up, self.handedness)
        _ = self.file_unit, self.node_ids, np.array(self.edges, dtype=np.int64).reshape(-1, 2)
        for item in self.fields.values():
            if item.place not in ("column", "comment", "constant") or not isinstance(item.unit, str):
                raise ValueError("the place or unit of a field")
            if item.place == "constant":
                self.constant(item)
            irreps_dim(item.irreps, self.dim)
