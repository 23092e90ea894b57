"""Parquet in long form: the columns of the CSV, with the notes in the metadata of the file."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import DataError, UsageError
from forecasting.files import atomic_file
from forecasting.trajectories.formats._layout import find_layout, looks_long
from forecasting.trajectories.formats._long_rows import rows_of
from forecasting.trajectories.formats._scattered import parquet_scattered
from forecasting.trajectories.formats._table_notes import TableNotes
from forecasting.trajectories.formats._text import first_line
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.formats.long_form import LongTable
from forecasting.trajectories.scene_block import Scenes, one_by_one
from forecasting.trajectories.trajectory import Trajectory

MAGIC = b"PAR1"
KEY = b"forecasting"
ROW_GROUP = 1 << 17
BATCH = 1 << 16


class ParquetFormat(Format):
    """Tables with the columns scene, time or frame, node, type, x, y[, z] and numeric fields."""

    name = "parquet"
    summary = "the columns of csv in a Parquet file; unit, axes, fields and edges in its metadata"
    suffixes = (".parquet", ".pq")
    can_write = True

    def sniff(self, path: Path, head: bytes) -> float:
        """By its magic, higher where the columns have our names; see `Format.sniff`."""
        if not head.startswith(MAGIC):
            return 0.0
        try:
            return max(0.4, looks_long(pq.read_schema(path).names))
        except (pa.ArrowException, OSError):
            return 0.4

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """See `Format.read`."""
        return one_by_one(self.blocks(path, options))

    def blocks(self, path: Path, options: ReadOptions) -> Iterator[Scenes]:
        """Stream the scenes, some row groups at a time; see `Format.blocks`."""
        schema, texts = _about(path)
        if len(set(schema.names)) < len(schema.names):
            raise DataError(f"{path}: two columns have one name among {', '.join(schema.names)}; rename one")
        notes = TableNotes.from_texts(path, texts)
        numeric = {field.name: pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in schema}
        layout = find_layout(path, numeric, notes, options)
        labels = [name for name in (layout.scene, layout.node, layout.type) if name]
        if layout.scene and _scattered(path, layout.scene):
            options = replace(options, unsorted=True)
        table = LongTable(path, self.name, layout, options, lambda row: f"row {row + 1}")
        yield from table.blocks(_batches(path, schema, labels, [*labels, *layout.numeric]))

    def write(self, path: Path, trajectories: Iterable[Trajectory]) -> None:
        """Write one table in row groups of whole scenes; see `Format.write`."""
        notes, writer = None, None
        with atomic_file(path) as temporary:
            for tables, shared in _groups(trajectories):
                notes = shared
                rows = pa.concat_tables(tables).unify_dictionaries()
                writer = writer or _writer(temporary, rows.schema)
                writer.write_table(rows, row_group_size=len(rows))
            if writer is None or notes is None:
                raise UsageError(f"{path}: there are no scenes to write")
            writer.add_key_value_metadata({KEY: json.dumps(notes.to_texts()).encode()})
            writer.close()


def _about(path: Path) -> tuple[pa.Schema, dict[str, str]]:
    with _reading(path), pq.ParquetFile(path) as file:
        raw = json.loads((file.metadata.metadata or {}).get(KEY, b"{}"))
        schema = file.schema_arrow
    return schema, raw if isinstance(raw, dict) else {}


def _scattered(path: Path, scene: str) -> bool:
    with _reading(path):
        return parquet_scattered(path, scene)


def _batches(path: Path, schema: pa.Schema, labels: list[str], columns: list[str]) -> Iterator[pa.RecordBatch]:
    texts = [name for name in labels if _is_text(schema.field(name).type)]
    with _reading(path), pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=BATCH, columns=columns, use_threads=False)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: damaged or not a Parquet file ({first_line(error)}); write it again") from None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _groups(trajectories: Iterable[Trajectory]) -> Iterator[tuple[list[pa.Table], TableNotes]]:
    notes, tables, count = None, list[pa.Table](), 0
    for scene in trajectories:
        notes = notes or TableNotes.of(scene)
        notes.add(scene)
        tables.append(rows_of(scene))
        count += len(tables[-1])
        if count >= ROW_GROUP:
            yield tables, notes
            tables, count = [], 0
    if tables and notes:
        yield tables, notes


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    labels = {"scene", "time", "node", "type"}
    values: dict[str, Any] = {field.name: "BYTE_STREAM_SPLIT" for field in schema if field.name not in labels}
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=sorted(labels), column_encoding=values)


FORMATS.register(ParquetFormat.name)(ParquetFormat())
