"""Bringing scenes to an even clock without looking ahead."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.trajectories.trajectory import Field, Trajectory

LONGEST_GAP = 2.0


def resample(scene: Trajectory, step: float) -> Trajectory:
    """The scene at times t0, t0 + step, …, each frame made of frames at or before its time only.

    A position is the latest observed one, moved on at the velocity of the latest two; fields keep their latest value. A node is
    missing where its latest observation is older than twice the larger of `step` and the scene's own step.

    Args:
        scene: with any increasing times.
        step: [s].

    Raises:
        UsageError: if the step is not positive or longer than the scene.
    """
    duration = scene.time[-1] - scene.time[0]
    if not 0 < step <= max(duration, np.finfo(float).tiny):
        raise UsageError(f"scene '{scene.scene}' lasts {duration:.6g} s; it cannot be resampled to steps of {step:.6g} s")
    time = scene.time[0] + step * np.arange(int(np.floor(duration / step + 1e-9)) + 1)
    latest, before = _latest(scene.valid)
    frame = np.searchsorted(scene.time, time + 1e-9 * step, side="right") - 1
    now, then = latest[frame], before[frame]
    node = np.arange(len(scene.node_ids))
    seen, twice = now >= 0, then >= 0
    age = time[:, None] - scene.time[now]
    valid = seen & (age <= LONGEST_GAP * max(step, scene.dt))
    apart = np.where(twice, scene.time[now] - scene.time[then], 1.0)
    positions = scene.positions[now, node]
    rate = np.where(twice[..., None], positions - scene.positions[then, node], 0.0) / apart[..., None]
    positions = np.where(valid[..., None], positions + rate * age[..., None], np.nan)
    fields = {
        name: replace(item, values=_carried(item, now, node, valid)) if item.per_frame else item
        for name, item in scene.fields.items()
    }
    return replace(scene, time=time, positions=positions, valid=valid, fields=fields)


def _latest(valid: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(T, N) index of the latest valid frame up to each frame, and of the one before that; −1 where there is none."""
    frames = np.where(valid, np.arange(len(valid))[:, None], -1)
    latest = np.maximum.accumulate(frames, axis=0)
    earlier = np.vstack([np.full((1, valid.shape[1]), -1), latest[:-1]])
    before = np.where(latest >= 0, np.take_along_axis(earlier, np.maximum(latest, 0), axis=0), -1)
    return latest, before


def _carried(item: Field, now: NDArray[np.int64], node: NDArray[np.int64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(valid[..., None], item.values[now, node], np.nan)
