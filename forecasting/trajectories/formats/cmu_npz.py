"""The CMU motion capture benchmark as plain arrays: (T, joints, 3) per trial, the bones and the joint names."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._arrays import ArrayArchive, archive_headers, as_numbers, observed
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Frame, Source, Trajectory

RATE = 120.0
UNIT = "asf"
"""Length unit of the skeleton files: 1 asf = 0.056444 m. Kept as it is, so that errors compare with published ones."""

_TRIAL = re.compile(r"X_(\d+)")
_PARTITIONS = {"train": "train", "val": "validation", "test": "test"}


class CmuNpzFormat(Format):
    """Arrays ``X_00``, ``X_01`` … with ``edges`` (child, parent) and ``joint_names``.

    Where ``motion_NAME.npz`` has a ``split_NAME.npz`` beside it, trials get the partition that it publishes.
    """

    name = "cmu_npz"
    summary = "CMU motion capture as npz: X_00, X_01 … (T, joints, 3), edges, joint_names; 120 frames/s, y up"
    suffixes = (".npz",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Nearly certain by the names of its arrays; see `Format.sniff`."""
        names = archive_headers(path, head) or {}
        return 0.95 if {"edges", "joint_names"} <= set(names) and any(map(_TRIAL.fullmatch, names)) else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield one scene per trial, named ``00``, ``01`` …; see `Format.read`."""
        with ArrayArchive(path) as archive:
            joints, edges = archive.load("joint_names"), archive.load("edges")
            if joints.ndim != 1 or joints.dtype.kind != "U":
                raise DataError(f"{path}: 'joint_names' is {joints.dtype} of shape {joints.shape}, expected a list of texts")
            if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu" or not _inside(edges, len(joints)):
                raise DataError(f"{path}: 'edges' are {edges.dtype} {edges.shape}, expected pairs of joints 0..{len(joints) - 1}")
            trials = sorted(match[1] for match in map(_TRIAL.fullmatch, archive.names) if match)
            partitions = _published_split(path)
            for trial in trials:
                positions = as_numbers(archive.load(f"X_{trial}"), path, f"X_{trial}")
                if positions.ndim != 3 or positions.shape[1:] != (len(joints), 3):
                    raise DataError(f"{path}: X_{trial} has shape {positions.shape}, expected (frames, {len(joints)}, 3)")
                partition = partitions.get(int(trial), "")
                yield _scene(path, trial, positions, options, joints=joints, edges=edges, partition=partition)


def _scene(
    path: Path,
    trial: str,
    positions: NDArray[np.float64],
    options: ReadOptions,
    *,
    joints: NDArray[np.str_],
    edges: NDArray[np.int64],
    partition: str,
) -> Trajectory:
    rate, unit = options.resolve_rate(path, RATE), options.resolve_unit(path, 3, UNIT)
    valid = observed(positions)
    return Trajectory(
        scene=trial,
        time=np.arange(len(positions)) / rate,
        positions=np.where(valid[..., None], unit.from_file(positions), np.nan),
        valid=valid,
        node_ids=joints,
        node_types=np.full(len(joints), options.node_type or "joint"),
        unit=unit,
        frame=Frame(options.resolve_frame(path, 3, "+y").up),
        edges=edges.astype(np.int64),
        edge_types=np.full(len(edges), "bone"),
        source=Source(str(path), "cmu_npz", {"rate": rate}),
        partition=partition,
    )


def _published_split(path: Path) -> dict[int, str]:
    """Trial -> partition from the split file beside a motion file; empty where there is none."""
    beside = path.with_name(path.name.replace("motion", "split"))
    if beside == path or not beside.is_file():
        return {}
    with ArrayArchive(beside) as archive:
        names = {short: f"{short}_case_ids" for short in _PARTITIONS}
        return {
            int(case): _PARTITIONS[short]
            for short, name in names.items()
            if name in archive
            for case in as_numbers(archive.load(name), beside, name).ravel()
        }


def _inside(edges: NDArray[np.int64], nodes: int) -> bool:
    return not edges.size or bool(edges.min() >= 0 and edges.max() < nodes)


FORMATS.register(CmuNpzFormat.name)(CmuNpzFormat())
