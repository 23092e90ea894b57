"""Whether a large scene fits into memory, asked before its edges are made."""

import os
import resource
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch.utils._python_dispatch import TorchDispatchMode

from forecasting.errors import DataError
from forecasting.graphs.build import GraphBuilder
from forecasting.graphs.topology import Complete, Nearest, Radius, Topology
from forecasting.models.base import Forecaster
from forecasting.trajectories.windows import WindowBatch

LARGE = 1 << 20
"""Pairs of nodes in a window from which on it is worth asking."""
PROBES = (24, 48)
BUILDING = 200
"""[bytes] that making an edge takes at most, besides what the model needs."""
KEPT_FREE = 0.1


def check_memory(windows: WindowBatch, builder: GraphBuilder, model: Forecaster, where: str = "a scene") -> None:
    """Refuse a window whose graph does not fit; windows of ordinary size are not looked at.

    What an edge costs is measured on small complete graphs of the window's own nodes.

    Args:
        windows: to be computed at once; builder: of their graphs; model: to compute; where: file and scene, for the message.

    Raises:
        DataError: names the scene and says what is needed, what there is, and what to do.
    """
    nodes = np.diff(windows.offsets)
    if len(windows) != 1 or nodes[0] * (nodes[0] - 1) < LARGE:
        return
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    count, free = edge_count(builder.topology, windows), free_memory(device)
    each = bytes_per_edge(windows, builder, model, device) + BUILDING
    if count * each > free * (1 - KEPT_FREE):
        raise DataError(
            f"{where} has {nodes[0]:,} nodes and {count:,} edges at {windows.anchor_time[0]:.6g} s, which need "
            f"about {count * each / 2**30:.1f} GiB; {free / 2**30:.1f} GiB are free. Train with graph=nearest or graph=radius, "
            "which see fewer pairs, or split the scene"
        )


@singledispatch
def edge_count(topology: Topology, windows: WindowBatch) -> int:
    """Number of edges of one window, without making them where there are many; others than these are sparse, and made."""
    return int(topology.edges(windows, 1)[0].shape[1])


@edge_count.register
def _(topology: Complete, windows: WindowBatch) -> int:
    return len(windows.node) * (len(windows.node) - 1)


@edge_count.register
def _(topology: Nearest, windows: WindowBatch) -> int:
    return len(windows.node) * topology.k + windows.edge_index.shape[1]


@edge_count.register
def _(topology: Radius, windows: WindowBatch) -> int:
    tree = cKDTree(windows.position[:, -1])
    return int(tree.count_neighbors(tree, topology.radius)) - len(windows.node) + windows.edge_index.shape[1]


def bytes_per_edge(windows: WindowBatch, builder: GraphBuilder, model: Forecaster, device: torch.device) -> float:
    """Memory that the model takes for one more edge, at most."""
    complete = replace(builder, topology=Complete())
    peaks = []
    for count in PROBES:
        batch = complete.build(_first(windows, count)).to(device)
        with torch.inference_mode(), _Peak() as peak:
            model(batch)
        peaks.append(peak.largest)
    edges = [count * (count - 1) for count in PROBES]
    return max((peaks[1] - peaks[0]) / (edges[1] - edges[0]), 0.0)


def free_memory(device: torch.device) -> int:
    """[bytes] that can still be taken: of the machine, its control group and this process's limit, or of the accelerator."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [_available()]
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        found = [_number(Path("/sys/fs/cgroup") / name) for name in (limit, used)]
        if None not in found:
            limits.append(int(found[0] or 0) - int(found[1] or 0))
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed != resource.RLIM_INFINITY:
        limits.append(allowed - int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE"))
    return max(min(limits), 0)


class _Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that operations make while they live.

    Attributes:
        largest: [bytes] the most that lived at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.largest = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, function: Callable[..., Any], types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        result = function(*arguments, **(keywords or {}))
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, torch.Tensor):
                self._note(one.untyped_storage())
        return result

    def _note(self, storage: Any) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if place and place not in self._seen:
            self._seen.add(place)
            self.now += size
            self.largest = max(self.largest, self.now)
            weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._seen.discard(place)
        self.now -= size


def _first(windows: WindowBatch, count: int) -> WindowBatch:
    """The first nodes of one window, without its own connections."""
    fields = {name: values[:count] for name, values in windows.fields.items()}
    nodes = ("node", "node_type", "position", "position_valid", "velocity", "velocity_valid", "future", "future_valid")
    return replace(
        windows,
        offsets=np.array([0, count]),
        fields=fields,
        edge_index=np.zeros((2, 0), dtype=np.int64),
        edge_type=np.zeros(0, dtype=np.int64),
        **{name: getattr(windows, name)[:count] for name in nodes},
    )


def _available() -> int:
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
