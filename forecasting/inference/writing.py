"""Forecasts to one file, streamed: a Parquet table, or a format of trajectories."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.background import WriteBehind
from forecasting.errors import DataError
from forecasting.files import atomic_file
from forecasting.inference.forecast import Forecast
from forecasting.inference.forecasts import ForecastBatch
from forecasting.trajectories.formats import FORMATS
from forecasting.trajectories.reading import writer_for

ROWS_PER_GROUP = 262_144
_METADATA = ("unit", "up", "handedness")
TABLES = (".parquet", ".pq")


NOTHING = "there is nothing to forecast: no scene has a node at its last frame and a whole history"


def write_forecasts(
    forecasts: Iterable[Forecast | ForecastBatch],
    path: str | Path,
    format: str = "",
    *,
    progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Write forecasts as they come, with bounded memory; the file appears only when all are written.

    Args:
        forecasts: to write, one by one or in batches, which is faster.
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
        return write_table(counted, path)
    single = chain.from_iterable(item if isinstance(item, ForecastBatch) else (item,) for item in counted)
    first = next(single, None)
    if first is None:
        raise DataError(NOTHING)
    member = FORMATS[first.source.format if format == "same" else format] if format else writer_for(path)
    return member.write_forecasts(path, chain([first], single))


def write_table(forecasts: Iterable[Forecast | ForecastBatch], path: Path) -> dict[str, int]:
    """Write one Parquet table; see `write_forecasts`."""
    with atomic_file(path) as temporary:
        with TableWriter(temporary) as writer:
            for item in forecasts:
                writer.add(item)
        if not writer.counts["forecasts"]:
            raise DataError(NOTHING)
    return writer.counts


class TableWriter:
    """A Parquet table of forecasts, which another thread makes and writes; use it in a ``with`` block.

    Columns of numbers that repeat are kept as dictionaries and coordinates byte by byte, which is half the time of the defaults.

    Args:
        path: to write.

    Attributes:
        counts: of forecasts and rows added so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts = {"forecasts": 0, "rows": 0}
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._behind = WriteBehind()

    def add(self, item: Forecast | ForecastBatch) -> None:
        """Add one forecast or many.

        Raises:
            DataError: if they differ from earlier ones in dimension, unit, frame or kind of id (raised now or later).
        """
        self.counts["forecasts"] += len(item) if isinstance(item, ForecastBatch) else 1
        self.counts["rows"] += item.positions[..., 0].size
        self._behind.do(self._take, item)

    def __enter__(self) -> Self:
        self._behind.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._behind.do(self._flush)
            self._behind.__exit__(kind, error, trace)
        finally:
            if self._writer is not None:
                self._writer.close()

    def _take(self, item: Forecast | ForecastBatch) -> None:
        table = item.to_table()
        table = table.replace_schema_metadata(_notes(table.schema))
        if self._writer is None:
            self._writer = _writer(self.path, table.schema)
        elif not table.schema.equals(self._writer.schema) or _notes(table.schema) != _notes(self._writer.schema):
            scene = item[0].scene if isinstance(item, ForecastBatch) else item.scene
            raise DataError(
                f"scene '{scene}' differs from the ones before it in dimension, unit, frame or kind of id "
                f"({_notes(table.schema)} after {_notes(self._writer.schema)}); predict such files one by one"
            )
        self._waiting.append(table)
        if sum(part.num_rows for part in self._waiting) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._writer is not None and self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=ROWS_PER_GROUP)
        self._waiting = []


def _counted(
    forecasts: Iterable[Forecast | ForecastBatch], progress: Callable[[int], None]
) -> Iterator[Forecast | ForecastBatch]:
    count = 0
    for item in forecasts:
        yield item
        count += len(item) if isinstance(item, ForecastBatch) else 1
        progress(count)


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    repeated = ("scene", "anchor_time", "time", "step", "node", "type", "hypothesis", "weight")
    values = {field.name: "BYTE_STREAM_SPLIT" for field in schema if field.name not in repeated}
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=list(repeated), column_encoding=values)


def _notes(schema: pa.Schema) -> dict[str, str]:
    found = schema.metadata or {}
    return {key: found[key.encode()].decode() for key in _METADATA if key.encode() in found}
