"""Cutting windows out of rows, many at once."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from forecasting.trajectories.declared import IRREPS
from forecasting.trajectories.kinematics import backward_velocity
from forecasting.trajectories.memory_map import MemoryMap
from forecasting.trajectories.windows import Int, WindowBatch, WindowSpec


def whole_anchors(rows: MemoryMap, spec: WindowSpec, scenes: Iterable[int]) -> Int:
    """(W, 2) all (scene, grid frame) at which a whole window of `spec` fits into the scene's clock."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for scene in scenes:
        length = rows.grid_offsets[scene + 1] - rows.grid_offsets[scene]
        frames = np.arange(spec.past, length - spec.future, spec.stride)
        found.append(np.stack([np.full_like(frames, scene), frames], axis=1))
    return np.concatenate(found)


def cut_windows(rows: MemoryMap, about: Mapping[str, Mapping[str, Any]], spec: WindowSpec, anchors: Int) -> WindowBatch:
    """Cut the windows at `anchors` (W, 2).

    Histories and futures are looked up by (frame, node) in the sorted keys, so gaps stay gaps.

    Args:
        rows: the observations.
        about: field name -> irreps, translates, per_frame.
        spec: which frames, and which declared vectors.
        anchors: (W, 2) scene and grid frame.

    Raises:
        DataError: if a scene's clock is too irregular to have steps.
    """
    rows.check_clock(np.unique(anchors[:, 0]))
    frame = rows.grid_offsets[anchors[:, 0]] + anchors[:, 1]
    first = np.searchsorted(rows.key, frame * rows.node_stride)
    count = np.searchsorted(rows.key, (frame + 1) * rows.node_stride) - first
    offsets = np.concatenate([[0], np.cumsum(count)])
    window = np.repeat(np.arange(len(anchors)), count)
    row = np.arange(offsets[-1]) - offsets[window] + first[window]
    key = np.asarray(rows.key[row])
    back = np.arange(-(spec.history - 1), 1) * spec.step
    ahead = np.array(spec.horizon) * spec.step
    scene = anchors[:, 0][window]
    past_row, position_valid = rows.lookup(key, back, scene)
    future_row, future_valid = rows.lookup(key, ahead, scene)
    position = rows.position[past_row] * position_valid[..., None]
    step_time = spec.step * rows.dt[scene]
    if "velocity" in about:
        velocity = rows.fields["velocity"][past_row] * position_valid[..., None]
        velocity_valid = position_valid
    else:
        velocity, velocity_valid = backward_velocity(position, position_valid, step_time)
    if spec.score == "complete":
        whole = position_valid.all(axis=1, keepdims=True) & future_valid.all(axis=1, keepdims=True)
        future_valid = future_valid & whole
    node = key % rows.node_stride
    member = rows.node_offsets[scene] + node
    declared = {one.name: one.at(position[:, -1]) for one in spec.declared}
    extra = {}
    for name, facts in about.items():
        if name != "velocity" and name not in declared:
            extra[name] = np.asarray(rows.fields[name][row if facts["per_frame"] else member])
    edge_index, edge_type = rows.window_edges(anchors[:, 0], offsets, node)
    return WindowBatch(
        scene=anchors[:, 0],
        anchor=anchors[:, 1],
        anchor_time=np.asarray(rows.grid_time[frame]),
        lead=np.array(spec.horizon) * spec.step * rows.dt[anchors[:, 0]][:, None],
        offsets=offsets,
        node=node,
        node_type=np.asarray(rows.node_type[member]),
        position=position,
        position_valid=position_valid,
        velocity=velocity,
        velocity_valid=velocity_valid,
        future=rows.position[future_row] * future_valid[..., None],
        future_valid=future_valid,
        fields=extra | declared,
        irreps={name: about[name]["irreps"] for name in extra} | dict.fromkeys(declared, IRREPS),
        translating=frozenset(name for name in extra if about[name]["translates"]),
        edge_index=edge_index,
        edge_type=edge_type,
    )
