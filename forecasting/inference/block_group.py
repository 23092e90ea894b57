"""Scenes of a block, forecast from its arrays without making each of them an object."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecasting.inference.group import Group
from forecasting.inference.scenes import SceneGroup, WayBack, check_rates, conversion_of, scene_groups, where
from forecasting.packages.package import Package
from forecasting.trajectories.clock import Clock
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.memory_map import MemoryMap
from forecasting.trajectories.scene_block import SceneBlock, Scenes
from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
_Known: TypeAlias = tuple[dict[str, Field], Int]
ENOUGH = 512
"""Nodes of a block from which it is a group of its own; the scenes of smaller ones are put together with others."""


@dataclass(frozen=True, eq=False)
class BlockGroup:
    """The scenes of one block; see `Group`.

    Attributes:
        block: as it was read, every position observed.
        rows: in the package's unit and frame, with its codes of types.
        back_to: the numbers of the file.
    """

    block: SceneBlock
    rows: MemoryMap
    back_to: WayBack

    @property
    def members(self) -> Int:
        """See `Group`."""
        return np.arange(len(self.block))

    @property
    def unit(self) -> Unit:
        """See `Group`."""
        return self.block.unit

    @property
    def frame(self) -> Frame:
        """See `Group`."""
        return self.block.frame

    @cached_property
    def way_back(self) -> Float:
        """See `Group`."""
        return self.back_to.matrix(self.block.dim)

    def name(self, scene: int) -> str:
        """See `Group`."""
        return self.block.names[scene]

    def source(self, scene: int) -> Source:
        """See `Group`."""
        return self.block.source

    def where(self, scene: int) -> str:
        """See `Group`."""
        return where(self.block.source, self.block.names[scene])

    def back(self, positions: Float) -> Float:
        """See `Group`."""
        return self.back_to(positions)

    def labels(self, member: Int) -> tuple[Labels, Labels]:
        """See `Group`."""
        rows = self.block.first_frames[member]
        return self.block.node_ids[rows], self.block.node_types[rows]


def groups_of(items: Iterable[Scenes], package: Package, extra_types: int) -> Iterator[Group]:
    """Scenes in their order, as groups of about one batch or more.

    Args:
        items: to forecast; package: what they are for; extra_types: edge types that the topology adds to the data's own.

    Raises:
        DataError: if a scene lacks a field or has a node type that the model does not know, or another frame rate.
        UsageError: if its unit or frame cannot be converted.
    """
    alone: list[tuple[SceneBlock, _Known]] = []

    def others() -> Iterator[Trajectory]:
        """Scenes up to the next block that is a group of its own."""
        for item in remaining:
            if isinstance(item, SceneBlock):
                known = _known(item, package) if item.nodes.sum() >= ENOUGH else None
                if known is not None:
                    alone.append((item, known))
                    return
                yield from item
            else:
                yield item

    remaining = iter(items)
    while True:
        yield from (SceneGroup.of(scenes, package, extra_types) for scenes in scene_groups(others()))
        if not alone:
            return
        yield _of_block(*alone.pop(), package, extra_types)


def _known(block: SceneBlock, package: Package) -> _Known | None:
    """Fields and types of a block as the package knows them; None where its scenes must be looked at one by one."""
    fields = _fields(block, package)
    types = _types(block, package.schema.node_types)
    if (
        fields is None
        or types is None
        or block.dim != package.schema.dim
        or not block.valid.all()
        or (package.window.history > 1 and (block.frames < 2).any())
    ):
        return None
    return fields, types


def _of_block(block: SceneBlock, fields_and_types: _Known, package: Package, extra_types: int) -> BlockGroup:
    """The group of a block whose fields and types are known."""
    known, (fields, types) = package.schema, fields_and_types
    factor, turn = conversion_of(block.unit, block.frame, package, where(block.source, block.names[0]))
    constant = frozenset(name for name, about in package.fields.items() if not about["per_frame"])
    inner = replace(block, fields=fields, constant=constant)
    if factor != 1.0 or block.unit.name != package.unit:
        inner = inner.in_unit(package.unit)
    if turn is not None:
        inner = inner.transformed(turn)
    own_edges = known.edge_types[: len(known.edge_types) - extra_types]
    rows = _rows(inner, types, own_edges)
    check_rates(lambda index: where(block.source, block.names[index]), rows.dt, block.frames > 1, package)
    return BlockGroup(block, rows, WayBack(block.unit, factor, turn))


def _fields(block: SceneBlock, package: Package) -> dict[str, Field] | None:
    """The fields that the package knows, as it knows them (see `known_fields`); None where they are not like that."""
    found = {}
    for name, about in package.fields.items():
        item = block.fields.get(name)
        if item is None or item.irreps != about["irreps"] or item.translates != about["translates"]:
            return None
        if not about["per_frame"] and name not in block.constant:
            first = item.values[block.first_frames][block.node_of_row]
            if not np.array_equal(first, item.values):
                return None
        found[name] = item
    return found


def _types(block: SceneBlock, known: tuple[str, ...]) -> Int | None:
    """(R,) codes of the types of rows; None where there are unknown ones."""
    if len(known) == 1:
        return np.zeros(len(block.time), dtype=np.int64)
    code = {name: index for index, name in enumerate(known)}
    own = np.array([code.get(str(name), -1) for name in block.node_types.names])
    found: Int = own[block.node_types.code]
    return None if (found < 0).any() else found


def _rows(block: SceneBlock, types: Int, edge_types: tuple[str, ...]) -> MemoryMap:
    """The rows of a block that is in the package's unit and frame."""
    clock = Clock.of(block.scene_of_row, block.time, block.dt)
    stride = int(block.nodes.max())
    first = block.first_frames
    edges, kinds, counts = _edges(block, edge_types)
    return MemoryMap(
        key=(clock.offsets[block.scene_of_row] + clock.grid) * stride + block.place % block.nodes[block.scene_of_row],
        position=block.positions,
        fields={name: item.values[first] if name in block.constant else item.values for name, item in block.fields.items()},
        grid_offsets=clock.offsets,
        grid_time=clock.time,
        clock_error=clock.error,
        dt=clock.dt,
        node_offsets=np.concatenate([[0], np.cumsum(block.nodes)]),
        edge_offsets=np.concatenate([[0], np.cumsum(counts)]),
        node_ids=[],
        node_type=types[first],
        edges=edges,
        edge_type=kinds,
        scene_names=list(block.names),
        scene_info=[],
        node_stride=stride,
    )


def _edges(block: SceneBlock, known: tuple[str, ...]) -> tuple[Int, Int, Int]:
    """(E, 2) pairs and (E,) types of all scenes' connections of types that are known, and (S,) how many each has."""
    code = {name: index for index, name in enumerate(known)}
    pairs, kinds, counts = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0, dtype=np.int64)], np.zeros(len(block), dtype=np.int64)
    before, mine, codes = None, pairs[0], kinds[0]
    for scene, name in enumerate(block.names if block.connected else ()):
        if name in block.connected:
            ends, types = block.edges(scene)
            if types is not before:
                codes = np.array([code.get(kind, -1) for kind in types.tolist()], dtype=np.int64)
                before, mine, codes = types, ends[codes >= 0], codes[codes >= 0]
            pairs.append(mine)
            kinds.append(codes)
            counts[scene] = len(codes)
    return np.concatenate(pairs), np.concatenate(kinds), counts
