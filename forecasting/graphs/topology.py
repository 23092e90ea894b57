"""Topologies: which nodes of a window exchange messages."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from forecasting.errors import UsageError
from forecasting.graphs.neighbors import complete_pairs, nearest_pairs, radius_pairs, two_hop_pairs
from forecasting.trajectories.windows import Int, WindowBatch

NEAR, TWO_HOP = "near", "two-hop"


class Topology(Protocol):
    """A rule that gives every window its edges.

    The edge types it returns count through the data's own types first, then through `extra_types`.
    """

    extra_types: ClassVar[tuple[str, ...]]

    def edges(self, windows: WindowBatch, known_types: int) -> tuple[Int, Int]:
        """(2, E) source and target among the windows' nodes, (E,) edge types."""
        ...


@dataclass(frozen=True)
class Complete:
    """Everyone sees everyone. A pair that the data connect keeps its type, the others are ``near``."""

    extra_types: ClassVar[tuple[str, ...]] = (NEAR,)

    def edges(self, windows: WindowBatch, known_types: int) -> tuple[Int, Int]:
        """See `Topology.edges`."""
        return _typed(complete_pairs(np.diff(windows.offsets)), windows, known_types)


@dataclass(frozen=True)
class Radius:
    """Everyone within `radius` [unit of the data] of the anchor position, and the data's own connections."""

    radius: float
    extra_types: ClassVar[tuple[str, ...]] = (NEAR,)

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise UsageError(f"graph.radius must be positive, found {self.radius}")

    def edges(self, windows: WindowBatch, known_types: int) -> tuple[Int, Int]:
        """See `Topology.edges`."""
        near = radius_pairs(windows.position[:, -1], windows.offsets, self.radius)
        return _with_known(near, windows, known_types)


@dataclass(frozen=True)
class Nearest:
    """The `k` nearest at the anchor, and the data's own connections."""

    k: int
    extra_types: ClassVar[tuple[str, ...]] = (NEAR,)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"graph.k must be at least 1, found {self.k}")

    def edges(self, windows: WindowBatch, known_types: int) -> tuple[Int, Int]:
        """See `Topology.edges`."""
        near = nearest_pairs(windows.position[:, -1], windows.offsets, self.k)
        return _with_known(near, windows, known_types)


class Skeleton:
    """The data's own connections; with `two_hop` also the pairs two connections apart (GMN, EGNO).

    The pairs of a scene are found once and kept as long as the same nodes are present.
    """

    extra_types: ClassVar[tuple[str, ...]] = (TWO_HOP,)

    def __init__(self, two_hop: bool = True) -> None:
        self.two_hop = two_hop
        self._known: dict[bytes, tuple[Int, Int]] = {}

    def edges(self, windows: WindowBatch, known_types: int) -> tuple[Int, Int]:
        """See `Topology.edges`.

        Raises:
            UsageError: if the data have no connections.
        """
        if known_types == 0:
            raise UsageError("graph=skeleton needs connections, but these data have none; take graph=complete, radius or nearest")
        pairs, types = [], []
        window_of_edge = windows.window_of_node[windows.edge_index[0]]
        order = np.argsort(window_of_edge, kind="stable")
        bounds = np.searchsorted(window_of_edge[order], np.arange(len(windows) + 1))
        for window in range(len(windows)):
            first, last = windows.offsets[window : window + 2]
            chosen = order[bounds[window] : bounds[window + 1]]
            local, kind = self._scene(windows.edge_index[:, chosen] - first, windows.edge_type[chosen], last - first, known_types)
            pairs.append(local + first)
            types.append(kind)
        return np.concatenate(pairs, axis=1), np.concatenate(types)

    def _scene(self, edges: Int, types: Int, nodes: int, known_types: int) -> tuple[Int, Int]:
        key = edges.tobytes() + types.tobytes() + bytes(str(nodes), "ascii")
        if key not in self._known:
            far = two_hop_pairs(edges, nodes) if self.two_hop else np.zeros((2, 0), dtype=np.int64)
            pairs = np.concatenate([edges, far], axis=1)
            kinds = np.concatenate([types, np.full(far.shape[1], known_types)])
            order = np.lexsort((pairs[0], pairs[1]))
            self._known[key] = pairs[:, order], kinds[order]
        return self._known[key]


TOPOLOGIES = {"complete": Complete, "radius": Radius, "nearest": Nearest, "skeleton": Skeleton}


def _typed(pairs: Int, windows: WindowBatch, known_types: int) -> tuple[Int, Int]:
    """Give pairs that the data connect their own type, the others the type after the last."""
    kinds = np.full(pairs.shape[1], known_types)
    if windows.edge_index.shape[1]:
        nodes = len(windows.node)
        known = windows.edge_index[0] * nodes + windows.edge_index[1]
        order = np.argsort(known)
        wanted = pairs[0] * nodes + pairs[1]
        place = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
        found = known[order][place] == wanted
        kinds[found] = windows.edge_type[order][place[found]]
    return pairs, kinds


def _with_known(near: Int, windows: WindowBatch, known_types: int) -> tuple[Int, Int]:
    both = np.concatenate([near, windows.edge_index], axis=1)
    pairs = np.unique(both[::-1], axis=1)[::-1] if windows.edge_index.shape[1] else both
    return _typed(pairs, windows, known_types)
