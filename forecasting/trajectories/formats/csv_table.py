"""CSV in long form: one row per node and time, a header, and notes in leading ``# key: value`` lines."""

import csv
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from forecasting.errors import DataError, UsageError
from forecasting.files import atomic_file
from forecasting.trajectories.formats._layout import NUMERIC_ROLES, Layout, find_layout, looks_long
from forecasting.trajectories.formats._line_blocks import line_blocks
from forecasting.trajectories.formats._long_rows import rows_of
from forecasting.trajectories.formats._scattered import csv_scattered
from forecasting.trajectories.formats._table_notes import TableNotes
from forecasting.trajectories.formats._text import (
    Preamble,
    are_numbers,
    fault,
    first_line,
    line_of_row,
    reading_text,
    sample_lines,
    split_line,
)
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.formats.long_form import LongTable
from forecasting.trajectories.scene_block import Scenes, one_by_one
from forecasting.trajectories.trajectory import Trajectory

READ = 2 << 20
"""[bytes] read at a time."""

BLOCK = 1 << 20
"""[bytes] that one thread parses at a time."""

_NOTE = re.compile(r"^(\w+)\s*:\s*(.*)$")
_TEXT = pa.dictionary(pa.int32(), pa.string())


class CsvFormat(Format):
    """Tables with a header: scene, time or frame, node, type, x, y[, z] and further numeric columns as fields."""

    name = "csv"
    summary = "table with a header, one row per node and time: scene, time or frame, node, type, x, y[, z], fields"
    suffixes = (".csv", ".tsv")
    can_write = True

    def sniff(self, path: Path, head: bytes) -> float:
        """High where the header names x, y, a clock and a node; see `Format.sniff`."""
        preamble = Preamble.of(iter(sample_lines(head)))
        _, names = split_line(preamble.first)
        return 0.0 if are_numbers(names) else looks_long(names)

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """See `Format.read`."""
        return one_by_one(self.blocks(path, options))

    def blocks(self, path: Path, options: ReadOptions) -> Iterator[Scenes]:
        """Stream the scenes; rows of one scene stand together. See `Format.blocks`."""
        preamble = Preamble.load(path)
        notes = TableNotes.from_texts(path, dict(_notes(preamble.comments)))
        delimiter, names = split_line(preamble.first)
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{path}: line {preamble.lines + 1} names two columns '{twice}'; rename one")
        layout = find_layout(path, _kinds(path, preamble, delimiter, notes, options), notes, options)
        skip = preamble.lines + 1
        if layout.scene and csv_scattered(path, skip, delimiter, names.index(layout.scene)):
            options = replace(options, unsorted=True)
        table = LongTable(path, self.name, layout, options, lambda row: line_of_row(path, skip, row))
        yield from table.blocks(_batches(path, preamble, delimiter, layout))

    def write(self, path: Path, trajectories: Iterable[Trajectory]) -> None:
        """Write one table; unit, axes, fields, edges and partitions go to comment lines. See `Format.write`."""
        notes = None
        with atomic_file(path) as temporary, tempfile.TemporaryFile(dir=path.parent) as body:
            writer = None
            for scene in trajectories:
                notes = notes or TableNotes.of(scene)
                notes.add(scene)
                _refuse_line_breaks(scene)
                rows = rows_of(scene)
                rows = rows.cast(pa.schema([(f.name, _written(f.type)) for f in rows.schema]))
                writer = writer or pacsv.CSVWriter(body, rows.schema, write_options=pacsv.WriteOptions(quoting_style="needed"))
                writer.write(rows)
            if writer is None or notes is None:
                raise UsageError(f"{path}: there are no scenes to write")
            writer.close()
            body.seek(0)
            with temporary.open("wb") as file:
                file.write("".join(f"# {key}: {text}\n" for key, text in notes.to_texts().items()).encode())
                shutil.copyfileobj(body, file)


def _notes(comments: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for comment in comments:
        match = _NOTE.match(comment)
        if match:
            yield match[1], match[2].strip()


def _kinds(path: Path, preamble: Preamble, delimiter: str, notes: TableNotes, options: ReadOptions) -> dict[str, bool]:
    """Column name -> whether it is numeric, by the first block or because a number belongs there."""
    try:
        schema = _first_block(path, preamble, delimiter).schema
    except (pa.ArrowException, ValueError) as error:
        raise _error(path, preamble, delimiter, [], error) from None
    expected = {column for note in notes.fields.values() for column in note.columns} | set(options.columns.values())
    expected |= {name for name in schema.names if name.strip().lower() in NUMERIC_ROLES}
    return {
        field.name: pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or field.name in expected
        for field in schema
    }


def _batches(path: Path, preamble: Preamble, delimiter: str, layout: Layout) -> Iterator[pa.RecordBatch]:
    types = dict.fromkeys(layout.numeric, pa.float64())
    types |= {name: _TEXT for name in (layout.scene, layout.type) if name}
    types[layout.node] = pa.int64() if layout.notes.node_ids == "integer" else _TEXT
    names = split_line(preamble.first)[1]
    read = pacsv.ReadOptions(column_names=names, block_size=BLOCK)
    parse = pacsv.ParseOptions(delimiter=delimiter)
    convert = pacsv.ConvertOptions(column_types=types, include_columns=list(types))
    try:
        with reading_text(path):
            for block in line_blocks(path, preamble.lines + 1, READ):
                if not block.isspace():
                    yield from pacsv.read_csv(pa.BufferReader(block), read, parse, convert).to_batches()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _error(path, preamble, delimiter, list(layout.numeric), error) from None


def _first_block(path: Path, preamble: Preamble, delimiter: str) -> pacsv.CSVStreamingReader:
    with reading_text(path):
        return pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(skip_rows=preamble.lines, block_size=BLOCK),
            parse_options=pacsv.ParseOptions(delimiter=delimiter),
        )


def _error(path: Path, preamble: Preamble, delimiter: str, numeric: list[str], error: Exception) -> DataError:
    names = split_line(preamble.first)[1]
    columns = [names.index(name) for name in numeric]
    found = fault(path, preamble.lines + 1, lambda line: next(csv.reader([line], delimiter=delimiter), []), len(names), columns)
    return DataError(found or f"{path}: not a table ({first_line(error)})")


def _written(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _refuse_line_breaks(scene: Trajectory) -> None:
    for text in (scene.scene, *scene.node_ids.tolist(), *scene.node_types.tolist()):
        if isinstance(text, str) and ("\n" in text or "\r" in text):
            raise UsageError(f"scene '{scene.scene}': the name {text!r} has a line break, which no CSV can hold; write parquet")


FORMATS.register(CsvFormat.name)(CsvFormat())
