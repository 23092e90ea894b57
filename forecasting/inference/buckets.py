"""Micro-batches: how many windows are computed at once, bounded by their nodes and edges."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from forecasting.errors import UsageError
from forecasting.graphs.topology import Nearest, Skeleton, Topology
from forecasting.trajectories.windows import Int

HOPS = 8
"""Edges of a skeleton with pairs two steps apart, for each connection of the data: bodies and molecules have 4 to 7."""


@dataclass(frozen=True)
class Limits:
    """What one micro-batch may hold; a window beyond them is computed alone.

    Attributes:
        nodes, edges: of all windows together. More than these defaults is no faster on a CPU, where activations should stay in
            its cache.
    """

    nodes: int = 8192
    edges: int = 32_768

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.edges < 1:
            raise UsageError(f"a micro-batch holds at least one node and edge, found {self.nodes} and {self.edges}")

    def parts(self, nodes: Int, edges: Int) -> Iterator[slice]:
        """Cut windows, in their order, into micro-batches; none is empty.

        Args:
            nodes, edges: (W,) of each window.
        """
        ends = [(np.cumsum(count), limit) for count, limit in ((nodes, self.nodes), (edges, self.edges))]
        start = 0
        while start < len(nodes):
            before = [end[start - 1] if start else 0 for end, _ in ends]
            stops = [np.searchsorted(end, base + limit, "right") for (end, limit), base in zip(ends, before, strict=True)]
            stop = max(int(min(stops)), start + 1)
            yield slice(start, stop)
            start = stop


@singledispatch
def expected_edges(topology: Topology, nodes: Int, known: Int) -> Int:
    """(W,) number of edges that windows will have, or a little more; without a rule of its own, a topology connects all.

    Args:
        topology: which nodes see each other.
        nodes: (W,) number of nodes; known: (W,) connections that the data give, each counted once.
    """
    return nodes * np.maximum(nodes - 1, 0)


@expected_edges.register
def _(topology: Nearest, nodes: Int, known: Int) -> Int:
    return nodes * np.clip(nodes - 1, 0, topology.k) + 2 * known


@expected_edges.register
def _(topology: Skeleton, nodes: Int, known: Int) -> Int:
    return np.minimum(nodes * np.maximum(nodes - 1, 0), known * (HOPS if topology.two_hop else 2))
