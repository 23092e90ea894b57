"""Moved copies of windows: turned, shifted, scaled, in another order, thinned out, blurred, seen at another rate."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry.transforms import Transform
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.kinematics import backward_velocity
from forecasting.trajectories.windows import Int, WindowBatch, WindowSpec

Float = NDArray[np.float64]
OF_NODES = ("node", "node_type", "position", "position_valid", "velocity", "velocity_valid", "future", "future_valid")
OF_WINDOWS = ("scene", "anchor", "anchor_time", "lead")


@dataclass(frozen=True, eq=False)
class Moved:
    """A copy of windows, and where a forecast that moves along with its input goes.

    Attributes:
        windows: the copy, its future included.
        nodes: (M',) which node of the original each node of the copy is.
        carry: takes positions (M', …, D) of these nodes from the original to the copy.
        scale: lengths of the copy over those of the original.
    """

    windows: WindowBatch
    nodes: Int
    carry: Callable[[Float], Float]
    scale: float = 1.0


def unmoved(windows: WindowBatch) -> Moved:
    """The windows themselves."""
    return Moved(windows, _all(windows), lambda values: values)


def by_transform(windows: WindowBatch, transform: Transform) -> Moved:
    """History, future and fields alike, each by its irreps."""
    return Moved(windows.transformed(transform), _all(windows), lambda values: transform.act(values, "1o", translates=True))


def by_scale(windows: WindowBatch, factor: float, lengths: Collection[str]) -> Moved:
    """Positions, velocities, futures and the fields named in `lengths` times `factor`, about the origin; times stay."""
    scaled = replace(
        windows,
        position=factor * windows.position,
        velocity=factor * windows.velocity,
        future=factor * windows.future,
        fields={name: values * (factor if name in lengths else 1.0) for name, values in windows.fields.items()},
    )
    return Moved(scaled, _all(windows), lambda values: factor * values, factor)


def by_order(windows: WindowBatch, rng: np.random.Generator) -> Moved:
    """The nodes of every window in a random order."""
    return _some(windows, np.lexsort((rng.random(len(windows.node)), windows.window_of_node)))


def by_dropout(windows: WindowBatch, share: float, rng: np.random.Generator) -> Moved:
    """Without a random share of the nodes of every window, rounded down, and never without all of them."""
    window, count = windows.window_of_node, np.diff(windows.offsets)
    shuffled = np.lexsort((rng.random(len(window)), window))
    rank = np.arange(len(window)) - windows.offsets[window]
    left = shuffled[rank >= np.minimum(np.floor(share * count), count - 1)[window]]
    return _some(windows, np.sort(left))


def by_noise(windows: WindowBatch, spec: WindowSpec, length: float, rate: float | None, rng: np.random.Generator) -> Moved:
    """Every seen position off by normal noise; velocities follow from the positions, or are off as well where they are measured.

    Args:
        windows: the original; spec: that cut them.
        length: [unit] standard deviation of each coordinate.
        rate: [unit/s] standard deviation of each component of a measured velocity; None where velocities are not measured.
        rng: of the noise.
    """
    position = windows.position + length * rng.normal(size=windows.position.shape) * windows.position_valid[..., None]
    if rate is not None:
        off = rate * rng.normal(size=windows.velocity.shape)
        velocity = windows.velocity + off * windows.velocity_valid[..., None]
    else:
        step_time = (windows.lead[:, 0] / spec.horizon[0])[windows.window_of_node]
        velocity, _ = backward_velocity(position, windows.position_valid, step_time)
    return Moved(replace(windows, position=position, velocity=velocity), _all(windows), lambda values: values)


def by_rate(windows: WindowBatch, dataset: Dataset, spec: WindowSpec, every: int, furthest: int) -> Moved:
    """The history seen at every `every`-th of its steps, as many frames as before; the future stays.

    Args:
        windows: the original, cut from `dataset` with `spec`.
        dataset: whose scenes reach further back.
        spec: see `windows`.
        every: steps between the frames.
        furthest: windows whose scene does not reach back this many times as far are left out.
    """
    enough = (windows.anchor >= furthest * spec.past)[windows.window_of_node]
    seen = dataset.windows(replace(spec, step=every * spec.step), np.stack([windows.scene, windows.anchor], axis=1))
    coarse = replace(
        windows,
        position=seen.position,
        position_valid=seen.position_valid,
        velocity=seen.velocity,
        velocity_valid=seen.velocity_valid,
    )
    return _some(coarse, np.flatnonzero(enough))


def selected(windows: WindowBatch, nodes: Int) -> WindowBatch:
    """These nodes (M',) only, which come window by window; a window without any is dropped."""
    kept, count = np.unique(windows.window_of_node[nodes], return_counts=True)
    place = np.full(len(windows.node), -1)
    place[nodes] = np.arange(len(nodes))
    edges = place[windows.edge_index]
    inside = (edges >= 0).all(axis=0)
    return replace(
        windows,
        **{name: getattr(windows, name)[nodes] for name in OF_NODES},
        **{name: getattr(windows, name)[kept] for name in OF_WINDOWS},
        offsets=np.concatenate([[0], np.cumsum(count)]),
        fields={name: values[nodes] for name, values in windows.fields.items()},
        edge_index=edges[:, inside],
        edge_type=windows.edge_type[inside],
    )


def _some(windows: WindowBatch, nodes: Int) -> Moved:
    return Moved(selected(windows, nodes), nodes, lambda values: values)


def _all(windows: WindowBatch) -> Int:
    return np.arange(len(windows.node))
