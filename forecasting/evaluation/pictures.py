"""Pictures of scenes and errors, with labelled axes and colours that colour-blind people can tell apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecasting.trajectories.trajectory import Frame, Trajectory

if TYPE_CHECKING:
    from forecasting.inference.forecast import Forecast

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
BASELINE_COLOURS = {"constant_velocity": COLOURS[1], "mean_velocity": COLOURS[4], "static": COLOURS[6]}
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


def forecast_figure(forecast: "Forecast", history: np.ndarray, future: np.ndarray, simple: np.ndarray, title: str) -> Figure:
    """History, truth, forecast and constant velocity of one window.

    Args:
        forecast: the model's.
        history: (N, T, D), future: (N, H, D) truth, simple: (N, H, D) constant velocity; NaN where unknown.
        title: above the plot.
    """
    figure = Figure(figsize=(6, 5), layout="constrained")
    plot = figure.add_subplot()
    first, second = shown_axes(history.shape[2], forecast.frame)
    anchor = forecast.anchor[:, None]
    ways = [
        (history, "#999999", "-", "o", "seen"),
        (np.concatenate([anchor, future], 1), "#222222", "-", "s", "what happened"),
        (np.concatenate([anchor, simple], 1), COLOURS[1], ":", "x", "constant velocity"),
        (np.concatenate([anchor, forecast.positions[:, 0]], 1), COLOURS[0], "--", "D", "forecast"),
    ]
    for way, colour, line, mark, label in ways:
        for node in range(min(len(way), NODES_DRAWN)):
            name = label if node == 0 else None
            plot.plot(
                way[node, :, first],
                way[node, :, second],
                line,
                color=colour,
                lw=1.2,
                marker=mark,
                markersize=3,
                label=name,
            )
    _label(plot, forecast.frame, forecast.unit.name, (first, second))
    plot.set_title(title)
    plot.legend(fontsize=8)
    return figure


def error_over_time(result: dict[str, Any]) -> Figure:
    """Mean distance over lead time, the model and the baselines."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    plot = figure.add_subplot()
    named = [(result["model"], result["plain"]), *result["baselines"].items()]
    for name, sums in named:
        values = [np.nan if value is None else value for value in sums["distance_per_step"]]
        colour = BASELINE_COLOURS.get(name, COLOURS[0])
        plot.plot(result["lead_times"], values, "o-", color=colour, label=name.replace("_", " "), markersize=4)
    plot.set_xlabel("lead time [s]")
    plot.set_ylabel(f"mean distance [{result['unit']}]")
    plot.set_ylim(bottom=0)
    plot.grid(alpha=0.3)
    plot.legend(fontsize=8)
    return figure


def error_over_copies(result: dict[str, Any]) -> Figure:
    """Mean squared error on the plain test set and on its transformed copies."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    plot = figure.add_subplot()
    names = ["plain", *result["copies"]]
    values = [result["plain"]["mse"], *(copy["mse"] for copy in result["copies"].values())]
    plot.barh(names[::-1], values[::-1], color=COLOURS[0])
    simple = result["baselines"]["constant_velocity"]["mse"]
    plot.axvline(simple, color=COLOURS[1], ls="--", label="constant velocity, plain")
    plot.set_xlabel(f"mean squared error [{result['unit']}²]")
    plot.legend(fontsize=8)
    return figure


def training_trace(rows: Sequence[dict[str, float]]) -> Figure:
    """Training and validation loss over epochs."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    plot = figure.add_subplot()
    for index, name in enumerate(("train_loss", "validation_loss")):
        points = [(row["epoch"], row[name]) for row in rows if np.isfinite(row.get(name, np.nan))]
        if points:
            x, y = zip(*points, strict=True)
            plot.plot(x, y, ".-", color=COLOURS[index], label=name.replace("_", " "))
    plot.set_yscale("log")
    plot.set_xlabel("epoch")
    plot.set_ylabel("loss [normalized]")
    plot.grid(alpha=0.3)
    plot.legend(fontsize=8)
    return figure


def _label(plot: Axes, frame: Frame, unit: str, axes: tuple[int, int]) -> None:
    plot.set_aspect("equal", adjustable="datalim")
    names = [f"{'xyz'[axis]} [{unit}]{' ↑ up' if frame.up == '+' + 'xyz'[axis] else ''}" for axis in axes]
    plot.set_xlabel(names[0])
    plot.set_ylabel(names[1])
    plot.grid(alpha=0.3)
