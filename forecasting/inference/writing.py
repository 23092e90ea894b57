"""Forecasts to one file, streamed: a Parquet table, or a format of trajectories."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import DataError
from forecasting.files import atomic_file
from forecasting.inference.forecast import Forecast
from forecasting.trajectories.formats import FORMATS
from forecasting.trajectories.reading import writer_for

ROWS_PER_GROUP = 262_144
_METADATA = ("unit", "up", "handedness")
TABLES = (".parquet", ".pq")


NOTHING = "there is nothing to forecast: no scene has a node at its last frame and a whole history"


def write_forecasts(
    forecasts: Iterable[Forecast], path: str | Path, format: str = "", *, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Write forecasts as they come, with bounded memory; the file appears only when all are written.

    Args:
        forecasts: to write.
        path: file to write; without a format, its ending chooses: a Parquet table with one row per node, hypothesis and step
            (see `Forecast.to_table`), or a format of trajectories.
        format: name of a format of trajectories, or ``same`` for that of the file that the first scene came from; see
            `Format.write_forecasts`.
        progress: called with the number of forecasts done.

    Returns:
        counts of forecasts and rows.

    Raises:
        DataError: if there is nothing to forecast, or, in one table, scenes differ in dimension, unit, frame or kind of id.
        UsageError: if the format cannot be written, or cannot hold them.
    """
    path = Path(path)
    counted = _counted(forecasts, progress or (lambda count: None))
    if not format and path.suffix in TABLES:
        return _write_table(counted, path)
    first = next(counted, None)
    if first is None:
        raise DataError(NOTHING)
    member = FORMATS[first.source.format if format == "same" else format] if format else writer_for(path)
    return member.write_forecasts(path, chain([first], counted))


def _counted(forecasts: Iterable[Forecast], progress: Callable[[int], None]) -> Iterator[Forecast]:
    for count, forecast in enumerate(forecasts, start=1):
        yield forecast
        progress(count)


def _write_table(forecasts: Iterable[Forecast], path: Path) -> dict[str, int]:
    count = rows = 0
    waiting: list[pa.Table] = []
    with atomic_file(path) as temporary:
        writer: pq.ParquetWriter | None = None
        schema: pa.Schema | None = None
        try:
            for forecast in forecasts:
                table = forecast.to_table()
                table = table.replace_schema_metadata(_notes(table.schema))
                if schema is None or writer is None:
                    schema = table.schema
                    writer = pq.ParquetWriter(temporary, schema, compression="zstd")
                elif not table.schema.equals(schema) or _notes(table.schema) != _notes(schema):
                    raise DataError(
                        f"scene '{forecast.scene}' differs from the ones before it in dimension, unit, frame or kind of id "
                        f"({_notes(table.schema)} after {_notes(schema)}); predict such files one by one"
                    )
                waiting.append(table)
                count, rows = count + 1, rows + table.num_rows
                if sum(part.num_rows for part in waiting) >= ROWS_PER_GROUP:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            if writer is None:
                raise DataError(NOTHING)
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
        finally:
            if writer is not None:
                writer.close()
    return {"forecasts": count, "rows": rows}


def _notes(schema: pa.Schema) -> dict[str, str]:
    found = schema.metadata or {}
    return {key: found[key.encode()].decode() for key in _METADATA if key.encode() in found}
