"""Who sees whom, against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import UsageError
from forecasting.graphs.neighbors import complete_pairs, nearest_pairs, radius_pairs, two_hop_pairs
from forecasting.graphs.topology import Complete, Nearest, Radius, Skeleton
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.windows import WindowSpec

COUNTS = st.lists(st.integers(0, 6), min_size=1, max_size=5)


def pairs_of(edges):
    return set(map(tuple, edges.T.tolist()))


def places(counts, seed):
    """Points on a coarse grid, so that some coincide."""
    return np.random.default_rng(seed).integers(-3, 4, size=(sum(counts), 3)) * 0.5


def brute(counts, keep):
    found, first = set(), 0
    for count in counts:
        members = range(first, first + count)
        found |= {(j, i) for i in members for j in members if i != j and keep(j, i, members)}
        first += count
    return found


@given(counts=COUNTS)
def test_complete(counts):
    edges = complete_pairs(np.array(counts))
    assert pairs_of(edges) == brute(counts, lambda j, i, members: True)
    assert (np.diff(edges[1]) >= 0).all()
    assert len(pairs_of(edges)) == edges.shape[1]


@given(counts=COUNTS, seed=st.integers(0, 99), radius=st.floats(0.3, 2.0))
def test_radius(counts, seed, radius):
    x = places(counts, seed)
    edges = radius_pairs(x, np.concatenate([[0], np.cumsum(counts)]), radius)
    assert pairs_of(edges) == brute(counts, lambda j, i, members: np.linalg.norm(x[i] - x[j]) <= radius)


@given(counts=COUNTS, seed=st.integers(0, 99), k=st.integers(1, 8))
def test_nearest(counts, seed, k):
    x = places(counts, seed)
    edges = nearest_pairs(x, np.concatenate([[0], np.cumsum(counts)]), k)
    assert pairs_of(edges) <= brute(counts, lambda j, i, members: True)
    first = 0
    for count in counts:
        for i in range(first, first + count):
            others = np.sort([np.linalg.norm(x[i] - x[j]) for j in range(first, first + count) if j != i])
            mine = np.sort(np.linalg.norm(x[edges[0][edges[1] == i]] - x[i], axis=-1))
            np.testing.assert_allclose(mine, others[:k], atol=1e-12)
        first += count


@given(seed=st.integers(0, 99), nodes=st.integers(1, 12))
def test_two_hops(seed, nodes):
    adjacency = np.random.default_rng(seed).random((nodes, nodes)) < 0.2
    adjacency = (adjacency | adjacency.T) & ~np.eye(nodes, dtype=bool)
    edges = np.stack(np.nonzero(adjacency)).astype(np.int64)
    reach = (adjacency.astype(int) @ adjacency.astype(int) > 0) & ~adjacency & ~np.eye(nodes, dtype=bool)
    assert pairs_of(two_hop_pairs(edges, nodes)) == pairs_of(np.stack(np.nonzero(reach)))


@pytest.mark.parametrize(
    "topology", [Complete(), Radius(1.5), Nearest(2), Skeleton()], ids=lambda topology: type(topology).__name__
)
def test_known_connections_keep_their_type(topology, tmp_path):
    dataset = random_dataset(tmp_path / "data")
    windows = dataset.windows(WindowSpec(1, (1,)), dataset.anchors(WindowSpec(1, (1,))))
    edges, types = topology.edges(windows, 1)
    bones = pairs_of(windows.edge_index)
    assert pairs_of(edges[:, types == 0]) == bones
    assert bones.isdisjoint(pairs_of(edges[:, types == 1]))
    assert set(types.tolist()) == {0, 1}
    window = windows.window_of_node
    assert (window[edges[0]] == window[edges[1]]).all()


def test_wrong_arguments(tmp_path):
    with pytest.raises(UsageError, match="positive"):
        Radius(0)
    with pytest.raises(UsageError, match="at least 1"):
        Nearest(0)
    dataset = random_dataset(tmp_path / "data")
    windows = dataset.windows(WindowSpec(1, (1,)), dataset.anchors(WindowSpec(1, (1,))))
    with pytest.raises(UsageError, match="needs connections"):
        Skeleton().edges(windows, 0)
