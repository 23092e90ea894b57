"""Which column of a long-form table holds what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forecasting.errors import DataError, UsageError, did_you_mean
from forecasting.symmetry.transforms import irreps_dim
from forecasting.trajectories.formats._table_notes import FieldNote, TableNotes
from forecasting.trajectories.formats.base import ReadOptions
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.units import Unit

ROLES = {
    "scene": ("scene",),
    "time": ("time",),
    "frame": ("frame",),
    "node": ("node", "id"),
    "type": ("type",),
    "x": ("x",),
    "y": ("y",),
    "z": ("z",),
}


NUMERIC_ROLES = ("time", "frame", "x", "y", "z")
LEFT_OUT = "-"
"""Instead of the name of a column: do not read it."""


@dataclass(frozen=True)
class Layout:
    """The columns of a table by what they mean; an empty name where there is no such column.

    Attributes:
        clock: column of the time [s], or of the frame number where `rate` is set.
        rate: [frames/s], or None where the clock is in seconds.
        axes: columns of x, y[, z].
        fields: name -> columns and meaning.
        unit, frame: of the coordinates; `scaled` says whether the numbers of the table must be multiplied.
        notes: what the table says about itself.
    """

    scene: str
    clock: str
    rate: float | None
    node: str
    type: str
    axes: tuple[str, ...]
    fields: Mapping[str, FieldNote]
    unit: Unit
    frame: Frame
    scaled: bool
    notes: TableNotes

    @property
    def numeric(self) -> tuple[str, ...]:
        """Columns that are read as numbers."""
        columns = [self.clock, *self.axes, *(name for item in self.fields.values() for name in item.columns)]
        return tuple(dict.fromkeys(columns))


def looks_long(names: Sequence[str]) -> float:
    """How sure it is, from 0 to 1, that a table with these columns is in long form."""
    lower = {name.strip().lower() for name in names}
    if not {"x", "y"} <= lower or not lower & {"time", "frame"}:
        return 0.0
    return 0.9 if lower & {"node", "id"} else 0.6


def find_layout(path: Path, columns: Mapping[str, bool], notes: TableNotes, options: ReadOptions) -> Layout:
    """Match the columns of a table with the user's map, the notes and the usual names.

    Args:
        path: for messages.
        columns: column name -> whether it is numeric, in file order.
        notes: what the table says about itself.
        options: what the user says; a column mapped to `LEFT_OUT` is not read.

    Raises:
        DataError: if a needed column is missing.
        UsageError: if the map names a column that is not there, or unit, up axis or rate are said by nobody.
    """
    role = {name: _find(path, name, columns, options) for name in ROLES}
    if role["time"] and role["frame"]:
        explicit = options.columns.get("frame") and not options.columns.get("time")
        role["time" if explicit else "frame"] = ""
    clock = role["time"] or role["frame"]
    missing = [name for name in ("node", "x", "y") if not role[name]] + ([] if clock else ["time or frame"])
    if missing:
        raise DataError(
            f"{path}: no column for {', '.join(missing)} among {', '.join(columns)}; name them, for instance with "
            f"--columns {missing[0].split()[0]}=NAME"
        )
    axes = tuple(role[axis] for axis in "xyz" if role[axis])
    for name in (*axes, clock):
        if not columns[name]:
            raise DataError(f"{path}: column '{name}' does not hold numbers; name the right one with --columns")
    for name, note in notes.fields.items():
        if not all(columns.get(column) for column in note.columns) or len(note.columns) != irreps_dim(note.irreps, len(axes)):
            raise DataError(
                f"{path}: its notes put field '{name}' ({note.irreps}) in the columns {', '.join(note.columns)}, "
                "which are not all there as numbers; correct or remove the note 'fields'"
            )
    declared = notes.file_unit(path, len(axes)) if notes.unit else None
    unit = declared if declared and not options.unit else options.resolve_unit(path, len(axes))
    return Layout(
        scene=role["scene"],
        clock=clock,
        rate=None if role["time"] else options.resolve_rate(path, notes.rate),
        node=role["node"],
        type=role["type"],
        axes=axes,
        fields=dict(notes.fields or _guess_fields(columns, role, len(axes), unit, options)),
        unit=unit,
        frame=notes.frame(options.resolve_frame(path, len(axes), notes.up).up),
        scaled=bool(unit.per_axis) and not (declared and notes.per_axis and not options.unit),
        notes=notes,
    )


def _find(path: Path, role: str, columns: Mapping[str, bool], options: ReadOptions) -> str:
    wanted = options.columns.get(role)
    if wanted is None:
        return next((name for name in columns if name.strip().lower() in ROLES[role]), "")
    if wanted == LEFT_OUT:
        return ""
    if wanted not in columns:
        raise UsageError(f"{path}: there is no column '{wanted}' (for {role}); {did_you_mean(wanted, columns)}")
    return wanted


def _guess_fields(
    columns: Mapping[str, bool], role: Mapping[str, str], dim: int, unit: Unit, options: ReadOptions
) -> Iterator[tuple[str, FieldNote]]:
    """Every other numeric column: NAME_x, NAME_y[, NAME_z] together are a vector, the others are scalars."""
    usual = {alias for aliases in ROLES.values() for alias in aliases}
    taken = set(role.values()) | {name for name in columns if name.strip().lower() in usual}
    ours = dict(_renamed(columns, options))
    free = {ours.get(name, name): name for name in columns if columns[name] and name not in taken and ours.get(name, name)}
    while free:
        first = next(iter(free))
        base = first.rpartition("_")[0]
        names = [f"{base}_{axis}" for axis in "xyz"[:dim]]
        if base and first in names and all(name in free for name in names):
            found = tuple(free.pop(name) for name in names)
            yield base, FieldNote(found, "1o", f"{unit.name}/s" if base == "velocity" else "", False, True)
        else:
            yield first, FieldNote((free.pop(first),), "0e", "", False, True)


def _renamed(columns: Mapping[str, bool], options: ReadOptions) -> Iterator[tuple[str, str]]:
    """(file's column, our name) for mapped fields; a prefix maps all components, '-' leaves a column out."""
    for ours, theirs in options.columns.items():
        if ours in ROLES:
            continue
        if theirs in columns:
            yield theirs, ours
        elif theirs == LEFT_OUT and ours in columns:
            yield ours, ""
        elif f"{theirs}_x" in columns:
            yield from ((f"{theirs}_{axis}", f"{ours}_{axis}") for axis in "xyz" if f"{theirs}_{axis}" in columns)
        else:
            raise UsageError(f"there is no column '{theirs}' to call '{ours}'; {did_you_mean(theirs, columns)}")
