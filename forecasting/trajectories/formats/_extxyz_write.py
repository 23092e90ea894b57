"""Scenes to extended xyz: numbers to the last bit, and what the format has no place for as notes in a comment."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.files import atomic_file
from forecasting.trajectories.formats._extxyz_comment import NOTES_KEY, FieldNote, Notes
from forecasting.trajectories.trajectory import Field, Trajectory

ROWS = 1 << 16
"""Atom lines that are made at a time."""

NO_ELEMENT = "X"
ELEMENTS = frozenset(
    re.findall(
        "[A-Z][a-z]?",
        "HHeLiBeBCNOFNeNaMgAlSiPSClArKCaScTiVCrMnFeCoNiCuZnGaGeAsSeBrKrRbSrYZrNbMoTcRuRhPdAgCdInSnSbTeIXeCsBa"
        "LaCePrNdPmSmEuGdTbDyHoErTmYbLuHfTaWReOsIrPtAuHgTlPbBiPoAtRnFrRaAcThPaUNpPuAmCmBkCfEsFmMdNoLrRfDbSgBh"
        "HsMtDsRgCnNhFlMcLvTsOg",
    )
)
KEYS_TAKEN = frozenset(
    re.findall(
        r"\w+",
        "lattice properties pbc time forecasting stress virial uid species symbols pos positions node z numbers charge "
        "charges initial_charges move_mask",
    )
)
"""Names that have a meaning of their own in comments or columns, here or in programs that read the file."""


def write_scenes(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Write scenes one after the other; see `ExtxyzFormat.write`."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        for scene in trajectories:
            _write_scene(file, scene)
        if not file.tell():
            raise UsageError(f"{path}: there are no scenes to write")


def _write_scene(file: BinaryIO, scene: Trajectory) -> None:
    steps, nodes = scene.valid.shape
    if not steps:
        raise UsageError(f"scene '{scene.scene}' has no frames: nothing to write")
    if scene.node_ids.dtype.kind not in "iuU" or scene.node_types.dtype.kind != "U":
        raise UsageError(f"scene '{scene.scene}': node ids must be integers or texts and types texts, to be written as xyz")
    notes = _field_notes(scene)
    columns = {note.key: scene.fields[name] for name, note in notes.items() if note.place == "column"}
    keep = scene.valid.copy()
    for item in columns.values():
        keep |= ~np.isnan(item.values).all(axis=2)
    sparse = not keep.all() or not nodes
    layout = ["species:S:1:pos:R:3", *(f"{key}:R:{item.values.shape[2]}" for key, item in columns.items())]
    properties = ":".join([*layout, *(["node:I:1"] if sparse else [])])
    comments = _comments(scene, notes, properties)
    species = np.array([name if name in ELEMENTS else NO_ELEMENT for name in scene.node_types.tolist()], dtype=str)
    width = max(1, ROWS // max(nodes, 1))
    for start in range(0, steps, width):
        frames = slice(start, start + width)
        rows = _rows(scene, columns, keep, species, frames, sparse=sparse)
        row = 0
        for count in np.count_nonzero(keep[frames], axis=1).tolist():
            file.write(f"{count}\n{next(comments)}\n".encode())
            file.writelines(rows[row : row + count])
            row += count


def _rows(
    scene: Trajectory,
    columns: Mapping[str, Field],
    keep: NDArray[np.bool_],
    species: NDArray[np.str_],
    frames: slice,
    *,
    sparse: bool,
) -> list[bytes]:
    """The atom lines of some frames."""
    kept = keep[frames]
    node = np.nonzero(kept)[1]
    places = np.zeros((len(node), 3))
    places[:, : scene.dim] = scene.positions[frames][kept]
    places[~scene.valid[frames][kept]] = np.nan
    names, codes = np.unique(species, return_inverse=True)
    cells = [
        pa.DictionaryArray.from_arrays(codes[node].astype(np.int32), pa.array(names.tolist(), pa.string())).cast(pa.string())
    ]
    cells += [pa.array(places[:, axis]) for axis in range(3)]
    for item in columns.values():
        values = item.values[frames][kept]
        cells += [pa.array(np.ascontiguousarray(values[:, index])) for index in range(values.shape[1])]
    if sparse:
        cells.append(pa.array(node))
    buffer = BytesIO()
    options = pacsv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none", batch_size=ROWS)
    pacsv.write_csv(pa.table(cells, names=[str(index) for index in range(len(cells))]), buffer, options)
    return buffer.getvalue().splitlines(keepends=True)


def _comments(scene: Trajectory, notes: Mapping[str, FieldNote], properties: str) -> Iterator[str]:
    """The comment line of each frame."""
    series = {note.key: scene.fields[name].values[:, 0, 0].tolist() for name, note in notes.items() if note.place == "comment"}
    whole = scene.node_ids.dtype.kind in "iu"
    about = Notes(
        scene=scene.scene,
        partition=scene.partition,
        dim=scene.dim,
        unit=scene.unit.name,
        per_axis=list(map(float, scene.unit.per_axis)),
        up=scene.frame.up,
        handedness=scene.frame.handedness,
        ids=(scene.node_ids.astype(np.int64) if whole else scene.node_ids).tolist(),
        types=scene.node_types.tolist(),
        edges=scene.edges.tolist(),
        edge_types=scene.edge_types.tolist(),
        fields=dict(notes),
    )
    first = f" {NOTES_KEY}={about.to_text()}"
    for frame, time in enumerate(scene.time.tolist()):
        numbers = "".join(f" {key}={values[frame]!r}" for key, values in series.items())
        yield f'Properties={properties} pbc="F F F" time={time!r}{numbers}{first}'
        first = ""


def _field_notes(scene: Trajectory) -> dict[str, FieldNote]:
    notes: dict[str, FieldNote] = {}
    for name, item in scene.fields.items():
        if not item.per_frame:
            notes[name] = FieldNote(item.irreps, item.unit, item.translates, "constant", "", item.values.tolist())
            continue
        place = "comment" if _same_at_every_node(item.values) else "column"
        key = _key(name, [note.key for note in notes.values()])
        notes[name] = FieldNote(item.irreps, item.unit, item.translates, place, key)
    return notes


def _same_at_every_node(values: NDArray[np.float64]) -> bool:
    if values.shape[2] != 1 or not values.shape[1]:
        return False
    return bool(np.array_equal(values, np.broadcast_to(values[:, :1], values.shape), equal_nan=True))


def _key(name: str, others: Collection[str]) -> str:
    """A name without blanks that nothing else has."""
    key = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    key = f"_{key}" if key[0].isdigit() else key
    while key.lower() in KEYS_TAKEN or key in others:
        key += "_"
    return key
