"""Energy distance of two samples in blocks, with a p-value from permuting whole blocks.

Szekely and Rizzo, "Energy statistics: a class of statistics based on distances", 2013.
"""

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]


def energy_test(
    features: Float, block: Int, second: NDArray[np.bool_], rng: np.random.Generator, permutations: int
) -> tuple[float, float]:
    """Whether the blocks marked `second` look like the others.

    Args:
        features: (n, F); block: (n,) number of each row's block; second: (blocks,) which blocks make the second sample.
        rng: of the permutations; permutations: how many. Every block counts alike, whatever its number of rows.

    Returns:
        (2 E|X − Y| − E|X − X'| − E|Y − Y'|) / 2 E|X − Y|, in 0 … 1, and the share of permutations, this one among them, with a
        difference at least as large.
    """
    between = _mean_distances(features, block, len(second))
    labels = np.stack([second, *(rng.permutation(second) for _ in range(permutations))]).astype(np.float64)
    ours, others = labels / labels.sum(axis=1, keepdims=True), (1 - labels) / (1 - labels).sum(axis=1, keepdims=True)
    across = 2 * ((ours @ between) * others).sum(axis=1)
    distance = across - ((ours @ between) * ours).sum(axis=1) - ((others @ between) * others).sum(axis=1)
    reached = np.count_nonzero(distance >= distance[0] * (1 - 1e-12))
    return float(distance[0] / across[0]) if across[0] > 0 else 0.0, reached / len(labels)


def holm(p_values: Float) -> Float:
    """(n,) p-values times how many hypotheses are left at each, in increasing order (Holm 1979)."""
    order = np.argsort(p_values)
    stepped = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def _mean_distances(features: Float, block: Int, blocks: int) -> Float:
    """(blocks, blocks) mean distance between rows of each pair of blocks."""
    square = (features**2).sum(axis=1)
    distances = np.sqrt(np.maximum(square[:, None] + square - 2 * features @ features.T, 0))
    member = np.zeros((blocks, len(block)))
    member[block, np.arange(len(block))] = 1 / np.bincount(block, minlength=blocks)[block]
    return member @ distances @ member.T
