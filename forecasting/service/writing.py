"""Answers of `/predict` and `/diagnose` as JSON and as Arrow."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from forecasting.inference.forecasts import ForecastBatch
from forecasting.inference.regions import Interval
from forecasting.service.jobs import Job
from forecasting.service.problems import Problem
from forecasting.service.shelf import Served

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


def predicted_json(job: Job, served: Served) -> bytes:
    """The forecasts of a finished job, one after the other so that other threads get their turns."""
    forecasts = b",".join(to_json(one) for batch in job.batches for one in _forecasts(batch, job.interval))
    residuals = b"" if job.residual is None else b',"residuals":' + to_json(job.residuals)
    return b'{"package":' + to_json(served.address) + b',"forecasts":[' + forecasts + b"]" + residuals + b"}"


def predicted_arrow(job: Job, served: Served) -> bytes:
    """The same as the rows of `ForecastBatch.to_table`, an IPC stream; package and residuals stand in its metadata.

    Raises:
        Problem: 422 if the scenes do not share one schema.
    """
    tables = [batch.to_table() for batch in job.batches]
    notes = {**(tables[0].schema.metadata or {}), b"package": served.address.encode()}
    if job.residual is not None:
        notes[b"residuals"] = json.dumps(job.residuals).encode()
    try:
        whole = pa.concat_tables([table.replace_schema_metadata(None) for table in tables]).replace_schema_metadata(notes)
    except pa.ArrowInvalid:
        raise Problem(
            422, "node ids are integers in one scene and strings in another, which no table can hold; ask for JSON"
        ) from None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    return sink.getvalue().to_pybytes()


def diagnosed_json(job: Job, served: Served) -> bytes:
    """The residuals of a finished job, beside the package's symmetry card."""
    card = served.package.symmetry
    plain = {"package": served.address, "residuals": job.residuals, "symmetry": None if card is None else dict(card)}
    return json.dumps(plain, allow_nan=False).encode()


def _forecasts(batch: ForecastBatch, interval: Interval | None) -> Iterator[dict[str, Any]]:
    unit, up, hand = str(batch.unit), batch.frame.up, batch.frame.handedness
    ids, kinds = batch.node_ids.values.tolist(), batch.node_types.values.tolist()
    offsets = batch.offsets.tolist()
    times, weights, moments = batch.time.tolist(), batch.weights.tolist(), batch.anchor_time.tolist()
    for window, scene in enumerate(batch.scene.tolist()):
        first, last = offsets[window], offsets[window + 1]
        said = {
            "scene": batch.names[scene],
            "anchor_time": moments[window],
            "time": times[window],
            "node_ids": ids[first:last],
            "node_types": kinds[first:last],
            "anchor": batch.anchor[first:last].tolist(),
            "positions": batch.positions[first:last].tolist(),
            "weights": weights[window],
            "unit": unit,
            "up": up,
            "handedness": hand,
        }
        if interval is not None:
            (regions,) = (batch.regions[level][slice(first, last)] for level in interval.levels)
            shape = None if regions.shape is None else regions.shape.tolist()
            about = {"level": interval.levels[0], "joint": interval.joint}
            said["interval"] = {**about, "radius": regions.radius.tolist(), "shape": shape}
        yield said
