"""Scenes as one Arrow table in memory, and back: the columns and notes of the format parquet, without a file."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from forecasting.errors import DataError, UsageError
from forecasting.trajectories.formats._layout import find_layout
from forecasting.trajectories.formats._long_rows import rows_of
from forecasting.trajectories.formats._table_notes import JSON_KEYS, TEXT_KEYS, TableNotes
from forecasting.trajectories.formats.base import ReadOptions
from forecasting.trajectories.formats.long_form import LongTable
from forecasting.trajectories.scene_block import Scenes, one_by_one
from forecasting.trajectories.trajectory import Trajectory

KEY = b"forecasting"
FORMAT = "arrow"


def table_of(scenes: Iterable[Trajectory]) -> pa.Table:
    """Scenes of one unit, frame and set of fields as rows, with what else is known of them in the metadata.

    Raises:
        UsageError: if there are none, or one table cannot hold them.
    """
    notes, tables = None, list[pa.Table]()
    for scene in scenes:
        notes = notes or TableNotes.of(scene)
        notes.add(scene)
        tables.append(rows_of(scene))
    if notes is None:
        raise UsageError("there are no scenes to make a table of")
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    return table.replace_schema_metadata({KEY: json.dumps(notes.to_texts()).encode()})


def scenes_of_table(table: pa.Table, name: str, options: ReadOptions) -> Iterator[Trajectory]:
    """The scenes of a table, one after the other; see `blocks_of_table`."""
    return one_by_one(blocks_of_table(table, name, options))


def blocks_of_table(table: pa.Table, name: str, options: ReadOptions) -> Iterator[Scenes]:
    """The scenes of a table whose rows stand together by scene.

    Args:
        table: columns as in the format csv; its metadata may hold the notes of `table_of`, or ``unit``, ``up`` … by themselves.
        name: for messages.
        options: what is said about it.

    Raises:
        DataError: if a column is missing or a row cannot stand; UsageError: if unit or up axis are said by nobody.
    """
    path = Path(name)
    if len(set(table.schema.names)) < len(table.schema.names):
        raise DataError(f"{name}: two columns have one name among {', '.join(table.schema.names)}; rename one")
    notes = TableNotes.from_texts(path, _texts(table.schema.metadata or {}, name))
    numeric = {field.name: pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in table.schema}
    layout = find_layout(path, numeric, notes, options)
    wanted = [column for column in (layout.scene, layout.node, layout.type, *layout.numeric) if column]
    chosen = table.select(list(dict.fromkeys(wanted))).unify_dictionaries().combine_chunks()
    yield from LongTable(path, FORMAT, layout, options, lambda row: f"row {row + 1}").blocks(chosen.to_batches())


def _texts(metadata: dict[bytes, bytes], name: str) -> dict[str, str]:
    try:
        if KEY in metadata:
            found = json.loads(metadata[KEY])
            return {str(key): str(value) for key, value in found.items()}
        known = {key.encode() for key in (*TEXT_KEYS, *JSON_KEYS)}
        return {key.decode(): metadata[key].decode() for key in known & metadata.keys()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: its metadata are damaged ({error}); write them again") from None
