"""Which scenes of a block no check would say anything of, found for all of them at once."""

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.scene_block import SceneBlock
from forecasting.trajectories.validation import JUMP_FACTOR


def clean(block: SceneBlock) -> NDArray[np.bool_]:
    """(S,) scenes in which `validation.validate` finds nothing, not even a warning; of the others some may be as clean.

    The steps of a scene are looked at as `validation` does for a single one: where the fastest is finite, and at least half are
    so fast that it is no jump, no step is one.
    """
    sizes, nodes, starts = block.sizes, block.nodes, block.starts[:-1]
    odd = ~block.valid | ~np.isfinite(block.positions).all(axis=1)
    for item in block.fields.values():
        odd |= ~np.isfinite(item.values).all(axis=1)
    good: NDArray[np.bool_] = (sizes > nodes) & ~np.logical_or.reduceat(odd, starts)
    if not good.any():
        return good
    of_row = nodes[block.scene_of_row]
    later = np.flatnonzero((block.place >= of_row) & good[block.scene_of_row])
    before, scene = later - of_row[later], block.scene_of_row[later]
    moved = np.zeros(len(later))
    with np.errstate(over="ignore", invalid="ignore"):
        for axis in range(block.dim):
            column = block.positions[:, axis]
            moved += np.square(column[later] - column[before])
        moved /= (block.time[later] - block.time[before]) ** 2
    steps = (sizes - nodes)[good]
    first = np.cumsum(steps) - steps
    fastest = np.zeros(len(block))
    fastest[good] = np.maximum.reduceat(moved, first)
    usual = np.add.reduceat((moved * JUMP_FACTOR**2 >= fastest[scene]).astype(np.int64), first)
    good[good] = np.isfinite(fastest[good]) & (usual > steps // 2)
    return good & ~_ends_where_it_began(block)


def _ends_where_it_began(block: SceneBlock) -> NDArray[np.bool_]:
    """(S,) whether a node has the same position in the first and in the last frame, so that it may never have moved."""
    of_row = block.nodes[block.scene_of_row]
    first = np.flatnonzero(block.place < of_row)
    last = first + (block.sizes - block.nodes)[block.scene_of_row[first]]
    same = (block.positions[first] == block.positions[last]).all(axis=1)
    found: NDArray[np.bool_] = np.logical_or.reduceat(same, np.cumsum(block.nodes) - block.nodes)
    return found
