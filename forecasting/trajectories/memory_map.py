"""The flat arrays that training reads, mapped from disk and keyed by the content of the shards."""

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.clock import Clock
from forecasting.trajectories.map_building import ABOUT, build_map
from forecasting.trajectories.mapped_texts import SceneInfos, Texts
from forecasting.trajectories.shards import TABLES, content_of, shard_paths
from forecasting.trajectories.trajectory import Trajectory

CLOCK_TOLERANCE = 0.25
LAYOUT = 2
"""Number of the layout of the arrays' folder; those of an earlier one are made anew."""


@dataclass(frozen=True, eq=False)
class MemoryMap:
    """Every observation of a data set as sorted rows.

    A scene has a clock grid of its median step dt; row order is (scene, grid frame, node), and one integer key
    ``(grid_offsets[scene] + frame) · node_stride + node`` finds a row by binary search.

    Attributes:
        key: (R,) sorted.
        position: (R, D).
        fields: name -> (R, C) per frame or (nodes, C) constant.
        grid_offsets: (S + 1,) first grid frame of each scene.
        grid_time: (G,) [s] time of each grid frame, NaN where there is no frame.
        clock_error: (S,) largest distance of a frame from its grid point, in steps.
        dt: (S,) [s].
        node_offsets, edge_offsets: (S + 1,).
        node_ids: all ids as text, none in arrays that are only to be forecast.
        node_type: (nodes,); edges: (edges, 2) node indices within the scene; edge_type.
        scene_names, scene_info: per scene.
        node_stride: greatest number of nodes in a scene.
        files: that the arrays are mapped from, none where they are in memory.
    """

    key: NDArray[np.int64]
    position: NDArray[np.float64]
    fields: dict[str, NDArray[np.float64]]
    grid_offsets: NDArray[np.int64]
    grid_time: NDArray[np.float64]
    clock_error: NDArray[np.float64]
    dt: NDArray[np.float64]
    node_offsets: NDArray[np.int64]
    edge_offsets: NDArray[np.int64]
    node_ids: Sequence[str]
    node_type: NDArray[np.int64]
    edges: NDArray[np.int64]
    edge_type: NDArray[np.int64]
    scene_names: Sequence[str]
    scene_info: Sequence[Mapping[str, Any]]
    node_stride: int
    files: tuple[mmap.mmap, ...] = ()

    def release(self) -> None:
        """Let the system take back the memory of mapped files (Linux); what is needed again is read again."""
        for file in self.files if hasattr(mmap, "MADV_DONTNEED") else ():
            file.madvise(mmap.MADV_DONTNEED)

    def lookup(
        self, key: NDArray[np.int64], steps: NDArray[np.int64], scene: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Find the same nodes `steps` grid frames away.

        Args:
            key: (M,) keys of observations.
            steps: (K,) signed grid frames.
            scene: (M,) their scenes; a step never crosses into another scene.

        Returns:
            (M, K) rows (0 where absent) and (M, K) whether they exist.
        """
        frame = key[:, None] // self.node_stride + steps
        inside = (frame >= self.grid_offsets[scene][:, None]) & (frame < self.grid_offsets[scene + 1][:, None])
        wanted = key[:, None] + steps * self.node_stride
        row = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        found = inside & (self.key[row] == wanted)
        return np.where(found, row, 0), found

    def window_edges(
        self, scene: NDArray[np.int64], offsets: NDArray[np.int64], node: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Known connections among the nodes present in each window, both directions.

        Args:
            scene: (W,) scene of each window; offsets: (W + 1,) of its nodes; node: (M,) index within the scene.

        Returns:
            (2, E) indices into the M nodes, (E,) edge types.
        """
        count = self.edge_offsets[scene + 1] - self.edge_offsets[scene]
        if not count.any():
            return np.zeros((2, 0), dtype=np.int64), np.zeros(0, dtype=np.int64)
        window = np.repeat(np.arange(len(scene)), count)
        start = np.cumsum(count) - count
        edge = np.arange(count.sum()) - start[window] + self.edge_offsets[scene][window]
        place = np.full((len(scene), self.node_stride), -1)
        place[np.repeat(np.arange(len(scene)), np.diff(offsets)), node] = np.arange(offsets[-1])
        ends = place[window[:, None], self.edges[edge]]
        kept = (ends >= 0).all(axis=1)
        ends, kind = ends[kept], np.asarray(self.edge_type[edge])[kept]
        return np.concatenate([ends, ends[:, ::-1]]).T, np.concatenate([kind, kind])

    def check_clock(self, scenes: NDArray[np.int64]) -> None:
        """Refuse scenes whose frames lie too far from an even clock.

        Raises:
            DataError: names the worst scene and what to do.
        """
        if len(scenes) and self.clock_error[scenes].max() > CLOCK_TOLERANCE:
            worst = scenes[np.argmax(self.clock_error[scenes])]
            raise DataError(
                f"scene '{self.scene_names[worst]}' has an uneven clock: a frame lies {self.clock_error[worst]:.2f} steps "
                f"from the grid of {self.dt[worst]:.6g} s (at most {CLOCK_TOLERANCE} is accepted); "
                "bring it to even steps with `forecast ingest --resample SECONDS`"
            )


def open_memory_map(folder: Path, content: str, shards: int, fields: Mapping[str, Mapping[str, Any]]) -> MemoryMap:
    """Open the map of a data set, making it first where the one on disk is absent or of other content.

    Args:
        folder: of the data set.
        content, shards, fields: what its manifest says.

    Raises:
        DataError: if the shards are missing, damaged or not those of the manifest.
    """
    place = folder / f".map-{content[:16]}-{LAYOUT}"
    if not (place / ABOUT).exists():
        _check_shards(folder, content, shards)
        build_map(folder, place, fields)
    mapped = {path.stem: np.load(path, mmap_mode="r") for path in place.glob("*.npy")}
    arrays = {name: np.asarray(array) for name, array in mapped.items()}
    texts = {path.stem: _mapped(path) for path in place.glob("*.arrow")}
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    whole = ("key", "position", "grid_offsets", "grid_time", "clock_error", "dt", "node_offsets", "edge_offsets", "node_type")
    return MemoryMap(
        **{name: arrays[name] for name in (*whole, "edges", "edge_type")},
        fields={name: arrays[f"field-{name}"] for name in fields},
        node_ids=Texts.open(texts["node_ids"]),
        scene_names=Texts.open(texts["scene_names"]),
        scene_info=SceneInfos(about["scene_infos"], arrays["scene_info"]),
        node_stride=about["node_stride"],
        files=(*texts.values(), *(array.base for array in mapped.values() if isinstance(array.base, mmap.mmap))),
    )


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _check_shards(folder: Path, content: str, shards: int) -> None:
    there = {path.name for paths in shard_paths(folder).values() for path in paths}
    wanted = [f"{name}-{number:05d}.parquet" for number in range(shards) for name in TABLES]
    missing = [name for name in wanted if name not in there]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing[:4])}; ingest the files again")
    if content_of(folder) != content:
        raise DataError(f"{folder}: the Parquet files are not those that the manifest describes; ingest the files again")


