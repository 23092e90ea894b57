"""Scenes to play back: what was seen, what came, what the model says, and what it says when the input is turned."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.inference.predictor import Predictor
from forecasting.packages.package import Package
from forecasting.symmetry.transforms import Orthogonal, rotation_about
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int, WindowBatch

Float = NDArray[np.float64]

CANDIDATES = 8  # for each scene
LARGEST_NODES = 60
LARGEST_STEPS = 25
LARGEST_POINTS = 20_000  # of all turned forecasts of one scene
DIGITS = 4


def playback(
    package: Package, dataset: Dataset, anchors: Int, count: int = 4, angles: int = 12, device: str = "cpu"
) -> list[dict[str, Any]]:
    """A few windows from all over `anchors`, as plain values for the player.

    Of neighbouring windows the one is taken in which most was observed; errors play no part in the choice.

    The input is turned about the data's up axis (z without one) by `angles` equal steps, and the model forecasts every turned
    copy. Its answers are turned back, so an answer that differs from the plain forecast is the model's own lack of symmetry.
    Large windows are thinned: at most 60 nodes, 25 steps, and the most likely hypotheses.

    Args:
        package: the model; dataset: the data, in its unit and frame; anchors: (W, 2) scene and frame.
        count: scenes; angles: of the turning, the first is 0°; device: where to compute.

    Returns:
        for each scene ``scene``, ``unit``, ``up``, ``dim``, ``anchor_time`` [s], ``times`` [s after the anchor] of history and
        horizon, ``history`` and ``truth`` (frames × nodes, a position of three numbers [unit] or None where unknown),
        ``forecasts`` (hypotheses × steps × nodes), ``weights``, ``edges``, ``node_types``, ``nodes`` (of the window, drawn or
        not), ``axis`` and ``turned``: ``degrees``, ``forecasts`` (turned back) and ``residual``
        √(Σ|g⁻¹ f(g x) − f(x)|² / Σ|f(x) − anchor|²) over the whole window.

    Raises:
        DataError: if no window has a node.
    """
    windows = dataset.windows(package.window, _fullest(dataset, package, anchors, count))
    if not len(windows.node):
        raise DataError(f"{dataset.folder}: no node was observed at the anchors, so there is nothing to play back")
    up = dataset.manifest.frame.up_vector
    axis = up if up is not None and dataset.manifest.dim == 3 else np.array([0.0, 0.0, 1.0])
    model = Predictor(package, device)
    plain, weights = model.windows(windows)
    turned = {}
    for degrees in np.arange(angles) * 360.0 / angles:
        matrix = rotation_about(axis, np.deg2rad(degrees))
        answer = model.windows(windows.transformed(Orthogonal(matrix, "turn")))[0]
        turned[float(degrees)] = Orthogonal(matrix.T, "back").act(answer, "1o")
    scenes = [
        _Scene(windows, index, plain, weights[index], turned).plain(dataset, package, axis)
        for index in range(len(windows))
        if windows.offsets[index] < windows.offsets[index + 1]
    ]
    return scenes


def _fullest(dataset: Dataset, package: Package, anchors: Int, count: int) -> Int:
    """(≤ count, 2) the anchor of each stretch of `anchors` with the most positions seen and to come."""
    candidates = anchors[np.unique(np.linspace(0, len(anchors) - 1, min(CANDIDATES * count, len(anchors))).round().astype(int))]
    windows = dataset.windows(package.window, candidates)
    observed = windows.position_valid.sum(axis=1) + windows.future_valid.sum(axis=1)
    full = np.bincount(windows.window_of_node, weights=observed, minlength=len(candidates))
    stretches = np.array_split(np.arange(len(candidates)), min(count, len(candidates)))
    return candidates[[stretch[np.argmax(full[stretch])] for stretch in stretches]]


@dataclass(frozen=True, eq=False)
class _Scene:
    """One window among its like.

    Attributes:
        windows: all; index: of this one; forecasts: (M, K, H, D); weights: (K,); turned: degrees -> (M, K, H, D), turned back.
    """

    windows: WindowBatch
    index: int
    forecasts: Float
    weights: Float
    turned: dict[float, Float]

    def plain(self, dataset: Dataset, package: Package, axis: Float) -> dict[str, Any]:
        windows, whole = self.windows, slice(*self.windows.offsets[self.index : self.index + 2])
        nodes = slice(whole.start, min(whole.stop, whole.start + LARGEST_NODES))
        shown = nodes.stop - nodes.start
        horizon = windows.lead.shape[1]
        steps = np.unique(np.linspace(0, horizon - 1, min(horizon, LARGEST_STEPS)).round().astype(int))
        room = LARGEST_POINTS // (shown * len(steps) * len(self.turned))
        likely = np.argsort(-self.weights, kind="stable")[: max(room, 1)]
        decimals = self._decimals(nodes)

        def said(forecasts: Float) -> list[Any]:
            picked = forecasts[nodes][:, likely][:, :, steps]
            return _points(picked.transpose(1, 2, 0, 3), None, decimals)

        history = windows.position[nodes].transpose(1, 0, 2)
        future = windows.future[nodes][:, steps].transpose(1, 0, 2)
        past = np.arange(1 - history.shape[0], 1) * package.window.step * package.dt
        inside = (windows.edge_index >= nodes.start).all(axis=0) & (windows.edge_index < nodes.stop).all(axis=0)
        edges = np.unique(np.sort(windows.edge_index[:, inside] - nodes.start, axis=0), axis=1).T
        types = dataset.manifest.node_types
        return {
            "scene": str(dataset.scenes[int(windows.scene[self.index])]),
            "unit": dataset.manifest.unit,
            "up": dataset.manifest.frame.up,
            "dim": dataset.manifest.dim,
            "anchor_time": float(windows.anchor_time[self.index]),
            "times": np.round(np.concatenate([past, windows.lead[self.index, steps]]), 9).tolist(),
            "history": _points(history, windows.position_valid[nodes].T, decimals),
            "truth": _points(future, windows.future_valid[nodes][:, steps].T, decimals),
            "forecasts": said(self.forecasts),
            "weights": np.round(self.weights[likely], 4).tolist(),
            "edges": edges.tolist(),
            "node_types": [str(types[kind]) for kind in windows.node_type[nodes]],
            "nodes": whole.stop - whole.start,
            "axis": axis.tolist(),
            "turned": [
                {"degrees": degrees, "forecasts": said(answer), "residual": self._residual(answer, whole)}
                for degrees, answer in self.turned.items()
            ],
        }

    def _residual(self, answer: Float, nodes: slice) -> float:
        plain = self.forecasts[nodes]
        size = ((plain - self.windows.position[nodes, -1][:, None, None]) ** 2).sum()
        return float(np.sqrt(((answer[nodes] - plain) ** 2).sum() / size)) if size > 0 else 0.0

    def _decimals(self, nodes: slice) -> int:
        """Digits after the point that show a ten-thousandth of the scene's extent."""
        places = self.windows.position[nodes][self.windows.position_valid[nodes]]
        extent = float(np.ptp(np.concatenate([places, self.forecasts[nodes].reshape(-1, places.shape[1])]), axis=0).max())
        return DIGITS - int(np.floor(np.log10(extent))) if extent > 0 else DIGITS


def _points(values: Float, valid: NDArray[np.bool_] | None, decimals: int) -> list[Any]:
    """Positions (..., D) as nested lists of three numbers, None where not valid; planar ones lie at z = 0."""
    spatial = np.concatenate([values, np.zeros((*values.shape[:-1], 3 - values.shape[-1]))], axis=-1)
    rounded: Any = np.round(spatial, decimals).tolist()
    if valid is None:
        return rounded
    return [[at if seen else None for at, seen in zip(*row, strict=True)] for row in zip(rounded, valid, strict=True)]
