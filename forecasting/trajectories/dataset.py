"""A data set: a folder of Parquet shards with a manifest, and the memory map that training reads.

Layout of the folder::

    manifest.json        schema version, dimensions, unit, frame, vocabulary, statistics, provenance with content hashes
    frames-00000.parquet long form: scene, time, node, x, y[, z], per-frame fields; rows ordered by scene, time, node
    scenes-00000.parquet of the same scenes: name, partition, source file, format, clock, number of nodes and edges
    nodes-00000.parquet  their nodes, scene by scene: id, type, constant fields
    edges-00000.parquet  their edges, scene by scene: source, target, type
    frames-00001.parquet … the next million rows; a scene never crosses shards
    .map-<hash>/         flat arrays for training, rebuilt whenever the shards' hash differs
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.errors import DataError
from forecasting.files import atomic_folder, write_json
from forecasting.trajectories.cutting import cut_windows, whole_anchors
from forecasting.trajectories.memory_map import MemoryMap, open_memory_map
from forecasting.trajectories.shards import write_shards
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import Int, WindowBatch, WindowSpec

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Manifest:
    """What a data set says about itself; `manifest.json` as an object.

    Attributes:
        dim: D.
        unit: name of the length unit of every position.
        frame: coordinate frame.
        node_types, edge_types: vocabularies.
        fields: name -> irreps, unit, translates, per_frame.
        symmetry: the symmetry the data are known to have, in words ("" where nobody says).
        provenance: how the data set was made: source files with hashes, options, findings.
        content: SHA-256 of the shards.
        counts: scenes, frames, rows, shards.
    """

    dim: int
    unit: str
    frame: Frame
    node_types: tuple[str, ...]
    edge_types: tuple[str, ...]
    fields: dict[str, dict[str, Any]]
    symmetry: str
    provenance: dict[str, Any]
    content: str
    counts: dict[str, int]

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """Read `manifest.json`.

        Raises:
            DataError: if it is missing, not JSON, or of another schema version.
        """
        path = folder / "manifest.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{folder} is not a data set: it has no manifest.json; make one with `forecast ingest`") from None
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DataError(f"{path} is damaged ({error}); make the data set again with `forecast ingest`") from None
        version = raw.pop("schema_version", None)
        if version != SCHEMA_VERSION:
            raise DataError(f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}; ingest the files again")
        raw["frame"] = Frame(**raw["frame"])
        return cls(**{**raw, "node_types": tuple(raw["node_types"]), "edge_types": tuple(raw["edge_types"])})


class Dataset:
    """Scenes on disk, read through a memory map.

    Attributes:
        folder: where it lies.
        manifest: what it says about itself.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.load(self.folder)

    @cached_property
    def rows(self) -> MemoryMap:
        """The flat arrays; built on first use when the shards changed."""
        return open_memory_map(self.folder, self.manifest.content, self.manifest.counts["shards"], self.manifest.fields)

    @property
    def scenes(self) -> Sequence[str]:
        """Names of the scenes, in order."""
        return self.rows.scene_names

    def __len__(self) -> int:
        return self.manifest.counts["scenes"]

    def trajectories(self) -> Iterator[Trajectory]:
        """Every scene as it was ingested, one at a time."""
        return (self.trajectory(scene) for scene in range(len(self)))

    def trajectory(self, scene: int) -> Trajectory:
        """Scene number `scene` as it was ingested."""
        rows = self.rows
        nodes = slice(*rows.node_offsets[scene : scene + 2])
        first, last = np.searchsorted(rows.key, rows.grid_offsets[scene : scene + 2] * rows.node_stride)
        grid, node = np.divmod(np.asarray(rows.key[first:last]), rows.node_stride)
        grids, frame = np.unique(grid, return_inverse=True)
        shape = (len(grids), nodes.stop - nodes.start)
        positions = np.full((*shape, self.manifest.dim), np.nan)
        positions[frame, node] = rows.position[first:last]
        valid = np.zeros(shape, dtype=bool)
        valid[frame, node] = True
        fields = {}
        for name, about in self.manifest.fields.items():
            stored = rows.fields[name]
            values = np.array(stored[nodes])
            if about["per_frame"]:
                values = np.full((*shape, stored.shape[1]), np.nan)
                values[frame, node] = stored[first:last]
            fields[name] = Field(values, about["irreps"], about["unit"], about["translates"])
        edges = slice(*rows.edge_offsets[scene : scene + 2])
        info = rows.scene_info[scene]
        return Trajectory(
            scene=rows.scene_names[scene],
            time=np.array(rows.grid_time[grids]),
            positions=positions,
            valid=valid,
            node_ids=_ids(rows.node_ids[nodes], info["integer_ids"]),
            node_types=np.array(self.manifest.node_types)[rows.node_type[nodes]],
            unit=Unit(self.manifest.unit, tuple(info["per_axis"])),
            frame=self.manifest.frame,
            edges=np.array(rows.edges[edges]),
            edge_types=np.array(self.manifest.edge_types, dtype=str)[rows.edge_type[edges]],
            fields=fields,
            source=Source(info["path"], info["format"], info["options"]),
            partition=info["partition"],
        )

    def anchors(self, spec: WindowSpec, scenes: Sequence[int] | None = None) -> Int:
        """(W, 2) all (scene, grid frame) at which a whole window of `spec` fits into the scene's clock."""
        return whole_anchors(self.rows, spec, range(len(self)) if scenes is None else scenes)

    def windows(self, spec: WindowSpec, anchors: Int) -> WindowBatch:
        """Cut the windows at `anchors` (W, 2), all at once.

        Raises:
            DataError: if a scene's clock is too irregular to have steps.
        """
        return cut_windows(self.rows, self.manifest.fields, spec, anchors)


def build_dataset(
    trajectories: Iterable[Trajectory],
    folder: str | Path,
    *,
    symmetry: str = "",
    provenance: dict[str, Any] | None = None,
) -> Dataset:
    """Write scenes as a data set folder, whole or not at all, and open it.

    Scenes in another known length unit are converted to the first scene's unit.

    Raises:
        DataError: if there is no scene, two have one name, or they differ in dimension, frame or fields.
    """
    with atomic_folder(folder) as temporary:
        description, content = write_shards(trajectories, temporary)
        write_manifest(temporary, description, content, symmetry, provenance or {})
    return Dataset(folder)


def write_manifest(
    folder: Path, description: Mapping[str, Any], content: str, symmetry: str, provenance: Mapping[str, Any]
) -> None:
    """Complete a folder of shards with its `manifest.json`.

    Args:
        folder: of the shards.
        description, content: from `ShardWriter.finish`.
        symmetry, provenance: see `Manifest`.
    """
    write_json(folder / "manifest.json", {
        "schema_version": SCHEMA_VERSION,
        **description,
        "symmetry": symmetry,
        "provenance": provenance,
        "content": content,
    })  # fmt: skip


def _ids(ids: Sequence[str], integers: bool) -> np.ndarray:
    return np.array(ids, dtype=np.int64) if integers else np.array(ids, dtype=str)
