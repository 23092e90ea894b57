"""Shared by formats of the sky and of sports: states with velocities, and coordinates that a format computes in metres."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats.base import ReadOptions
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory
from forecasting.trajectories.units import Unit


def state_scene(
    scene: str,
    time: NDArray[np.float64],
    states: NDArray[np.float64],
    ids: NDArray[Any],
    *,
    node_type: str,
    unit: Unit,
    frame: Frame,
    source: Source,
) -> Trajectory:
    """A scene of positions and measured velocities.

    Args:
        scene: its name.
        time: (T,) [s].
        states: (T, N, 6) x, y, z, vx, vy, vz in the file's length unit, velocities per second; NaN where missing.
        ids: (N,) of the nodes.
        node_type, unit, frame, source: as in `Trajectory`; `unit` also scales the velocities.
    """
    positions = unit.from_file(states[..., :3])
    valid = observed(positions)
    velocities = np.ascontiguousarray(unit.from_file(states[..., 3:]))
    return Trajectory(
        scene=scene,
        time=time,
        positions=np.where(valid[..., None], positions, np.nan),
        valid=valid,
        node_ids=ids,
        node_types=np.full(len(ids), node_type),
        unit=unit,
        frame=frame,
        fields={"velocity": Field(velocities, "1o", f"{unit.name}/s")},
        source=source,
    )


def metres_only(path: Path, options: ReadOptions) -> Unit:
    """The metre, for coordinates that are computed and not taken from the file.

    Raises:
        UsageError: if the user says another unit.
    """
    if options.unit not in ("", "m"):
        raise UsageError(f"{path}: coordinates of this format are computed in m, found --unit {options.unit}; leave it out")
    return Unit("m")
