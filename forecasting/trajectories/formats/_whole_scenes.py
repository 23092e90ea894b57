"""Scenes of a table in long form that are whole (every node in every frame, frame by frame), taken apart all at once."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.trajectories.formats._grid import codes, encoded
from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.formats._text_ids import integer, is_integer
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.scene_block import SceneBlock
from forecasting.trajectories.trajectory import Field, Source

Int = NDArray[np.int64]
Float = NDArray[np.float64]
Flags = NDArray[np.bool_]


def taken_apart(
    table: pa.RecordBatch, names: list[str], starts: Int, layout: Layout, node_type: str, source: Source
) -> tuple[SceneBlock, Flags] | None:
    """The rows of a table as a block, and which of its scenes are whole; the others must not be taken from it.

    Args:
        table: with the columns of the layout; names, starts: (S,) and (S + 1,) its scenes and their rows.
        layout: what the columns mean; node_type: of nodes where there is no column of types.
        source: of the scenes.

    Returns:
        None where labels are odd, so that every scene must be looked at by itself.
    """
    if layout.scaled and "velocity" in layout.fields and "velocity" not in layout.notes.fields:
        return None
    node_ids = _ids(table.column(layout.node), layout.notes.node_ids)
    node_types = _types(table, layout, node_type)
    if node_ids is None or node_types is None:
        return None
    with np.errstate(over="ignore"):
        time = _number(table, layout.clock) / (layout.rate or 1.0)
    nodes, ascending = _nodes(time, starts)
    sizes = np.diff(starts)
    of_row = np.repeat(nodes, sizes)
    later = np.flatnonzero(np.arange(len(time)) - np.repeat(starts[:-1], sizes) >= of_row)
    before = later - of_row[later]
    positions = np.stack([_number(table, name) for name in layout.axes], axis=1)
    known = ~np.isnan(positions)
    seen = np.logical_and.reduce(known, axis=1)
    odd = known.any(axis=1) != seen
    for label in (node_ids.names[node_ids.code], node_types.code):
        odd[later] |= label[later] != label[before]
    path = Path(source.path)
    fields = {}
    for name, note in layout.fields.items():
        values = np.stack([_number(table, column) for column in note.columns], axis=1)
        if not note.per_frame:
            odd[later] |= ~((values[later] == values[before]) | (np.isnan(values[later]) & np.isnan(values[before]))).all(axis=1)
        fields[name] = Field(values, note.irreps, note.unit, note.translates)
    whole = ascending & ~np.logical_or.reduceat(odd, starts[:-1]) & _distinct(node_ids, starts[:-1], nodes)
    block = SceneBlock(
        names=names,
        starts=starts,
        nodes=nodes,
        time=time,
        positions=layout.unit.from_file(positions) if layout.scaled else positions,
        valid=seen,
        node_ids=node_ids,
        node_types=node_types,
        fields=fields,
        constant=frozenset(name for name, note in layout.fields.items() if not note.per_frame),
        unit=layout.unit,
        frame=layout.frame,
        source=source,
        partitions=layout.notes.partitions,
        connected=frozenset(layout.notes.edges),
        edges_of=lambda name, ids: layout.notes.edges_of(name, ids, path),
    )
    return block, whole


def _nodes(time: Float, starts: Int) -> tuple[Int, Flags]:
    """(S,) rows of each frame, and whether all frames of the scene have as many, and their times go forward."""
    first = np.zeros(len(time), dtype=bool)
    first[starts[:-1]] = True
    opens = first.copy()
    opens[1:] |= time[1:] != time[:-1]
    frames = np.flatnonzero(opens)
    counts = np.add.reduceat(opens.astype(np.int64), starts[:-1])
    nodes = np.maximum(np.diff(starts) // counts, 1)
    good = (np.diff(frames, append=len(time)) == np.repeat(nodes, counts)) & np.isfinite(time[frames])
    good[1:] &= first[frames[1:]] | (time[frames[1:]] > time[frames[1:] - 1])
    return nodes, np.logical_and.reduceat(good, np.cumsum(counts) - counts)


def _distinct(ids: Labels, starts: Int, nodes: Int) -> Flags:
    """(S,) whether the nodes of the first frame have different ids."""
    scene = np.repeat(np.arange(len(nodes)), nodes)
    rows = np.arange(len(scene)) - (np.cumsum(nodes) - nodes)[scene] + starts[scene]
    label = ids.names[ids.code[rows]] if ids.names.dtype.kind == "i" else ids.code[rows]
    order = np.lexsort((label, scene))
    twice = (scene[order][1:] == scene[order][:-1]) & (label[order][1:] == label[order][:-1])
    found = np.ones(len(nodes), dtype=bool)
    found[scene[order][1:][twice]] = False
    return found


def _number(table: pa.RecordBatch, name: str) -> Float:
    """A column as float64, NaN where a cell is empty."""
    found: Float = table.column(name).to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return found


def _ids(column: pa.Array, noted: str) -> Labels | None:
    """Ids of rows; None where some are missing, texts and integers are mixed, or a dictionary has numbers or a text twice."""
    entries = column.type.value_type if pa.types.is_dictionary(column.type) else None
    numbers_coded = entries is not None and (pa.types.is_integer(entries) or pa.types.is_floating(entries))
    if column.null_count or pa.types.is_floating(column.type) or numbers_coded:
        return None
    if pa.types.is_integer(column.type):
        numbers = column.to_numpy(zero_copy_only=False).astype(np.int64)
        if noted == "text":
            return None
        return Labels(numbers, np.arange(len(numbers)))
    given = encoded(column)
    texts = list(map(str, given.dictionary.to_pylist()))
    if not all(texts) or len(set(texts)) < len(texts):
        return None
    whole = [] if noted == "text" else [text for text in texts if is_integer(text)]
    if whole and (len(whole) < len(texts) or len(set(map(integer, texts))) < len(texts)):
        return None
    names = np.array([integer(text) for text in texts], dtype=np.int64) if whole else np.array(texts, dtype=str)
    return Labels(names, codes(given).astype(np.int64))


def _types(table: pa.RecordBatch, layout: Layout, node_type: str) -> Labels | None:
    """Types of rows; None where some are missing."""
    if not layout.type:
        return Labels(np.array([node_type or "node"]), np.zeros(table.num_rows, dtype=np.int64))
    column = table.column(layout.type)
    if column.null_count:
        return None
    given = encoded(column)
    return Labels(np.array(list(map(str, given.dictionary.to_pylist())), dtype=str), codes(given).astype(np.int64))
