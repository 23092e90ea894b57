"""Pictures of scenes, with labelled axes and colours that colour-blind people can tell apart."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecasting.trajectories.trajectory import Frame, Trajectory

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
NODES_DRAWN = 200
POSES_DRAWN = 7
FLAT = 0.15


def shown_axes(dim: int, frame: Frame) -> tuple[int, int]:
    """The two axes to look along: for spatial data with an up axis a side view with up drawn upwards, else x and y."""
    if dim == 3 and frame.up != "none":
        up = "xyz".index(frame.up[1])
        return next(axis for axis in (2, 0, 1) if axis != up), up
    return 0, 1


def _best_axes(scene: Trajectory) -> tuple[int, int]:
    """Those of `shown_axes`, or the view from above where the scene is much wider than high, as with aircraft."""
    first, second = shown_axes(scene.dim, scene.frame)
    if scene.dim == 2 or scene.frame.up == "none":
        return first, second
    low, high = np.nanmin(scene.positions, axis=(0, 1)), np.nanmax(scene.positions, axis=(0, 1))
    across = [axis for axis in range(3) if axis != second]
    return (across[0], across[1]) if (high - low)[second] < FLAT * (high - low)[across].max() else (first, second)


def draw_scene(scene: Trajectory, path: Path) -> None:
    """Every node's way through the scene, and its connections (bones) in a few frames, from light to dark."""
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    plot = figure.add_subplot()
    first, second = _best_axes(scene)
    drawn = min(len(scene.node_ids), NODES_DRAWN)
    for node in range(drawn):
        seen = scene.valid[:, node]
        way = scene.positions[seen, node]
        plot.plot(way[:, first], way[:, second], lw=0.8, alpha=0.7, color=COLOURS[node % len(COLOURS)])
        plot.plot(way[-1:, first], way[-1:, second], "o", markersize=3, color=COLOURS[node % len(COLOURS)])
    for shade, frame in zip(np.linspace(0.25, 1, POSES_DRAWN), np.linspace(0, len(scene.time) - 1, POSES_DRAWN), strict=True):
        bones = scene.positions[round(frame)][scene.edges]
        plot.plot(bones[..., first].T, bones[..., second].T, lw=1.2, alpha=shade, color="#222222")
    _label(plot, scene.frame, str(scene.unit.name), (first, second))
    more = f" (first {drawn} of {len(scene.node_ids)} nodes)" if drawn < len(scene.node_ids) else f" ({drawn} nodes)"
    plot.set_title(f"scene {scene.scene}{more}; dots mark the last position")
    figure.savefig(path, dpi=150)


def _label(plot: Axes, frame: Frame, unit: str, axes: tuple[int, int]) -> None:
    plot.set_aspect("equal", adjustable="datalim")
    names = [f"{'xyz'[axis]} [{unit}]{' ↑ up' if frame.up == '+' + 'xyz'[axis] else ''}" for axis in axes]
    plot.set_xlabel(names[0])
    plot.set_ylabel(names[1])
    plot.grid(alpha=0.3)
