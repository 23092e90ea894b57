"""Building the flat arrays of a data set from its shards, a row group at a time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from forecasting.files import atomic_folder
from forecasting.trajectories.clock import Clock
from forecasting.trajectories.mapped_texts import GrowingTexts
from forecasting.trajectories.shard_tables import AXES
from forecasting.trajectories.shards import shard_paths

ABOUT = "about.json"
AT_ONCE = 4096
"""Scenes that are looked at at once."""


class GrowingArray:
    """An npy file that is appended to; its header is completed when it is closed.

    Args:
        path: to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] = path.open("wb")
        self._kind: tuple[np.dtype[Any], tuple[int, ...]] = (np.dtype(np.float64), ())
        self._length = 0

    def append(self, values: NDArray[Any]) -> None:
        """Add (n, …) values of the same type and further lengths as those before."""
        if not self._length:
            self._kind = (values.dtype, values.shape[1:])
            self._header()
        np.ascontiguousarray(values).tofile(self._file)
        self._length += len(values)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.flush()
        self._header()
        self._file.close()

    def _header(self) -> None:
        dtype, rest = self._kind
        self._file.seek(0)
        description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (self._length, *rest)}
        np.lib.format.write_array_header_1_0(self._file, description)
        self._file.flush()


def build_map(folder: Path, place: Path, fields: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the arrays of `MemoryMap` into the folder `place`.

    Args:
        folder: of the data set.
        place: where the arrays go, whole or not at all.
        fields: name -> what the manifest says of it.
    """
    paths = shard_paths(folder)
    all_scenes = pa.concat_tables([pq.read_table(path, columns=["nodes", "edges", "dt"]) for path in paths["scenes"]])
    stride = int(all_scenes["nodes"].to_numpy().max())
    with atomic_folder(place) as temporary, ExitStack() as stack:
        arrays: dict[str, GrowingArray] = {}

        def append(name: str, values: NDArray[Any]) -> None:
            if name not in arrays:
                arrays[name] = stack.enter_context(GrowingArray(temporary / f"{name}.npy"))
            arrays[name].append(values)

        for name, counts in (("node_offsets", "nodes"), ("edge_offsets", "edges")):
            append(name, _offsets(all_scenes[counts].to_numpy()))
        append("grid_offsets", np.zeros(1, dtype=np.int64))
        grid = 0
        dt = all_scenes["dt"].to_numpy()
        for group in _row_groups(paths["frames"]):
            scene = group["scene"].to_numpy().astype(np.int64)
            first, last = int(scene[0]), int(scene[-1]) + 1
            clock = Clock.of(scene - first, group["time"].to_numpy(), dt[first:last])
            node = group["node"].to_numpy().astype(np.int64)
            append("key", (grid + clock.offsets[scene - first] + clock.grid) * stride + node)
            append("position", _columns(group, [axis for axis in AXES if axis in group.column_names]))
            for name, about in fields.items():
                if about["per_frame"]:
                    append(f"field-{name}", _columns(group, _parts(group, name)))
            append("grid_offsets", grid + clock.offsets[1:])
            append("grid_time", clock.time)
            append("clock_error", clock.error)
            append("dt", clock.dt)
            grid += int(clock.offsets[-1])
        ids = stack.enter_context(GrowingTexts(temporary / "node_ids.arrow"))
        for table in map(pq.read_table, paths["nodes"]):
            append("node_type", table["type"].to_numpy().astype(np.int64))
            ids.append(table["id"])
            for name, about in fields.items():
                if not about["per_frame"]:
                    append(f"field-{name}", _columns(table, _parts(table, name)))
        append("edges", np.zeros((0, 2), dtype=np.int64))
        for table in map(pq.read_table, paths["edges"]):
            append("edges", _columns(table, ["source", "target"]).astype(np.int64))
            append("edge_type", table["type"].to_numpy().astype(np.int64))
        names = stack.enter_context(GrowingTexts(temporary / "scene_names.arrow"))
        known: dict[str, int] = {}
        for table in map(pq.read_table, paths["scenes"]):
            names.append(table["name"])
            for batch in table.to_batches(AT_ONCE):
                infos = (json.dumps(_info(row)) for row in batch.to_pylist())
                append("scene_info", np.array([known.setdefault(info, len(known)) for info in infos], dtype=np.int64))
        about = {"node_stride": stride, "scene_infos": list(known)}
        (temporary / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _row_groups(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """The rows of the shards in order; a row group holds whole scenes."""
    for path in paths:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for index in range(file.num_row_groups):
                yield file.read_row_group(index)


def _columns(table: pa.Table, names: Sequence[str]) -> NDArray[Any]:
    return np.stack([table[name].to_numpy() for name in names], axis=1)


def _parts(table: pa.Table, field: str) -> list[str]:
    count = sum(column.rpartition(".")[0] == field for column in table.column_names)
    return [f"{field}.{part}" for part in range(count)]


def _offsets(counts: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _info(row: dict[str, Any]) -> dict[str, Any]:
    per_axis = [float(value) for value in row["per_axis"].split(",") if value]
    return {
        "partition": row["partition"],
        "path": row["path"],
        "format": row["format"],
        "options": json.loads(row["options"]),
        "per_axis": per_axis,
        "integer_ids": row["integer_ids"],
    }
