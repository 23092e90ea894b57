"""One shard of a data set: scenes as rows of four Parquet tables."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from forecasting.trajectories.trajectory import Trajectory

AXES = "xyz"
_TEXT, _WHOLE = pa.string(), pa.int32()
_SCENES = pa.schema([
    *((name, _TEXT) for name in ("name", "partition", "path", "format", "options", "per_axis")),
    ("dt", pa.float64()),
    ("integer_ids", pa.bool_()),
    ("nodes", _WHOLE),
    ("edges", _WHOLE),
])  # fmt: skip
_EDGES = pa.schema([("source", _WHOLE), ("target", _WHOLE), ("type", _WHOLE)])


class Vocabulary:
    """Names in the order in which they were first met, and their codes."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._code = {name: index for index, name in enumerate(names)}
        self._known: dict[tuple[str, bytes], NDArray[np.int32]] = {}

    @property
    def names(self) -> list[str]:
        """Every name, in the order of the codes."""
        return list(self._code)

    def codes(self, names: NDArray[np.str_]) -> NDArray[np.int32]:
        """(N,) codes of (N,) names; new names are added in sorted order."""
        key = (str(names.dtype), names.tobytes())
        if key not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            unique, inverse = np.unique(names, return_inverse=True)
            codes = np.array([self._code.setdefault(str(name), len(self._code)) for name in unique], dtype=np.int32)
            self._known[key] = codes[inverse.reshape(-1)] if len(unique) else np.zeros(0, dtype=np.int32)
        return self._known[key]


class OpenShard:
    """Four Parquet files being written.

    Args:
        paths: file of each table.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = paths
        self._writers: dict[str, pq.ParquetWriter] = {}

    def write(self, scenes: Sequence[Trajectory], first: int, node_types: Vocabulary, edge_types: Vocabulary) -> None:
        """Append scenes, the first of which has the number `first` in the data set."""
        self._append("frames", _frames(scenes, first))
        self._append("scenes", _scenes(scenes))
        self._append("nodes", _nodes(scenes, node_types))
        self._append("edges", _edges(scenes, edge_types))

    def close(self) -> Mapping[str, Path]:
        """Finish the files; their paths by table."""
        for writer in self._writers.values():
            writer.close()
        return self.paths

    def _append(self, name: str, table: pa.Table) -> None:
        if name not in self._writers:
            self._writers[name] = _writer(self.paths[name], table.schema)
        self._writers[name].write_table(table, row_group_size=max(len(table), 1))

    @staticmethod
    def names_and_paths(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
        """(scene, source file) of every scene in these tables of scenes."""
        for path in paths:
            table = pq.read_table(path, columns=["name", "path"])
            yield from zip(table["name"].to_pylist(), table["path"].to_pylist(), strict=True)


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Real numbers byte by byte, and lz4 over everything: written at 27 ns a row of 36 bytes, where zstd takes 160."""
    split = {field.name: "BYTE_STREAM_SPLIT" for field in schema if pa.types.is_floating(field.type) and field.name != "time"}
    return pq.ParquetWriter(
        path, schema, compression="lz4", use_dictionary=False, column_encoding=split, write_statistics=["scene"]
    )


def _frames(scenes: Sequence[Trajectory], first: int) -> pa.Table:
    places = [None if scene.valid.all() else np.nonzero(scene.valid) for scene in scenes]
    sizes = np.array([scene.valid.size if place is None else len(place[0]) for scene, place in zip(scenes, places, strict=True)])
    columns = {
        "scene": np.repeat(np.arange(first, first + len(scenes), dtype=np.int32), sizes),
        "time": _joined([_times(scene, place) for scene, place in zip(scenes, places, strict=True)]),
        "node": _joined([_node_numbers(scene, place) for scene, place in zip(scenes, places, strict=True)]),
    }
    stacks = {axis: [scene.positions for scene in scenes] for axis in AXES[: scenes[0].dim]}
    parts = {axis: index for index, axis in enumerate(stacks)}
    for name, item in scenes[0].fields.items():
        if item.per_frame:
            for part in range(item.values.shape[2]):
                stacks[f"{name}.{part}"], parts[f"{name}.{part}"] = [scene.fields[name].values for scene in scenes], part
    for name, stack in stacks.items():
        part = parts[name]
        columns[name] = _joined([
            values[..., part].reshape(-1) if place is None else values[(*place, part)]
            for values, place in zip(stack, places, strict=True)
        ])  # fmt: skip
    arrays = {name: pa.array(values) for name, values in columns.items()}
    schema = pa.schema([pa.field(name, array.type, nullable=False) for name, array in arrays.items()])
    return pa.table(list(arrays.values()), schema=schema)


def _times(scene: Trajectory, place: tuple[NDArray[np.int64], ...] | None) -> NDArray[np.float64]:
    return np.repeat(scene.time, scene.valid.shape[1]) if place is None else scene.time[place[0]]


def _node_numbers(scene: Trajectory, place: tuple[NDArray[np.int64], ...] | None) -> NDArray[np.int32]:
    if place is not None:
        return place[1].astype(np.int32)
    frames, nodes = scene.valid.shape
    return np.tile(np.arange(nodes, dtype=np.int32), frames)


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _scenes(scenes: Sequence[Trajectory]) -> pa.Table:
    columns = {
        "name": [scene.scene for scene in scenes],
        "partition": [scene.partition for scene in scenes],
        "path": [scene.source.path for scene in scenes],
        "format": [scene.source.format for scene in scenes],
        "options": [json.dumps(dict(scene.source.options), sort_keys=True, default=list) for scene in scenes],
        "per_axis": [",".join(f"{value!r}" for value in scene.unit.per_axis) for scene in scenes],
        "dt": [scene.dt for scene in scenes],
        "integer_ids": [scene.node_ids.dtype.kind in "iu" for scene in scenes],
        "nodes": [len(scene.node_ids) for scene in scenes],
        "edges": [len(scene.edges) for scene in scenes],
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in _SCENES], schema=_SCENES)


def _nodes(scenes: Sequence[Trajectory], types: Vocabulary) -> pa.Table:
    columns = {
        "id": pa.array([identity for scene in scenes for identity in map(str, scene.node_ids.tolist())], pa.string()),
        "type": pa.array(np.concatenate([types.codes(scene.node_types) for scene in scenes])),
    }
    for name, item in scenes[0].fields.items():
        if not item.per_frame:
            values = np.concatenate([scene.fields[name].values for scene in scenes])
            columns |= {f"{name}.{part}": pa.array(values[:, part]) for part in range(values.shape[1])}
    return pa.table(columns)


def _edges(scenes: Sequence[Trajectory], types: Vocabulary) -> pa.Table:
    ends = np.concatenate([scene.edges for scene in scenes]).astype(np.int32)
    kinds = np.concatenate([types.codes(scene.edge_types) for scene in scenes]).astype(np.int32)
    return pa.table([pa.array(ends[:, 0]), pa.array(ends[:, 1]), pa.array(kinds)], schema=_EDGES)
