"""Our own npz: per scene ``i`` the arrays ``i/positions``, ``i/time`` and so on, and a JSON text ``i/about``."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, ForecastingError, UsageError
from forecasting.trajectories.formats._arrays import ArrayArchive, as_numbers, observed
from forecasting.trajectories.formats.base import ReadOptions
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory
from forecasting.trajectories.units import Unit

SCHEMA = "forecasting.trajectories/1"
SCHEMA_KEY = "schema"


def read_scenes(archive: ArrayArchive, options: ReadOptions) -> Iterator[Trajectory]:
    """Yield the scenes of our own npz.

    Raises:
        DataError: if it is of another schema or damaged.
    """
    schema = archive.text(SCHEMA_KEY)
    if schema != SCHEMA:
        raise DataError(f"{archive.path}: its schema is '{schema}', this program reads {SCHEMA}; name an array with --key")
    index = 0
    while f"{index}/about" in archive:
        with located(archive.path):
            scene = _own_scene(archive, f"{index}/", options)
        yield scene
        index += 1
    if not index:
        raise DataError(f"{archive.path}: it holds no scenes")


def _own_scene(archive: ArrayArchive, prefix: str, options: ReadOptions) -> Trajectory:
    about = json.loads(archive.text(f"{prefix}about"))
    arrays = {name: archive.load(prefix + name) for name in ("positions", "time", "valid", "node_ids", "node_types")}
    positions = as_numbers(arrays["positions"], archive.path, "positions")
    valid = arrays["valid"].astype(bool) & observed(positions)
    unit = Unit(about["unit"], tuple(about["per_axis"]))
    if options.unit:
        unit = options.resolve_unit(archive.path, positions.shape[2])
        positions = unit.from_file(positions)
    frame = Frame(about["up"], about["handedness"])
    return Trajectory(
        scene=about["scene"],
        time=as_numbers(arrays["time"], archive.path, "time"),
        positions=positions,
        valid=valid,
        node_ids=checked_ids(archive.path, arrays["node_ids"]),
        node_types=arrays["node_types"],
        unit=unit,
        frame=Frame(options.resolve_frame(archive.path, 3).up, frame.handedness) if options.up else frame,
        edges=checked_edges(archive.path, archive.load(f"{prefix}edges"), positions.shape[1]),
        edge_types=archive.load(f"{prefix}edge_types"),
        fields={
            name: Field(as_numbers(archive.load(f"{prefix}field/{name}"), archive.path, name), *note)
            for name, note in about["fields"].items()
        },
        source=Source(str(archive.path), "npz"),
        partition=about["partition"],
    )


def arrays_of(scene: Trajectory) -> dict[str, NDArray[Any]]:
    """Everything a scene holds, as named arrays."""
    about = {
        "scene": scene.scene,
        "unit": scene.unit.name,
        "per_axis": list(scene.unit.per_axis),
        "up": scene.frame.up,
        "handedness": scene.frame.handedness,
        "partition": scene.partition,
        "fields": {name: [item.irreps, item.unit, item.translates] for name, item in scene.fields.items()},
    }
    return {
        "about": np.array(json.dumps(about)),
        "time": scene.time,
        "positions": scene.positions,
        "valid": scene.valid,
        "node_ids": scene.node_ids,
        "node_types": scene.node_types,
        "edges": scene.edges,
        "edge_types": scene.edge_types,
        **{f"field/{name}": item.values for name, item in scene.fields.items()},
    }


def add_array(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    """Append one array to an archive being written."""
    if array.dtype.hasobject:
        raise UsageError(f"'{name}' holds Python objects; node ids and types must be arrays of integers or texts")
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def checked_ids(path: Path, ids: NDArray[Any]) -> NDArray[Any]:
    """(N,) node ids as int64 or texts."""
    if ids.dtype.kind not in "iuU":
        raise DataError(f"{path}: node_ids are {ids.dtype}, expected integers or texts")
    return ids.astype(np.int64) if ids.dtype.kind in "iu" else ids


def checked_edges(path: Path, edges: NDArray[Any], nodes: int) -> NDArray[np.int64]:
    """(E, 2) pairs of existing nodes."""
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
        raise DataError(f"{path}: edges are {edges.dtype} of shape {edges.shape}, expected integer pairs (E, 2)")
    if edges.size and (edges.min() < 0 or edges.max() >= nodes):
        raise DataError(f"{path}: edges name the nodes {edges.min()}..{edges.max()}, but there are nodes 0..{nodes - 1}")
    return edges.astype(np.int64)


class located:
    """Name the file in errors about the contents of what was read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ForecastingError) and str(self.path) not in str(error):
            raise DataError(f"{self.path}: {error}") from None
        if isinstance(error, (KeyError, TypeError, ValueError, AttributeError, IndexError)):
            raise DataError(f"{self.path}: its description of a scene is damaged ({error}); write the file again") from None
