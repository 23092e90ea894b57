"""Writing a data set's Parquet tables, one pass over the scenes, bounded memory."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import DataError
from forecasting.files import atomic_folder, content_hash, write_json
from forecasting.trajectories.trajectory import Trajectory

ROWS_PER_SHARD = 1_000_000
TABLES = ("scenes", "nodes", "edges")
AXES = "xyz"


def write_shards(
    trajectories: Iterable[Trajectory], folder: Path, schema_version: int, symmetry: str, provenance: dict[str, Any]
) -> str:
    """Write `folder` atomically; see `dataset` for its layout.

    Returns:
        SHA-256 of the tables, as written to the manifest.

    Raises:
        DataError: if there is no scene, two have one name, or they differ in dimension, frame or fields.
    """
    with atomic_folder(folder) as temporary:
        writer = _ShardWriter(temporary)
        for trajectory in trajectories:
            writer.add(trajectory)
        writer.finish()
        content = content_hash(shard_paths(temporary))
        write_json(temporary / "manifest.json", {
            "schema_version": schema_version,
            **writer.description(),
            "symmetry": symmetry,
            "provenance": provenance,
            "content": content,
        })  # fmt: skip
    return content


def shard_paths(folder: Path) -> list[Path]:
    """The Parquet files of a data set, in the order of their rows, then the tables of scenes, nodes and edges."""
    return [*sorted(folder.glob("frames-*.parquet")), *(folder / f"{name}.parquet" for name in TABLES)]


class _ShardWriter:
    """Buffers scenes and writes a shard whenever enough rows have come together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first: Trajectory | None = None
        self.names: dict[str, str] = {}
        self.counts = {"scenes": 0, "frames": 0, "rows": 0}
        self.vocabulary: dict[str, dict[str, int]] = {"node": {}, "edge": {}}
        self.shard: list[pa.Table] = []
        self.shard_rows = 0
        self.shards = 0
        self.tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def add(self, scene: Trajectory) -> None:
        if self.first is None:
            self.first = scene
        elif scene.unit.name != self.first.unit.name:
            scene = scene.in_unit(self.first.unit.name)
        self._check(scene, self.first)
        frame, node = np.nonzero(scene.valid)
        columns = {
            "scene": pa.array(np.full(len(frame), self.counts["scenes"], dtype=np.int32)),
            "time": pa.array(scene.time[frame]),
            "node": pa.array(node.astype(np.int32)),
        }
        for axis in range(scene.dim):
            columns[AXES[axis]] = pa.array(scene.positions[frame, node, axis])
        for name, item in scene.fields.items():
            if item.per_frame:
                for part in range(item.values.shape[2]):
                    columns[f"{name}.{part}"] = pa.array(item.values[frame, node, part])
        self.shard.append(pa.table(columns))
        self.shard_rows += len(frame)
        self._describe(scene, len(frame), len(np.unique(frame)))
        if self.shard_rows >= ROWS_PER_SHARD:
            self._flush()

    def finish(self) -> None:
        if self.first is None:
            raise DataError("there is no scene to write; are the files empty, or did --on-error drop everything?")
        self._flush()
        for name, parts in self.tables.items():
            columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
            table = pa.table({key: pa.array(values) for key, values in columns.items()})
            pq.write_table(table, self.folder / f"{name}.parquet", compression="zstd")

    def description(self) -> dict[str, Any]:
        first = self.first
        if first is None:
            raise DataError("there is no scene to describe")
        fields = {
            name: {"irreps": item.irreps, "unit": item.unit, "translates": item.translates, "per_frame": item.per_frame}
            for name, item in first.fields.items()
        }
        return {
            "dim": first.dim,
            "unit": first.unit.name,
            "frame": asdict(first.frame),
            "node_types": list(self.vocabulary["node"]),
            "edge_types": list(self.vocabulary["edge"]),
            "fields": fields,
            "counts": self.counts,
        }

    def _check(self, scene: Trajectory, first: Trajectory) -> None:
        where = f"{scene.source.path}: scene '{scene.scene}'"
        if scene.scene in self.names:
            raise DataError(f"{where} has the same name as one in {self.names[scene.scene]}; rename one of them")
        self.names[scene.scene] = scene.source.path or "another file"
        if not scene.valid.any():
            raise DataError(f"{where} has no observed position; drop it")
        for what in ("dim", "frame"):
            if getattr(scene, what) != getattr(first, what):
                raise DataError(
                    f"{where} has {what} {getattr(scene, what)}, but scene '{first.scene}' has {getattr(first, what)}; "
                    "ingest them as two data sets, or say --up for all"
                )
        described = [{key: (item.irreps, item.per_frame) for key, item in one.fields.items()} for one in (scene, first)]
        if described[0] != described[1]:
            raise DataError(
                f"{where} has the fields {described[0] or 'none'}, but scene '{first.scene}' has {described[1] or 'none'}; "
                "ingest them as two data sets, or leave the field out with --columns"
            )

    def _describe(self, scene: Trajectory, rows: int, frames: int) -> None:
        index = self.counts["scenes"]
        self.counts = {
            "scenes": index + 1,
            "frames": self.counts["frames"] + frames,
            "rows": self.counts["rows"] + rows,
        }
        source = scene.source
        self.tables["scenes"].append({
            "name": np.array([scene.scene]),
            "partition": np.array([scene.partition]),
            "dt": np.array([scene.dt]),
            "path": np.array([source.path]),
            "format": np.array([source.format]),
            "options": np.array([_plain(source.options)]),
            "per_axis": np.array([",".join(f"{value!r}" for value in scene.unit.per_axis)]),
            "integer_ids": np.array([scene.node_ids.dtype.kind in "iu"]),
            "nodes": np.array([len(scene.node_ids)]),
            "edges": np.array([len(scene.edges)]),
        })  # fmt: skip
        constant = {
            f"{name}.{part}": item.values[:, part]
            for name, item in scene.fields.items()
            if not item.per_frame
            for part in range(item.values.shape[1])
        }
        self.tables["nodes"].append({"id": scene.node_ids.astype(str), "type": self._codes("node", scene.node_types), **constant})
        edges = scene.edges.astype(np.int32)
        self.tables["edges"].append({"source": edges[:, 0], "target": edges[:, 1], "type": self._codes("edge", scene.edge_types)})

    def _codes(self, kind: str, names: np.ndarray) -> np.ndarray:
        table = self.vocabulary[kind]
        unique, inverse = np.unique(names, return_inverse=True)
        codes = np.array([table.setdefault(str(name), len(table)) for name in unique], dtype=np.int32)
        return codes[inverse] if len(unique) else np.zeros(0, dtype=np.int32)

    def _flush(self) -> None:
        if self.shard:
            path = self.folder / f"frames-{self.shards:05d}.parquet"
            pq.write_table(pa.concat_tables(self.shard), path, compression="zstd", use_dictionary=["scene", "node"])
            self.shards += 1
        self.shard, self.shard_rows = [], 0


def _plain(options: Any) -> str:
    return json.dumps(dict(options), sort_keys=True, default=list)
