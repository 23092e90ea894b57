"""Finding who is near whom, window by window."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

Int = NDArray[np.int64]
Float = NDArray[np.float64]


def complete_pairs(counts: Int) -> Int:
    """(2, E) every ordered pair of different nodes within each window of `counts` (W,) nodes; target-sorted."""
    first = np.cumsum(counts) - counts
    degree = np.repeat(np.maximum(counts - 1, 0), counts)
    node = np.arange(counts.sum())
    target = np.repeat(node, degree)
    place = np.arange(degree.sum()) - np.repeat(np.cumsum(degree) - degree, degree)
    start = np.repeat(first, counts)[target]
    source = start + place + (place >= target - start)
    return np.stack([source, target])


def radius_pairs(positions: Float, offsets: Int, radius: float) -> Int:
    """(2, E) ordered pairs no farther apart than `radius`, within each window; target-sorted.

    Args:
        positions: (M, D) anchor positions; offsets: (W + 1,) first node of each window; radius: in their unit.
    """
    parts = []
    for first, last in pairwise(offsets):
        pairs = cKDTree(positions[first:last]).query_pairs(radius, output_type="ndarray").astype(np.int64) + first
        parts.append(np.concatenate([pairs, pairs[:, ::-1]]))
    return _sorted(np.concatenate(parts) if parts else np.zeros((0, 2), dtype=np.int64))


def nearest_pairs(positions: Float, offsets: Int, k: int) -> Int:
    """(2, E) each node's `k` nearest others (all, where there are fewer) as sources, within each window; target-sorted.

    Of nodes at equal distance the tree's order decides, which does not depend on other windows.
    """
    parts = []
    for first, last in pairwise(offsets):
        count = last - first
        if count < 2:
            continue
        wanted = min(k + 1, count)
        _, found = cKDTree(positions[first:last]).query(positions[first:last], k=wanted)
        target = np.repeat(np.arange(count), wanted)
        source = found.reshape(-1).astype(np.int64)
        other = source != target
        place = np.cumsum(other.reshape(count, wanted), axis=1).reshape(-1)
        kept = other & (place <= k)
        parts.append(np.stack([source[kept], target[kept]], axis=1) + first)
    return _sorted(np.concatenate(parts) if parts else np.zeros((0, 2), dtype=np.int64))


def two_hop_pairs(edges: Int, nodes: int) -> Int:
    """(2, E) ordered pairs exactly two steps apart along `edges` (2, E1, both directions), among `nodes` nodes."""
    ones = np.ones(edges.shape[1], dtype=np.int64)
    adjacency = coo_array((ones, (edges[0], edges[1])), shape=(nodes, nodes)).tocsr()
    source, target = (adjacency @ adjacency).tocoo().coords
    direct = np.isin(source * nodes + target, edges[0] * nodes + edges[1])
    far = (source != target) & ~direct
    return np.stack([source[far], target[far]]).astype(np.int64)


def _sorted(pairs: Int) -> Int:
    order = np.lexsort((pairs[:, 0], pairs[:, 1]))
    return np.ascontiguousarray(pairs[order].T)
