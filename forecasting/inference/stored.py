"""Scenes of a data set, forecast from its flat arrays without making each of them an object."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.inference.scenes import check_rates
from forecasting.packages.package import Package
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.memory_map import MemoryMap
from forecasting.trajectories.trajectory import Frame, Source
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
SCENES_PER_GROUP = 4096


@dataclass(frozen=True, eq=False)
class StoredGroup:
    """Neighbouring scenes of a data set in the package's own unit and frame; the same to a predictor as a `SceneGroup`.

    Attributes:
        rows: of the whole data set, with the package's codes of types.
        members: (S,) numbers of the scenes.
        unit, frame: of their files.
        types: names of the node types in the data set; stored_types: (nodes,) which of them each node has.
    """

    rows: MemoryMap
    members: Int
    unit: Unit
    frame: Frame
    types: NDArray[np.str_]
    stored_types: Int

    def name(self, scene: int) -> str:
        """Of scene number `scene`."""
        return self.rows.scene_names[scene]

    def source(self, scene: int) -> Source:
        """Where it came from."""
        info = self.rows.scene_info[scene]
        return Source(info["path"], info["format"], info["options"])

    def where(self, scene: int) -> str:
        """File and name of a scene, for messages."""
        return f"{self.source(scene).path or 'input'}: scene '{self.name(scene)}'"

    def where_at(self, index: int) -> str:
        """File and name of the scene at an index of `members`."""
        return self.where(self.members[index])

    def back(self, positions: Float) -> Float:
        """(..., D) in the package's unit -> numbers of the file."""
        return self.unit.to_file(positions)

    @property
    def way_back(self) -> Float:
        """(D, D) the matrix of `back`, for columns of coordinates."""
        return self.back(np.eye(self.rows.position.shape[1])).T

    def labels(self, member: Int) -> tuple[Labels, Labels]:
        """Ids and types of nodes, which are counted through the data set."""
        return self._ids[member - self._first], Labels(self.types, self.stored_types[member])

    @property
    def _first(self) -> int:
        return int(self.rows.node_offsets[self.members[0]])

    @cached_property
    def _ids(self) -> Labels:
        texts = np.array(self.rows.node_ids[self._first : self.rows.node_offsets[self.members[-1] + 1]])
        whole = self.rows.scene_info[self.members[0]]["integer_ids"]
        return Labels.of([texts.astype(np.int64) if whole else texts])


def stored_groups(dataset: Dataset, first: int, last: int, package: Package, extra_types: int) -> Iterator[StoredGroup] | None:
    """The scenes from `first` until before `last`; None where they must be converted first.

    Raises:
        DataError: if a scene has another frame rate than the model.
    """
    manifest, known = dataset.manifest, package.schema
    own_edges = known.edge_types[: len(known.edge_types) - extra_types]
    alike = (
        (manifest.dim, manifest.unit, manifest.frame) == (known.dim, package.unit, package.frame)
        and set(manifest.node_types) <= set(known.node_types)
        and set(manifest.edge_types) <= set(own_edges)
        and all(_alike(manifest.fields.get(name), about) for name, about in package.fields.items())
        and (package.window.history == 1 or (np.diff(dataset.rows.grid_offsets[first : last + 1]) > 1).all())
    )
    return _groups(dataset, first, last, package, own_edges) if alike else None


def _groups(dataset: Dataset, first: int, last: int, package: Package, own_edges: tuple[str, ...]) -> Iterator[StoredGroup]:
    stored, manifest = dataset.rows, dataset.manifest
    rows = _recoded(dataset, package.schema.node_types, own_edges)

    def kind(scene: int) -> Any:
        info = rows.scene_info[scene]
        return info["per_axis"], info["integer_ids"], (scene - first) // SCENES_PER_GROUP

    for (per_axis, _, _), found in groupby(range(first, last), kind):
        members = np.array(list(found))
        several = np.diff(rows.grid_offsets)[members] > 1
        group = StoredGroup(
            rows, members, Unit(manifest.unit, tuple(per_axis)), manifest.frame, np.array(manifest.node_types), stored.node_type
        )
        check_rates(group.where_at, rows.dt[members], several, package)
        yield group
        stored.release()


@lru_cache(maxsize=1)
def _recoded(dataset: Dataset, node_types: tuple[str, ...], edge_types: tuple[str, ...]) -> MemoryMap:
    """The rows of a data set with the package's codes of types."""
    rows, manifest = dataset.rows, dataset.manifest
    codes = np.array([node_types.index(name) for name in manifest.node_types], dtype=np.int64)
    kinds = np.array([edge_types.index(name) for name in manifest.edge_types], dtype=np.int64)
    changed: dict[str, Any] = {}
    if (codes != np.arange(len(codes))).any():
        changed["node_type"] = codes[rows.node_type]
    if (kinds != np.arange(len(kinds))).any():
        changed["edge_type"] = kinds[rows.edge_type]
    return replace(rows, **changed) if changed else rows


def _alike(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    return found is not None and all(found[key] == wanted[key] for key in ("irreps", "unit", "translates", "per_frame"))
