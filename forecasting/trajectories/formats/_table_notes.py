"""What a table says about itself beside its columns: comment lines of a CSV, metadata of a Parquet file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, UsageError
from forecasting.symmetry.transforms import irreps_dim
from forecasting.trajectories.trajectory import Frame, Trajectory
from forecasting.trajectories.units import Unit, parse_unit

TEXT_KEYS = ("unit", "up", "handedness", "node_ids")
NO_EDGES: tuple[list[list[Any]], list[str]] = ([], [])
JSON_KEYS = ("rate", "per_axis", "fields", "partitions", "edges")


@dataclass(frozen=True)
class FieldNote:
    """How a field lies in columns: see `Field` for irreps, unit and translates."""

    columns: tuple[str, ...]
    irreps: str
    unit: str
    translates: bool
    per_frame: bool


@dataclass
class TableNotes:
    """The notes of one table; every entry may be absent.

    Attributes:
        unit: text for `parse_unit` of the coordinates in the table.
        up, handedness: see `Frame`.
        node_ids: ``integer`` or ``text``.
        rate: [frames/s] for tables that count frames.
        per_axis: `Unit.per_axis` of the file that the scenes first came from; the table's coordinates have it applied.
        fields: by name.
        partitions: scene -> partition.
        edges: scene -> ((source, target) pairs of node ids, types).
    """

    unit: str = ""
    up: str = ""
    handedness: str = ""
    node_ids: str = ""
    rate: float | None = None
    per_axis: tuple[float, ...] = ()
    fields: dict[str, FieldNote] = field(default_factory=dict)
    partitions: dict[str, str] = field(default_factory=dict)
    edges: dict[str, tuple[list[list[Any]], list[str]]] = field(default_factory=dict)
    _made: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, scene: Trajectory) -> "TableNotes":
        """The notes that every scene of a table must share; `add` appends what each has of its own."""
        parse_unit(scene.unit.name, scene.dim)
        return cls(
            unit=scene.unit.name,
            up=scene.frame.up,
            handedness=scene.frame.handedness,
            node_ids="integer" if scene.node_ids.dtype.kind in "iu" else "text",
            per_axis=scene.unit.per_axis,
            fields={
                name: FieldNote(
                    field_columns(name, item.irreps, scene.dim), item.irreps, item.unit, item.translates, item.per_frame
                )
                for name, item in scene.fields.items()
            },
        )

    def add(self, scene: Trajectory) -> None:
        """Note a further scene.

        Raises:
            UsageError: if one table cannot hold it beside the others.
        """
        other = TableNotes.of(scene)
        for name in ("unit", "up", "handedness", "node_ids", "per_axis", "fields"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise UsageError(
                    f"scene '{scene.scene}' has {name} {theirs or 'none'}, those before it {mine or 'none'}; one table "
                    "holds one kind: write them to separate files, or to npz"
                )
        if scene.partition:
            self.partitions[scene.scene] = scene.partition
        if len(scene.edges):
            self.edges[scene.scene] = (scene.node_ids[scene.edges].tolist(), scene.edge_types.tolist())

    def to_texts(self) -> dict[str, str]:
        """The notes as key -> text, absent ones left out."""
        raw: dict[str, Any] = {name: getattr(self, name) for name in TEXT_KEYS}
        raw["per_axis"] = list(self.per_axis)
        raw["fields"] = {name: asdict(note) for name, note in self.fields.items()}
        raw["partitions"] = _grouped((partition, scene) for scene, partition in self.partitions.items())
        shared = _grouped((json.dumps(edges), scene) for scene, edges in self.edges.items())
        raw["edges"] = [[*json.loads(edges), scenes] for edges, scenes in shared.items()]
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in raw.items() if value}

    @classmethod
    def from_texts(cls, path: Path, texts: Mapping[str, str]) -> "TableNotes":
        """Read the notes back; keys that are not ours are passed over.

        Raises:
            DataError: if one of ours is malformed.
        """
        notes = cls()
        for key in TEXT_KEYS:
            setattr(notes, key, texts.get(key, ""))
        for key in JSON_KEYS:
            if key in texts:
                try:
                    setattr(notes, key, _PARSERS[key](json.loads(texts[key])))
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise DataError(f"{path}: its note '{key}' is damaged ({error}); correct it or remove it") from None
        return notes

    def file_unit(self, path: Path, dim: int) -> Unit:
        """Unit of the coordinates as they stand in the table, with the first file's factors where they are noted."""
        unit = parse_unit(self.unit, dim)
        if self.per_axis and len(self.per_axis) != dim:
            raise DataError(f"{path}: its note 'per_axis' has {len(self.per_axis)} factors for {dim} coordinates")
        return Unit(unit.name, self.per_axis) if self.per_axis else unit

    def frame(self, up: str) -> Frame:
        """The frame with this up axis and the noted handedness."""
        return Frame(up, self.handedness or "right")

    def edges_of(self, scene: str, node_ids: NDArray[Any], path: Path) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
        """(E, 2) node pairs and (E,) types of one scene with these (N,) ids; neighbouring scenes with the same share the arrays.

        Raises:
            DataError: if an edge names a node that the scene has not.
        """
        noted = self.edges.get(scene, NO_EDGES)
        ids = tuple(node_ids.tolist())
        if self._made is None or self._made[0] is not noted or self._made[1] != ids:
            self._made = noted, ids, self._edges(noted, node_ids, scene, path)
        return self._made[2]

    def _edges(
        self, noted: tuple[list[list[Any]], list[str]], node_ids: NDArray[Any], scene: str, path: Path
    ) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
        pairs, types = noted
        place = {identity: index for index, identity in enumerate(node_ids.tolist())} if pairs else {}
        try:
            array = np.array([[place[source], place[target]] for source, target in pairs], dtype=np.int64)
        except KeyError as error:
            raise DataError(f"{path}: the note 'edges' names node {error} in scene '{scene}', which has no row") from None
        return array.reshape(len(types), 2), np.array(types, dtype=str)


def field_columns(name: str, irreps: str, dim: int) -> tuple[str, ...]:
    """Column names of a field: name for a scalar, name_x, name_y[, name_z] for a vector, else numbered from name_0."""
    size = irreps_dim(irreps, dim)
    if irreps in ("1o", "1e", "1x1o", "1x1e") and size == dim:
        return tuple(f"{name}_{axis}" for axis in "xyz"[:dim])
    return (name,) if size == 1 else tuple(f"{name}_{index}" for index in range(size))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key, member in pairs:
        groups.setdefault(key, []).append(member)
    return groups


def _read_fields(raw: Any) -> dict[str, FieldNote]:
    return {name: FieldNote(**{**note, "columns": tuple(note["columns"])}) for name, note in raw.items()}


def _read_edges(raw: Any) -> dict[str, tuple[list[list[Any]], list[str]]]:
    found: dict[str, tuple[list[list[Any]], list[str]]] = {}
    for pairs, types, scenes in raw:
        ends = [[_identity(source), _identity(target)] for source, target in pairs]
        found |= dict.fromkeys(scenes, (ends, [str(kind) for _, kind in zip(pairs, types, strict=True)]))
    return found


def _identity(raw: Any) -> int | str:
    if not isinstance(raw, (int, str)):
        raise TypeError(f"{raw!r} is no node id")
    return raw


_PARSERS: dict[str, Any] = {
    "rate": float,
    "per_axis": lambda raw: tuple(float(factor) for factor in raw),
    "fields": _read_fields,
    "partitions": lambda raw: {scene: partition for partition, scenes in raw.items() for scene in scenes},
    "edges": _read_edges,
}
