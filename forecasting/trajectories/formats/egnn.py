"""Simulated bodies as published with EGNN and used by EqMotion: loc_*.npy (S, T, D, N), vel_*.npy, charges_*.npy."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._arrays import (
    NPY_MAGIC,
    ArrayArchive,
    archive_headers,
    as_numbers,
    load_npy,
    observed,
    reading_errors,
)
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Field, Source, Trajectory

RATE = 10.0
"""[frames/s] of the small sets: every 100th step of 1e-3 is saved."""

UNIT = "unitless"
_NAME = re.compile(r"loc_(?P<partition>train|valid|test)(?P<rest>.*)\.npy")
_PARTITIONS = {"train": "train", "valid": "validation", "test": "test"}


class EgnnFormat(Format):
    """A folder of such sets, one ``loc_*.npy`` of it, or an npz with the arrays loc, vel and charges.

    One scene per simulation, with the field ``velocity`` and, where the set has it, ``charge``. The ``edges_*`` files
    of charged sets are products of charges and are not read; those of springs become edges.
    """

    name = "egnn"
    summary = "EGNN and EqMotion sets: loc_train*.npy (S, T, D, N) with vel_* and charges_*; a folder, a file, or one npz"
    suffixes = (".npy", ".npz")

    def sniff(self, path: Path, head: bytes) -> float:
        """Nearly certain by the names of files or arrays; see `Format.sniff`."""
        if path.is_dir():
            return 0.95 if any(_NAME.fullmatch(item.name) for item in path.iterdir()) else 0.0
        if head.startswith(NPY_MAGIC):
            return 0.95 if _NAME.fullmatch(path.name) else 0.0
        headers = archive_headers(path, head) or {}
        return 0.95 if {"loc", "vel"} <= set(headers) and len(headers["loc"][0]) == 4 else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield one scene per simulation; arrays of npy files are mapped, not loaded. See `Format.read`."""
        if path.is_dir():
            files = sorted(
                (item for item in path.iterdir() if _NAME.fullmatch(item.name)),
                key=lambda item: (_suffix(item), item.name),
            )
            if not files:
                raise DataError(f"{path}: no file loc_train*.npy, loc_valid*.npy or loc_test*.npy in this folder")
            for file in files:
                yield from _npy_set(file, options)
        elif path.suffix.lower() == ".npz":
            yield from _npz_set(path, options)
        else:
            yield from _npy_set(path, options)


def _suffix(path: Path) -> tuple[str, int]:
    match = _NAME.fullmatch(path.name)
    return (match["rest"], list(_PARTITIONS).index(match["partition"])) if match else ("", 0)


def _npy_set(path: Path, options: ReadOptions) -> Iterator[Trajectory]:
    match = _NAME.fullmatch(path.name)
    stem = path.stem.removeprefix("loc_")
    arrays = {"loc": load_npy(path)}
    for name in ("vel", "charges", *(["edges"] if "spring" in stem else [])):
        beside = path.with_name(path.name.replace("loc_", f"{name}_", 1))
        with reading_errors(path):
            if beside.exists():
                arrays[name] = load_npy(beside)
    rate = options.resolve_rate(path, RATE if "small" in stem else None)
    partition = _PARTITIONS[match["partition"]] if match else ""
    yield from _simulations(path, stem, arrays, options, rate=rate, partition=partition)


def _npz_set(path: Path, options: ReadOptions) -> Iterator[Trajectory]:
    with ArrayArchive(path) as archive:
        arrays = {name: archive.load(name) for name in ("loc", "vel", "charges") if name in archive or name == "loc"}
    yield from _simulations(path, path.stem, arrays, options, rate=options.resolve_rate(path, RATE), partition="")


def _simulations(
    path: Path, stem: str, arrays: dict[str, NDArray[Any]], options: ReadOptions, *, rate: float, partition: str
) -> Iterator[Trajectory]:
    loc = arrays["loc"]
    if loc.ndim != 4 or loc.shape[2] not in (2, 3):
        raise DataError(f"{path}: shape {loc.shape}, expected (simulations, frames, 2 or 3, bodies)")
    count, steps, dim, bodies = loc.shape
    expected = {"vel": loc.shape, "charges": (count, bodies, 1), "edges": (count, bodies, bodies)}
    for name, array in arrays.items():
        if name != "loc" and array.shape != expected[name]:
            raise DataError(f"{path}: its {name} have shape {array.shape}, expected {expected[name]}; are they of one set?")
    unit = options.resolve_unit(path, dim, UNIT)
    frame = options.resolve_frame(path, dim, "none")
    time = np.arange(steps) / rate
    for index in range(count):
        positions = unit.from_file(_by_node(arrays["loc"][index], path, "loc"))
        valid = observed(positions)
        fields = {}
        if "vel" in arrays:
            velocity = unit.from_file(_by_node(arrays["vel"][index], path, "vel"))
            fields["velocity"] = Field(velocity, "1o", f"{unit.name}/s")
        if "charges" in arrays:
            fields["charge"] = Field(as_numbers(arrays["charges"][index], path, "charges"), "0e")
        edges = np.argwhere(np.triu(arrays["edges"][index], 1) != 0) if "edges" in arrays else np.zeros((0, 2), dtype=np.int64)
        yield Trajectory(
            scene=f"{stem}-{index:05d}",
            time=time,
            positions=np.where(valid[..., None], positions, np.nan),
            valid=valid,
            node_ids=np.arange(bodies),
            node_types=np.full(bodies, options.node_type or "body"),
            unit=unit,
            frame=frame,
            edges=edges,
            edge_types=np.full(len(edges), "spring"),
            fields=fields,
            source=Source(str(path), "egnn", {"rate": rate, "simulation": index}),
            partition=partition,
        )


def _by_node(values: NDArray[Any], path: Path, name: str) -> NDArray[np.float64]:
    """(T, D, N) as stored -> (T, N, D)."""
    return as_numbers(values.transpose(0, 2, 1), path, name)


FORMATS.register(EgnnFormat.name)(EgnnFormat())
