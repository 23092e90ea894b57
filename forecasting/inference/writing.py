"""Forecasts to one Parquet file, streamed."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import DataError
from forecasting.files import atomic_file
from forecasting.inference.forecast import Forecast

ROWS_PER_GROUP = 262_144
_METADATA = ("unit", "up", "handedness")


def write_forecasts(
    forecasts: Iterable[Forecast], path: str | Path, *, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Write forecasts as they come, with bounded memory; the file appears only when all are written.

    Args:
        forecasts: of scenes with the same dimension, unit and frame.
        path: Parquet file; see `Forecast.to_table` for its columns.
        progress: called with the number of forecasts done.

    Returns:
        counts of forecasts and rows.

    Raises:
        DataError: if there is nothing to forecast, or scenes differ in dimension, unit, frame or kind of id.
    """
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
                if progress:
                    progress(count)
            if writer is None:
                raise DataError("there is nothing to forecast: no scene has a node at its last frame and a whole history")
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
        finally:
            if writer is not None:
                writer.close()
    return {"forecasts": count, "rows": rows}


def _notes(schema: pa.Schema) -> dict[str, str]:
    found = schema.metadata or {}
    return {key: found[key.encode()].decode() for key in _METADATA if key.encode() in found}
