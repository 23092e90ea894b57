"""Trajectories to rows in long form; the way back is in `long_form`."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.trajectories.formats._table_notes import field_columns
from forecasting.trajectories.trajectory import Trajectory


def rows_of(scene: Trajectory) -> pa.Table:
    """A scene in long form: scene, time, node, type, x, y[, z], fields.

    Frame by frame, an entry has a row where it is valid or a field has a value; the first frame lists every node and
    every frame has a row, so that nothing is lost.

    Raises:
        UsageError: if the scene has no frames or no nodes, or two columns would have one name.
    """
    if not scene.valid.size:
        frames, nodes = scene.valid.shape
        raise UsageError(f"scene '{scene.scene}' has {frames} frames and {nodes} nodes: no rows to write")
    keep = scene.valid.copy()
    for item in scene.fields.values():
        if item.per_frame:
            keep |= ~np.isnan(item.values).all(axis=2)
    keep[0] = True
    keep[:, 0] |= ~keep.any(axis=1)
    frame, node = np.nonzero(keep)
    ids = scene.node_ids.astype(np.int64) if scene.node_ids.dtype.kind in "iu" else scene.node_ids.astype(str)
    columns = {
        "scene": pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(frame), dtype=np.int32)), pa.array([scene.scene])),
        "time": pa.array(scene.time[frame]),
        "node": pa.array(ids[node]),
        "type": pa.DictionaryArray.from_arrays(*_categories(scene.node_types, node)),
    }
    places = np.where(scene.valid[..., None], scene.positions, np.nan)[keep]
    wanted = [(name, places[:, index]) for index, name in enumerate("xyz"[: scene.dim])]
    for name, item in scene.fields.items():
        values = item.values[keep] if item.per_frame else item.values[node]
        wanted += [(column, values[:, c]) for c, column in enumerate(field_columns(name, item.irreps, scene.dim))]
    for name, values in wanted:
        if name in columns:
            raise UsageError(f"scene '{scene.scene}' has two columns named '{name}'; rename the field, or write npz")
        columns[name] = pa.array(np.ascontiguousarray(values), from_pandas=True)
    return pa.table(columns)


def _categories(types: NDArray[np.str_], node: NDArray[np.int64]) -> tuple[pa.Array, pa.Array]:
    names, codes = np.unique(types.astype(str), return_inverse=True)
    return pa.array(codes.astype(np.int32)[node]), pa.array(names.tolist(), type=pa.string())
