"""Numpy arrays of positions (T, N, D): npy files, anybody's npz, and our own npz with everything a trajectory holds."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, UsageError
from forecasting.files import atomic_file
from forecasting.trajectories.formats._arrays import (
    NPY_MAGIC,
    ZIP_MAGIC,
    ArrayArchive,
    Header,
    archive_headers,
    as_numbers,
    load_npy,
    observed,
    read_header,
)
from forecasting.trajectories.formats._npz_schema import (
    SCHEMA,
    SCHEMA_KEY,
    add_array,
    arrays_of,
    checked_edges,
    checked_ids,
    located,
    read_scenes,
)
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory

POSITION_KEYS = ("positions", "trajectories", "position", "pos", "xyz", "xy")
RATE_KEYS = ("frames_per_second", "fps", "rate", "frame_rate")
SIDE_KEYS = {
    "time",
    "dt",
    "valid",
    "node_ids",
    "node_types",
    "edges",
    "edge_types",
    "unit",
    "up",
    "handedness",
    "velocity",
}


class NpzFormat(Format):
    """npy and npz files."""

    name = "npz"
    summary = "numpy .npy or .npz with positions (T, N, D); NaN is a missing point; --key names the array"
    suffixes = (".npz", ".npy")
    can_write = True

    def sniff(self, path: Path, head: bytes) -> float:
        """High for our own files and for a single (T, N, 2 or 3) array; see `Format.sniff`."""
        if head.startswith(NPY_MAGIC):
            try:
                return 0.8 if _is_positions(read_header(BytesIO(head))) else 0.1
            except Exception:  # any fault of the header: `read` says which
                return 0.4
        headers = archive_headers(path, head)
        if headers is None:
            return 0.4 if head.startswith(ZIP_MAGIC) and path.suffix.lower() in self.suffixes else 0.0
        if SCHEMA_KEY in headers:
            return 1.0
        return 0.7 if _candidates(headers) else 0.1

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the scenes of our own npz, or the one scene of any other array file; see `Format.read`.

        A plain npz may carry, beside its positions: time or dt or frames_per_second (fps, rate), valid, node_ids,
        node_types, edges, edge_types, unit, up, handedness and velocity.
        """
        if path.suffix.lower() == ".npy":
            yield _plain(path, load_npy(path), {}, options, key="")
            return
        with ArrayArchive(path) as archive:
            if SCHEMA_KEY in archive and not options.key:
                yield from read_scenes(archive, options)
                return
            key = options.key or _choose_key(path, {name: archive.header(name) for name in archive.names})
            sides = {name: archive.load(name) for name in archive.names if name in SIDE_KEYS | set(RATE_KEYS) and name != key}
            yield _plain(path, archive.load(key), sides, options, key)

    def write(self, path: Path, trajectories: Iterable[Trajectory]) -> None:
        """Write our own npz: per scene ``i`` the arrays ``i/positions``, ``i/time`` … and a JSON text ``i/about``."""
        if path.suffix.lower() != ".npz":
            raise UsageError(f"{path}: an npy file cannot hold times, ids and units; write to a name that ends in .npz")
        with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            add_array(archive, SCHEMA_KEY, np.array(SCHEMA))
            for index, scene in enumerate(trajectories):
                for name, array in arrays_of(scene).items():
                    add_array(archive, f"{index}/{name}", array)


def _is_positions(header: Header) -> bool:
    shape, dtype, _ = header
    return len(shape) == 3 and shape[2] in (2, 3) and dtype.kind in "iuf"


def _candidates(headers: Mapping[str, Header]) -> list[str]:
    found = [name for name, header in headers.items() if _is_positions(header)]
    preferred = [name for name in found if name in POSITION_KEYS]
    return preferred[:1] or [name for name in found if name not in SIDE_KEYS]


