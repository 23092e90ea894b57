"""Forecasts as rows of a table."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.inference.regions import Regions
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.trajectory import Frame, Source
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]


def forecast_table(
    scenes: Sequence[str],
    scene: Int,
    anchor_time: Float,
    time: Float,
    weights: Float,
    window: Int,
    positions: Float,
    nodes: tuple[Labels, Labels],
    regions: Mapping[float, Regions],
    about: tuple[Unit, Frame, Source],
) -> pa.Table:
    """One row per node, hypothesis and step: scene, anchor_time, time, step, node, type, hypothesis, weight, x, y[, z].

    With regions also `Regions.columns` of each, empty where a position has no region.

    Args:
        scenes: names; scene: (W,) which of them each window has.
        anchor_time: (W,) [s]; time: (W, H) [s]; weights: (W, K).
        window: (M,) of each node; positions: (M, K, H, D); nodes: ids and types of M nodes.
        regions: level -> regions around the positions.
        about: unit, frame and source of all, which stand in the table's metadata.
    """
    unit, frame, source = about
    node, hypothesis, step = (axis.reshape(-1) for axis in np.indices(positions.shape[:3]))
    owner = window[node]
    columns = {
        "scene": pa.array(scenes, pa.string()).take(pa.array(scene[owner])),
        "anchor_time": pa.array(anchor_time[owner]),
        "time": pa.array(time[owner, step]),
        "step": pa.array((step + 1).astype(np.int32)),
        "node": nodes[0].column(node),
        "type": nodes[1].column(node),
        "hypothesis": pa.array(hypothesis.astype(np.int32)),
        "weight": pa.array(weights[owner, hypothesis]),
    }
    for axis in range(positions.shape[-1]):
        columns["xyz"[axis]] = pa.array(positions[..., axis].reshape(-1))
    for level in sorted(regions):
        columns |= {name: pa.array(values, from_pandas=True) for name, values in regions[level].columns(level).items()}
    notes = {"unit": str(unit), "up": frame.up, "handedness": frame.handedness, "source": source.path}
    return pa.table(columns).replace_schema_metadata(notes)
