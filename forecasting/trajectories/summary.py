"""What is in a scene: counts, rates, gaps, axes."""

from collections import Counter
from typing import Any

import numpy as np

from forecasting.trajectories.trajectory import Trajectory


def summarize(scene: Trajectory) -> dict[str, Any]:
    """Counts, clock, gaps and extent of one scene as plain values.

    The speed is the median over observed steps [unit/s]; `heading` is the mean direction of motion per axis, whose length is 0
    for no preferred direction and 1 for a single one (the R1 of the docs, over all D axes); `missing` is the share of
    unobserved entries between each node's first and last frame.
    """
    steps = np.diff(scene.time)
    moved = np.diff(scene.positions, axis=0)[scene.valid[1:] & scene.valid[:-1]]
    took = np.broadcast_to(steps[:, None], (len(steps), len(scene.node_ids)))[scene.valid[1:] & scene.valid[:-1]]
    length = np.linalg.norm(moved, axis=-1)
    going = length > 0
    heading = (moved[going] / length[going, None]).mean(axis=0) if going.any() else np.zeros(scene.dim)
    observed = scene.positions[scene.valid]
    return {
        "scene": scene.scene,
        "format": scene.source.format,
        "frames": len(scene.time),
        "nodes": len(scene.node_ids),
        "positions": int(scene.valid.sum()),
        "node_types": dict(Counter(scene.node_types.tolist())),
        "edges": len(scene.edges),
        "fields": {name: item.irreps for name, item in scene.fields.items()},
        "unit": str(scene.unit),
        "up": scene.frame.up,
        "start": float(scene.time[0]),
        "duration": float(scene.time[-1] - scene.time[0]),
        "rate": 1 / scene.dt if scene.dt > 0 else None,
        "longest_gap": float(steps.max()) if len(steps) else None,
        "missing": _missing(scene),
        "largest_crowd": int(scene.valid.sum(axis=1).max()) if len(scene.time) else 0,
        "low": observed.min(axis=0).tolist() if len(observed) else None,
        "high": observed.max(axis=0).tolist() if len(observed) else None,
        "speed": float(np.median(length / took)) if len(length) else None,
        "heading": heading.tolist(),
        "heading_length": float(np.linalg.norm(heading)),
        "partition": scene.partition,
    }


def _missing(scene: Trajectory) -> float:
    seen = scene.valid.any(axis=0)
    first = np.argmax(scene.valid, axis=0)
    last = len(scene.time) - 1 - np.argmax(scene.valid[::-1], axis=0)
    span = (last - first + 1)[seen].sum()
    return float(1 - scene.valid.sum() / span) if span else 0.0