def _choose_key(path: Path, headers: Mapping[str, Header]) -> str:
    found = _candidates(headers)
    if len(found) == 1:
        return found[0]
    shapes = ", ".join(f"{name} {shape}" for name, (shape, *_) in list(headers.items())[:12])
    problem = "several arrays that could be positions" if found else "no array of shape (T, N, 2) or (T, N, 3)"
    error = UsageError if found else DataError
    raise error(f"{path}: {problem} among {shapes}; name the array of positions with --key")


def _plain(path: Path, values: NDArray[Any], sides: Mapping[str, NDArray[Any]], options: ReadOptions, key: str) -> Trajectory:
    positions = as_numbers(values, path, key or "positions")
    if positions.ndim != 3 or positions.shape[2] not in (2, 3):
        raise DataError(
            f"{path}: {key or 'the array'} has shape {positions.shape}, expected (frames, nodes, 2) or "
            "(frames, nodes, 3); transpose it, or name another array with --key"
        )
    steps, nodes, dim = positions.shape
    unit = options.resolve_unit(path, dim, _text(path, sides, "unit"))
    frame = options.resolve_frame(path, dim, _text(path, sides, "up"))
    valid = _shaped(path, sides, "valid", (steps, nodes), np.ones((steps, nodes))).astype(bool)
    valid &= observed(positions)
    fields = {}
    if "velocity" in sides:
        velocity = as_numbers(_shaped(path, sides, "velocity", positions.shape), path, "velocity")
        fields["velocity"] = Field(unit.from_file(velocity), "1o", f"{unit.name}/s")
    edges = sides.get("edges", np.zeros((0, 2), dtype=np.int64))
    types = _shaped(path, sides, "node_types", (nodes,), np.full(nodes, options.node_type or "node"))
    time, clock = _clock(path, sides, options, steps)
    with located(path):
        return Trajectory(
            scene=path.stem,
            time=time,
            positions=np.where(valid[..., None], unit.from_file(positions), np.nan),
            valid=valid,
            node_ids=checked_ids(path, _shaped(path, sides, "node_ids", (nodes,), np.arange(nodes))),
            node_types=types.astype(str),
            unit=unit,
            frame=Frame(frame.up, _text(path, sides, "handedness") or "right"),
            edges=checked_edges(path, edges, nodes),
            edge_types=_shaped(path, sides, "edge_types", (len(edges),), np.full(len(edges), "edge")).astype(str),
            fields=fields,
            source=Source(str(path), "npz", {**({"key": key} if key else {}), **clock}),
        )


def _text(path: Path, sides: Mapping[str, NDArray[Any]], name: str) -> str:
    if name not in sides:
        return ""
    if sides[name].size != 1 or sides[name].dtype.kind != "U":
        raise DataError(f"{path}: '{name}' is {sides[name].dtype} of shape {sides[name].shape}, expected one text")
    return str(sides[name].reshape(())[()])


def _shaped(
    path: Path,
    sides: Mapping[str, NDArray[Any]],
    name: str,
    shape: tuple[int, ...],
    default: NDArray[Any] | None = None,
) -> NDArray[Any]:
    array = sides.get(name, default)
    if array is None or array.shape != shape:
        found = "absent" if array is None else f"of shape {array.shape}"
        raise DataError(f"{path}: '{name}' is {found}, expected shape {shape} to go with the positions")
    return array


def _clock(
    path: Path, sides: Mapping[str, NDArray[Any]], options: ReadOptions, steps: int
) -> tuple[NDArray[np.float64], dict[str, float]]:
    if options.rate is None and "time" in sides:
        return as_numbers(_shaped(path, sides, "time", (steps,)), path, "time"), {}
    declared = next((float(as_numbers(sides[key], path, key).mean()) for key in RATE_KEYS if key in sides), None)
    if declared is None and "dt" in sides:
        step = float(as_numbers(sides["dt"], path, "dt").mean())
        declared = 1.0 / step if step > 0 else None
    rate = options.resolve_rate(path, declared)
    return np.arange(steps) / rate, {"rate": rate}


FORMATS.register(NpzFormat.name)(NpzFormat())