def rows_of(scenes: Sequence[Trajectory], node_types: Sequence[str], edge_types: Sequence[str]) -> MemoryMap:
    """The same arrays in memory, for scenes that are only to be forecast.

    Args:
        scenes: with equal dimension and fields.
        node_types, edge_types: vocabularies; a name that is not in them gets the code −1.
    """
    place = [np.nonzero(scene.valid) for scene in scenes]
    index = np.repeat(np.arange(len(scenes)), [len(frame) for frame, _ in place])
    time = np.concatenate([scene.time[frame] for scene, (frame, _) in zip(scenes, place, strict=True)])
    node = np.concatenate([node for _, node in place])
    clock = Clock.of(index, time, np.array([scene.dt for scene in scenes]))
    node_count = np.array([len(scene.node_ids) for scene in scenes])
    stride = int(node_count.max())
    fields = {}
    for name, first in scenes[0].fields.items():
        values = [
            scene.fields[name].values[at] if first.per_frame else scene.fields[name].values
            for scene, at in zip(scenes, place, strict=True)
        ]
        fields[name] = np.concatenate(values)
    return MemoryMap(
        key=(clock.offsets[index] + clock.grid) * stride + node,
        position=np.concatenate([scene.positions[at] for scene, at in zip(scenes, place, strict=True)]),
        fields=fields,
        grid_offsets=clock.offsets,
        grid_time=clock.time,
        clock_error=clock.error,
        dt=clock.dt,
        node_offsets=np.concatenate([[0], np.cumsum(node_count)]),
        edge_offsets=np.concatenate([[0], np.cumsum([len(scene.edges) for scene in scenes])]),
        node_ids=[],
        node_type=_codes([scene.node_types for scene in scenes], node_types),
        edges=np.concatenate([scene.edges for scene in scenes]),
        edge_type=_codes([scene.edge_types for scene in scenes], edge_types),
        scene_names=[scene.scene for scene in scenes],
        scene_info=[],
        node_stride=stride,
    )


def _codes(names: Sequence[NDArray[np.str_]], vocabulary: Sequence[str]) -> NDArray[np.int64]:
    code = {name: index for index, name in enumerate(vocabulary)}
    return np.array([code.get(name, -1) for part in names for name in part.tolist()], dtype=np.int64)
