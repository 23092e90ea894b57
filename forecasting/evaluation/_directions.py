"""Weighted directions, the cells of a circle or a sphere that they fall into, and what share of turned copies they cover."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation._motion import Motion
from forecasting.symmetry.groups._directions import perpendicular
from forecasting.symmetry.groups.base import LinearGroup
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

SLOW = 0.2
"""Vectors shorter than this share of the 90 % quantile of lengths have no direction worth counting."""
OFTEN = 0.2
"""A cell is covered if the data take it at least this often, as a share of how often the moved copies do."""
TRACKS, SCENES = 3, 3
"""A cell is covered if that many nodes, and scenes where there are as many, take it."""
ENOUGH = 0.95
"""Share of the moved copies that must fall into covered cells."""
CIRCLE_CELLS, BANDS, AROUND = 18, 6, 8
POINTS, ELEMENTS = 1000, 200


@dataclass(frozen=True, eq=False)
class Directions:
    """Unit vectors with weights.

    Attributes:
        unit: (M, 3); weight: (M,) summing to 1; scene, track: (M,) where each comes from; shortest: length from which a
            vector counted.
    """

    unit: Float
    weight: Float
    scene: Int
    track: Int
    shortest: float


def directions(motion: Motion, vectors: Float, axis: Float | None = None) -> Directions:
    """Directions of the vectors (M, 3) of a motion's nodes, of their parts across `axis` (3,) if there is one.

    Every scene weighs as many vectors as it has, but no more than the median scene: a long scene does not outweigh the others,
    a short one is not blown up.
    """
    if axis is not None:
        vectors = vectors - np.outer(vectors @ axis, axis)
    length = np.linalg.norm(vectors, axis=1)
    shortest = SLOW * float(np.quantile(length, 0.9)) if len(length) else 0.0
    kept = (length > shortest) & (length > 0)
    scene = motion.node_scene[kept]
    _, of, count = np.unique(scene, return_inverse=True, return_counts=True)
    each = np.minimum(count, np.median(count)) / count if len(count) else np.ones(0)
    weight = each[of] / max(float((each * count).sum()), 1e-300)
    return Directions(vectors[kept] / length[kept, None], weight, scene, motion.track[kept], shortest)


def angles_about(unit: Float, axis: Float) -> Float:
    """(M,) angles [rad] in (−π, π] of vectors (M, 3) about `axis`: from x about z, from z about y, from y about x."""
    first = np.roll(np.eye(3)[np.abs(axis).argmax()], 1) if np.isclose(np.abs(axis).max(), 1) else perpendicular(axis)
    return np.arctan2(unit @ np.cross(axis, first), unit @ first)


@dataclass(frozen=True, eq=False)
class Cells:
    """18 arcs of 20° about `axis`, or 48 cells of equal area of the sphere where there is none."""

    axis: Float | None

    @property
    def count(self) -> int:
        """How many there are."""
        return BANDS * AROUND if self.axis is None else CIRCLE_CELLS

    def of(self, unit: Float) -> Int:
        """(M,) the cell of each vector (M, 3)."""
        axis, around = (np.array([0.0, 0.0, 1.0]), AROUND) if self.axis is None else (self.axis, CIRCLE_CELLS)
        turn = np.floor((angles_about(unit, axis) + np.pi) / (2 * np.pi) * around).astype(int) % around
        if self.axis is not None:
            return turn
        return turn + AROUND * np.clip(np.floor((unit[:, 2] + 1) / 2 * BANDS).astype(int), 0, BANDS - 1)


def cells_for(group: LinearGroup, up: Float) -> Cells:
    """Arcs about the group's axis, or about `up`, if the group leaves that axis alone; the sphere if it moves both."""
    for axis in (group.axis, up):
        if axis is not None and _keeps(group, axis):
            return Cells(axis)
    return Cells(None)


def covered_share(group: LinearGroup, found: Directions, cells: Cells, seed: int = 0) -> float:
    """Share of the copies, moved by elements drawn uniformly from the group, that fall into cells which the data cover.

    1: every moved copy looks like something in the data; near 0: hardly any does. Where the group turns directions to everywhere
    the copies are uniform; else 1000 directions are moved by 200 elements.
    """
    if not len(found.unit):
        return 0.0
    rng = np.random.default_rng(seed)
    cell = cells.of(found.unit)
    share = np.bincount(cell, found.weight, cells.count)
    wanted = np.full(cells.count, 1 / cells.count)
    if len(group.generators()) < (1 if cells.axis is not None else 3):
        some = found.unit[rng.choice(len(found.unit), POINTS, p=found.weight)]
        moved = np.einsum("gij,mj->gmi", group.sample(rng, ELEMENTS), some).reshape(-1, 3)
        wanted = np.bincount(cells.of(moved), minlength=cells.count) / len(moved)
    scenes = min(SCENES, len(np.unique(found.scene)))
    reached = (_different(cell, found.track, cells.count) >= TRACKS) & (_different(cell, found.scene, cells.count) >= scenes)
    return float(wanted[reached & (share >= OFTEN * wanted)].sum())


def _different(cell: Int, owner: Int, count: int) -> Int:
    """(count,) number of different owners in each cell."""
    return np.bincount(np.unique(np.stack([cell, owner]), axis=1)[0], minlength=count)


def _keeps(group: LinearGroup, axis: Float) -> bool:
    turned = np.abs(group.generators() @ axis).max(initial=0)
    return bool(turned < 1e-9 and np.abs(group.components() @ axis - axis).max() < 1e-9)
