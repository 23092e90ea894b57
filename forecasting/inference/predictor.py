"""A package put to work on windows, trajectories and files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.errors import DataError, NumericalError, UsageError
from forecasting.inference.forecast import Forecast
from forecasting.packages.package import Package
from forecasting.symmetry.transforms import Orthogonal, rotation_about
from forecasting.trajectories.cutting import cut_windows
from forecasting.trajectories.memory_map import rows_of
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.units import conversion
from forecasting.trajectories.windows import Int, WindowBatch

Float = NDArray[np.float64]
CLOCK_MATCH = 0.01
NODES_PER_BATCH = 8192


@dataclass(frozen=True)
class Anchors:
    """Which frames of a scene to forecast from.

    Attributes:
        every: None for the last frame alone; n for every n-th frame that has a whole history.
    """

    every: int | None = None

    def of(self, scene: int, past: int, frames: int) -> Int:
        """(W, 2) scene and frame; a history shorter than the model's is masked where only the last frame is wanted."""
        chosen = np.array([frames - 1]) if self.every is None else np.arange(past, frames, self.every)
        return np.stack([np.full_like(chosen, scene), chosen], axis=1)


class Predictor:
    """Forecasts with one package.

    Args:
        package: the trained model.
        device: where to compute, for instance ``cpu`` or ``cuda``.
        dtype: of the computation; float64 where the last digits matter.
    """

    def __init__(self, package: Package, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.package = package
        self.device = torch.device(device)
        self.model = package.forecaster(dtype).to(self.device)
        self.builder = package.builder(dtype)

    def windows(self, windows: WindowBatch) -> tuple[Float, Float]:
        """Forecast windows cut from data in the package's unit and frame.

        Returns:
            positions (M, K, H, D) [package unit] and weights (W, K), float64.

        Raises:
            NumericalError: if a forecast is not finite; names the window.
        """
        batch = self.builder.build(windows).to(self.device)
        with torch.inference_mode():
            hypotheses = self.model(batch)
        finite = torch.isfinite(hypotheses.displacement).flatten(1).all(dim=1).cpu().numpy()
        if not finite.all():
            window = windows.window_of_node[np.argmin(finite)]
            raise NumericalError(
                f"the forecast of scene {windows.scene[window]} from {windows.anchor_time[window]:.6g} s is not finite; "
                "check the input with `forecast inspect`"
            )
        positions = self.builder.positions(hypotheses.displacement, windows)
        return positions, hypotheses.weights.cpu().to(torch.float64).numpy()

    def trajectories(self, scenes: Iterable[Trajectory], anchors: Anchors | None = None) -> Iterator[Forecast]:
        """Forecast scenes one after the other, with bounded memory; positions come back as the scene's own numbers.

        Raises:
            DataError: if a scene lacks a field or has a node type that the model does not know, or another frame rate.
            UsageError: if its unit cannot be converted.
        """
        chosen = anchors or Anchors()
        for group in _groups(scenes):
            yield from self._group(group, chosen)

    def _group(self, scenes: list[Trajectory], anchors: Anchors) -> Iterator[Forecast]:
        views = [_View.of(scene, self.package) for scene in scenes]
        known = self.package.schema
        extra = len(self.builder.topology.extra_types)
        own_edges = known.edge_types[: len(known.edge_types) - extra]
        rows = rows_of([view.scene for view in views], known.node_types, own_edges)
        past = self.package.window.past
        frames = np.diff(rows.grid_offsets)
        wanted = np.concatenate([anchors.of(scene, past, frames[scene]) for scene in range(len(views))])
        for part in _parts(wanted, rows.node_stride):
            windows = cut_windows(rows, self.package.fields, self.package.window, part)
            positions, weights = self.windows(windows)
            for window in range(len(part)):
                nodes = slice(*windows.offsets[window : window + 2])
                if nodes.start < nodes.stop:
                    view = views[windows.scene[window]]
                    yield view.forecast(windows, window, nodes, positions[nodes], weights[window])


@dataclass(frozen=True)
class _View:
    """A scene as the model wants it, and the way back."""

    original: Trajectory
    scene: Trajectory
    factor: float
    turn: Orthogonal | None

    @classmethod
    def of(cls, scene: Trajectory, package: Package) -> "_View":
        where = f"{scene.source.path or 'input'}: scene '{scene.scene}'"
        if scene.dim != package.schema.dim:
            raise DataError(f"{where} has {scene.dim} coordinates; the model was trained on {package.schema.dim}")
        missing = sorted(set(package.fields) - set(scene.fields))
        if missing:
            raise DataError(f"{where} lacks the field '{missing[0]}', which the model was trained with; add it to the file")
        unknown = sorted(set(scene.node_types.tolist()) - set(package.schema.node_types))
        if unknown and len(package.schema.node_types) > 1:
            known = ", ".join(package.schema.node_types)
            raise DataError(f"{where} has nodes of type '{unknown[0]}'; the model knows {known}")
        if unknown:
            scene = replace(scene, node_types=np.full(len(scene.node_ids), package.schema.node_types[0]))
        known_edges = np.isin(scene.edge_types, package.schema.edge_types)
        scene = replace(scene, edges=scene.edges[known_edges], edge_types=scene.edge_types[known_edges])
        if len(scene.time) > 1 and abs(scene.dt - package.dt) > CLOCK_MATCH * package.dt:
            raise DataError(
                f"{where} has {1 / scene.dt:.6g} frames/s; the model was trained at {1 / package.dt:.6g}. Say the true rate "
                "with --rate, or bring the file to the model's rate with `forecast ingest --resample`"
            )
        if len(scene.time) == 1 and package.window.history > 1:
            raise DataError(f"{where} has a single frame; the model needs a history of {package.window.history}")
        return cls._converted(scene, package, where)

    @classmethod
    def _converted(cls, scene: Trajectory, package: Package, where: str) -> "_View":
        try:
            factor = conversion(scene.unit.name, package.unit)
        except UsageError as error:
            raise UsageError(f"{where} is in {scene.unit.name}, the model in {package.unit}: {error}") from None
        if scene.frame.handedness != package.frame.handedness:
            raise UsageError(
                f"{where} has a {scene.frame.handedness}-handed frame, the model a {package.frame.handedness}-handed one"
            )
        inner = scene.in_unit(package.unit)
        turn = None
        if scene.frame.up not in (package.frame.up, "none") and package.frame.up != "none":
            turn = Orthogonal(_between(scene.frame.up_vector, package.frame.up_vector), "up axis")
            inner = inner.transformed(turn)
        return cls(scene, inner, factor, turn)

    def forecast(self, windows: WindowBatch, window: int, nodes: slice, positions: Float, weights: Float) -> Forecast:
        index = windows.node[nodes]
        return Forecast(
            scene=self.original.scene,
            anchor_time=float(windows.anchor_time[window]),
            time=windows.anchor_time[window] + windows.lead[window],
            positions=self._back(positions),
            weights=weights,
            anchor=self._back(windows.position[nodes, -1]),
            node_ids=self.original.node_ids[index],
            node_types=self.original.node_types[index],
            unit=self.original.unit,
            frame=self.original.frame,
            source=self.original.source,
        )

    def _back(self, positions: Float) -> Float:
        if self.turn is not None:
            positions = Orthogonal(self.turn.matrix.T).act(positions, "1o", translates=True)
        return self.original.unit.to_file(positions / self.factor)


def _groups(scenes: Iterable[Trajectory]) -> Iterator[list[Trajectory]]:
    """Scenes with equal dimension and fields, together until they fill a batch."""
    group: list[Trajectory] = []
    kind: Any = None
    for scene in scenes:
        this = (scene.dim, {name: item.per_frame for name, item in scene.fields.items()})
        if group and (this != kind or sum(len(one.node_ids) for one in group) >= NODES_PER_BATCH):
            yield group
            group = []
        group.append(scene)
        kind = this
    if group:
        yield group


def _parts(anchors: Int, nodes: int) -> Iterator[Int]:
    size = max(NODES_PER_BATCH // max(nodes, 1), 1)
    for start in range(0, len(anchors), size):
        yield anchors[start : start + size]


def _between(source: Float | None, target: Float | None) -> Float:
    """(3, 3) rotation that takes one axis direction to another."""
    if source is None or target is None:
        return np.eye(3)
    axis = np.cross(source, target)
    if not axis.any():
        axis = np.roll(source, 1)
        return np.eye(3) if source @ target > 0 else rotation_about(axis, np.pi)
    return rotation_about(axis, np.pi / 2)
