"""Scenarios of the Argoverse 2 motion forecasting data: Parquet, one row per track and timestep."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forecasting.errors import DataError, UsageError
from forecasting.files import atomic_file
from forecasting.trajectories.formats._future import Future, require_planar_metres
from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.formats._table_notes import FieldNote, TableNotes
from forecasting.trajectories.formats._text import first_line
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.formats.long_form import LongTable
from forecasting.trajectories.trajectory import Source, Trajectory

RATE = 10.0
MAGIC = b"PAR1"
NUMBERS = ("object_category", "timestep", "position_x", "position_y", "heading", "velocity_x", "velocity_y")
TEXTS = ("track_id", "object_type", "scenario_id")
ABOUT = ("focal_track_id", "city", "num_timestamps", "start_timestamp", "end_timestamp", "map_id", "slice_id")
"""Columns with one value per scenario, kept in the source; those from `start_timestamp` on may be absent."""

REQUIRED = {*NUMBERS, *TEXTS, "observed", *ABOUT[:3]}
MARKS = {"scenario_id", "track_id", "object_type", "timestep", "position_x", "position_y", "num_timestamps"}
BATCH = 1 << 16
SUBMISSION = pa.schema(
    [
        ("scenario_id", pa.string()),
        ("track_id", pa.string()),
        ("probability", pa.float64()),
        ("predicted_trajectory_x", pa.list_(pa.float64())),
        ("predicted_trajectory_y", pa.list_(pa.float64())),
    ]
)


class Argoverse2Format(Format):
    """Planar metres at 10/s, one scene per ``scenario_id``; its track ids stay texts, its types are ``object_type``.

    Fields: ``velocity`` [m/s], ``heading`` as the unit vector (cos, sin), ``observed`` (1 in the past that a forecaster may
    see, 0 in its future), and ``category``, constant per track: 0 fragment, 1 unscored, 2 scored, 3 focal. The focal track,
    the city, the number of timesteps and the time stamps [ns, rounded by the file itself] go to ``source.options``.
    The map beside a scenario is not read.
    """

    name = "argoverse2"
    summary = "Argoverse 2 motion forecasting scenario (Parquet): metres, 10 frames/s, velocity and heading as fields"
    suffixes = (".parquet",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Nearly certain by the names of its columns; see `Format.sniff`."""
        if not head.startswith(MAGIC):
            return 0.0
        try:
            return 0.97 if set(pq.read_schema(path).names) >= MARKS else 0.0
        except (pa.ArrowException, OSError, ValueError):
            return 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Stream the scenarios, as a rule one per file; see `Format.read`."""
        unit = options.resolve_unit(path, 2, "m")
        layout = Layout(
            scene="scenario_id",
            clock="timestep",
            rate=options.resolve_rate(path, RATE),
            node="track_id",
            type="object_type",
            axes=("position_x", "position_y"),
            fields={
                "velocity": FieldNote(("velocity_x", "velocity_y"), "1o", f"{unit.name}/s", False, True),
                "heading": FieldNote(("heading_x", "heading_y"), "1o", "", False, True),
                "category": FieldNote(("object_category",), "0e", "", False, False),
                "observed": FieldNote(("observed",), "0e", "", False, True),
            },
            unit=unit,
            frame=options.resolve_frame(path, 2),
            scaled=bool(unit.per_axis),
            notes=TableNotes(node_ids="text"),
        )
        about: dict[str, dict[str, Any]] = {}
        table = LongTable(path, self.name, layout, options, lambda row: f"row {row + 1}")
        for scene in table.scenes(_batches(path, about)):
            said = about.pop(scene.scene)
            _check_length(path, scene, said)
            yield replace(scene, source=Source(str(path), self.name, {**scene.source.options, **said}))

    def write_forecasts(self, path: Path, forecasts: Iterable[Future]) -> dict[str, int]:
        """Write a submission to the Argoverse 2 challenge: one row per track and hypothesis, probabilities summing to 1.

        Of a scenario whose focal track is known and was forecast, that track alone; else every track.

        Args:
            path: Parquet file with the columns scenario_id, track_id, probability, predicted_trajectory_x and _y.
            forecasts: of scenarios, one each.

        Returns:
            counts of forecasts and rows.

        Raises:
            UsageError: if there are none, a scenario is forecast twice, or one is not planar, finite and in metres.
        """
        seen: set[str] = set()
        rows = 0
        with atomic_file(path) as temporary, pq.ParquetWriter(temporary, SUBMISSION, compression="zstd") as writer:
            for forecast in forecasts:
                if forecast.scene in seen:
                    raise UsageError(
                        f"{path}: scenario '{forecast.scene}' is forecast from a second time; a submission holds one forecast "
                        "per scenario: choose one anchor"
                    )
                seen.add(forecast.scene)
                batch = _submission(forecast)
                writer.write_batch(batch)
                rows += batch.num_rows
            if not seen:
                raise UsageError(f"{path}: there are no forecasts to write")
        return {"forecasts": len(seen), "rows": rows}


def _batches(path: Path, about: dict[str, dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    """Rows with the heading as a vector; fills `about` with what each scenario says of itself, before its rows."""
    try:
        with pq.ParquetFile(path, read_dictionary=list(TEXTS), pre_buffer=False) as file:
            present = _check_columns(path, file)
            columns = [*NUMBERS, *TEXTS, "observed", *present]
            for batch in file.iter_batches(batch_size=BATCH, columns=columns):
                _note(path, batch.select(["scenario_id", *present]), about)
                yield _with_vectors(batch)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: damaged or not a Parquet file ({first_line(error)}); fetch it again") from None


def _check_columns(path: Path, file: pq.ParquetFile) -> list[str]:
    """The columns of `ABOUT` that are there.

    Raises:
        DataError: if a column is missing, stands twice or holds something else, or there are more rows than bytes.
    """
    schema = file.schema_arrow
    missing = sorted(REQUIRED - set(schema.names))
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}, which an Argoverse 2 scenario has; choose another --format")
    if len(set(schema.names)) < len(schema.names):
        raise DataError(f"{path}: two columns have one name among {', '.join(schema.names)}; remove one")
    expected = {
        "numbers": (NUMBERS, lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind)),
        "texts": (TEXTS, lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind)),
        "true or false": (("observed",), pa.types.is_boolean),
    }
    for what, (names, fits) in expected.items():
        for name in names:
            kind = schema.field(name).type
            if not fits(kind.value_type if pa.types.is_dictionary(kind) else kind):
                raise DataError(f"{path}: column '{name}' holds {kind}, expected {what}; fetch the file again")
    if file.metadata.num_rows > path.stat().st_size:
        raise DataError(f"{path}: it claims {file.metadata.num_rows} rows in {path.stat().st_size} bytes; fetch it again")
    return [name for name in ABOUT if name in schema.names]


def _note(path: Path, batch: pa.RecordBatch, about: dict[str, dict[str, Any]]) -> None:
    names = batch.schema.names
    different = pa.Table.from_batches([batch]).group_by(names, use_threads=False).aggregate([])
    for row in different.to_pylist():
        scenario = str(row.pop("scenario_id"))
        for name, value in about.setdefault(scenario, row).items():
            if row[name] != value:
                raise DataError(
                    f"{path}: scenario '{scenario}' has {name} {value} in one row and {row[name]} in another, expected one "
                    "value; fetch the file again"
                )


def _with_vectors(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = {name: batch.column(name) for name in (*NUMBERS, *TEXTS)}
    angle = columns.pop("heading").to_numpy(zero_copy_only=False).astype(np.float64)
    with np.errstate(invalid="ignore"):
        columns |= {"heading_x": pa.array(np.cos(angle)), "heading_y": pa.array(np.sin(angle))}
    columns["observed"] = pc.cast(batch.column("observed"), pa.float64())
    return pa.record_batch(columns)


def _check_length(path: Path, scene: Trajectory, said: dict[str, Any]) -> None:
    """Compare the number of timesteps; a scenario of the test set may end with its observed past."""
    claimed = said["num_timestamps"]
    rate = scene.source.options["rate"]
    first, last = round(scene.time[0] * rate), round(scene.time[-1] * rate)
    future = bool((scene.fields["observed"].values == 0).any())
    if not isinstance(claimed, int) or first < 0 or last >= claimed or (future and last < claimed - 1):
        raise DataError(
            f"{path}: scenario '{scene.scene}' has the timesteps {first} to {last}, but says num_timestamps {claimed}; the "
            "file is damaged or cut: fetch it again"
        )


def _submission(forecast: Future) -> pa.RecordBatch:
    nodes, hypotheses, steps, dim = forecast.positions.shape
    require_planar_metres(forecast.scene, dim, forecast.unit, "an Argoverse 2 submission")
    ids = forecast.node_ids.astype(str)
    focal = ids == str(forecast.source.options.get("focal_track_id", ""))
    chosen = np.flatnonzero(focal) if focal.any() else np.arange(nodes)
    positions = forecast.positions[chosen]
    total = forecast.weights.sum()
    if not np.isfinite(positions).all() or not (np.isfinite(total) and total > 0):
        raise UsageError(f"scene '{forecast.scene}': the forecast is not finite everywhere; a submission must be")
    rows = len(chosen) * hypotheses
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * steps)
    x, y = (pa.ListArray.from_arrays(offsets, pa.array(positions[..., axis].reshape(-1))) for axis in range(2))
    tracks = chain.from_iterable([name] * hypotheses for name in ids[chosen].tolist())
    probability = np.tile(forecast.weights / total, len(chosen))
    return pa.record_batch(
        [pa.array([forecast.scene] * rows), pa.array(list(tracks)), pa.array(probability), x, y], schema=SUBMISSION
    )


FORMATS.register(Argoverse2Format.name)(Argoverse2Format())
