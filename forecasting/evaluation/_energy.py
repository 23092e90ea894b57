"""Energy distance of two samples in blocks, and distance correlation, with p-values from permuting whole blocks.

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


def dependence_test(
    places: Float, features: Float, block: Int, rng: np.random.Generator, permutations: int
) -> tuple[float, float]:
    """Whether the features of blocks depend on their places.

    Args:
        places: (n, P); features: (n, F); block: (n,) number of each row's block; rng, permutations: see `energy_test`.

    Returns:
        distance correlation, 0 … 1, and the share of permutations of the blocks' places, this one among them, with one at
        least as large.
    """
    blocks = int(block.max()) + 1
    place, feature = (_centred(_mean_distances(values, block, blocks)) for values in (places, features))
    orders = [np.arange(blocks), *(rng.permutation(blocks) for _ in range(permutations))]
    covariance = np.array([(place[np.ix_(order, order)] * feature).sum() for order in orders])
    size = np.sqrt((place**2).sum() * (feature**2).sum())
    reached = np.count_nonzero(covariance >= covariance[0] - 1e-12 * size)
    return float(np.sqrt(max(covariance[0] / size, 0))) if size > 0 else 0.0, reached / len(orders)


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


def _centred(distances: Float) -> Float:
    """The matrix less the means of its rows and columns."""
    return distances - distances.mean(axis=0) - distances.mean(axis=1, keepdims=True) + distances.mean()
