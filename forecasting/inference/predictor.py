"""A package put to work on windows, trajectories and files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.errors import NumericalError, PackageError, UsageError
from forecasting.inference.answers import Answers, NotFiniteError
from forecasting.inference.block_group import groups_of
from forecasting.inference.buckets import Limits, expected_edges
from forecasting.inference.feedback import likeliest
from forecasting.inference.filling import filled
from forecasting.inference.forecast import Forecast
from forecasting.inference.forecasts import ForecastBatch
from forecasting.inference.group import Group
from forecasting.inference.intervals import Calibration
from forecasting.inference.memory import check_memory
from forecasting.inference.regions import Interval, Regions
from forecasting.inference.stored import stored_groups
from forecasting.models.heads import Hypotheses
from forecasting.packages.package import Package
from forecasting.trajectories.cutting import cut_windows
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.scene_block import Scenes
from forecasting.trajectories.windows import Int, WindowBatch

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Anchors:
    """Which frames of a scene to forecast from.

    Attributes:
        every: None for the last frame alone; n for every n-th frame that has a whole history.
    """

    every: int | None = None

    def counts(self, past: int, frames: Int) -> Int:
        """(S,) how many there are in scenes of so many frames each."""
        return np.ones_like(frames) if self.every is None else np.maximum(-(-(frames - past) // self.every), 0)

    def of(self, scenes: Int, past: int, frames: Int) -> Int:
        """(W, 2) scene and frame; a history shorter than the model's is masked where only the last frame is wanted.

        Args:
            scenes: (S,) numbers; past: frames before an anchor with a whole history; frames: (S,) of each scene.
        """
        if self.every is None:
            return np.stack([scenes, frames - 1], axis=1)
        counts = self.counts(past, frames)
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.stack([np.repeat(scenes, counts), past + number * self.every], axis=1)


class Predictor:
    """Forecasts with one package.

    Args:
        package: the trained model.
        device: where to compute, for instance ``cpu`` or ``cuda``.
        dtype: of the computation; float64 where the last digits matter.
        limits: of what is computed at once; answers do not depend on them.

    Raises:
        PackageError: if the weights or the calibration are not those of the model.
    """

    def __init__(
        self, package: Package, device: str = "cpu", dtype: torch.dtype = torch.float32, limits: Limits | None = None
    ) -> None:
        self.package = package
        self.device = torch.device(device)
        self.limits = limits or Limits()
        self.model = package.forecaster(dtype).to(self.device)
        self.builder = package.builder(dtype)
        self.calibration = None if package.calibration is None else _calibration(package.calibration, package)

    def answers(self, windows: WindowBatch) -> Answers:
        """Forecast windows cut from data in the package's unit and frame.

        Raises:
            NumericalError: if a forecast is not finite; names the window.
        """
        hypotheses = self.hypotheses(windows)
        finite = torch.isfinite(hypotheses.displacement).flatten(1).all(dim=1).cpu().numpy()
        if not finite.all():
            window = windows.window_of_node[np.argmin(finite)]
            raise NotFiniteError(int(windows.scene[window]), float(windows.anchor_time[window]))
        scale = hypotheses.scale
        return Answers(
            self.builder.positions(hypotheses.displacement, windows),
            hypotheses.weights.cpu().to(torch.float64).numpy(),
            None if scale is None else scale.cpu().to(torch.float64).numpy() * self.builder.normalization.length,
        )

    def followed(self, windows: WindowBatch, hypothesis: int) -> Float:
        """(M, H, D) the forecast of windows whose history is itself a forecast, that of one hypothesis: the likeliest."""
        return likeliest(self.answers(windows), windows)

    def leads(self, windows: WindowBatch) -> Float:
        """(W, H) [s] times of the answers after the anchors."""
        return windows.lead

    def regions(self, answers: Answers, windows: WindowBatch, interval: Interval) -> dict[float, Regions]:
        """Level -> regions around answers, in the package's unit and frame.

        Raises:
            UsageError: if the package is not calibrated, or not for these levels.
        """
        return {level: self._calibrated(answers, windows, level, interval.joint) for level in interval.levels}

    def _calibrated(self, answers: Answers, windows: WindowBatch, level: float, joint: bool) -> Regions:
        if self.calibration is None:
            raise UsageError("the package is not calibrated, so it has no regions; `forecast calibrate` adds them")
        velocity = windows.velocity[:, -1]
        return self.calibration.regions(answers.positions, answers.scale, windows.node_type, level, joint, velocity)

    def windows(self, windows: WindowBatch) -> tuple[Float, Float]:
        """Positions and weights of `answers`."""
        found = self.answers(windows)
        return found.positions, found.weights

    def hypotheses(self, windows: WindowBatch) -> Hypotheses:
        """What the model says of windows, in its own unit; the same bits whatever other windows are computed with them.

        Raises:
            DataError: if the graph of one window does not fit into memory.
        """
        check_memory(windows, self.builder, self.model)
        batch = self.builder.build(windows).to(self.device)
        with torch.inference_mode():
            found = self.model(filled(batch, self.builder.schema))
        nodes = len(windows.node)
        scale = None if found.scale is None else found.scale[:nodes]
        return Hypotheses(found.displacement[:nodes], found.weights[: len(windows)], scale)

    def batches(
        self, scenes: Iterable[Scenes], anchors: Anchors | None = None, interval: Interval | None = None
    ) -> Iterator[ForecastBatch]:
        """Forecast scenes in their order, many windows at once, with bounded memory.

        Every result holds windows of one or several scenes; a scene with many windows is spread over several results. Windows
        without a node at their anchor have no forecast. With an interval they also hold regions.

        Raises:
            DataError: if a scene lacks a field or has a node type that the model does not know, or another frame rate, or if
                its graph does not fit into memory.
            UsageError: if its unit or frame cannot be converted.
            NumericalError: if a forecast is not finite.
        """
        chosen = anchors or Anchors()
        for group in groups_of(scenes, self.package, len(self.builder.topology.extra_types)):
            yield from self._group(group, chosen, interval)

    def stored(
        self, dataset: Dataset, first: int, last: int, anchors: Anchors | None = None, interval: Interval | None = None
    ) -> Iterator[ForecastBatch] | None:
        """Forecast the scenes of a data set from number `first` until before `last`, straight from its arrays.

        Returns:
            the results, see `batches`; None where scenes must be converted, as another unit, frame or type needs.
        """
        groups = stored_groups(dataset, first, last, self.package, len(self.builder.topology.extra_types))
        if groups is None:
            return None
        return (batch for group in groups for batch in self._group(group, anchors or Anchors(), interval))

    def trajectories(
        self, scenes: Iterable[Scenes], anchors: Anchors | None = None, interval: Interval | None = None
    ) -> Iterator[Forecast]:
        """Forecast scenes one after the other; positions come back as the scene's own numbers. See `batches`."""
        for batch in self.batches(scenes, anchors, interval):
            yield from batch

    def _group(self, group: Group, anchors: Anchors, interval: Interval | None) -> Iterator[ForecastBatch]:
        rows, past = group.rows, self.package.window.past
        frames = np.diff(rows.grid_offsets)
        wanted = anchors.of(group.members, past, frames[group.members])
        first = (rows.grid_offsets[wanted[:, 0]] + wanted[:, 1]) * rows.node_stride
        nodes = np.searchsorted(rows.key, first + rows.node_stride) - np.searchsorted(rows.key, first)
        wanted, nodes = wanted[nodes > 0], nodes[nodes > 0]
        edges = expected_edges(self.builder.topology, nodes, np.diff(rows.edge_offsets)[wanted[:, 0]])
        for part in self.limits.parts(nodes, edges):
            windows = cut_windows(rows, self.package.fields, self.package.window, wanted[part])
            yield self._batch(group, windows, interval)

    def _batch(self, group: Group, windows: WindowBatch, interval: Interval | None) -> ForecastBatch:
        check_memory(windows, self.builder, self.model, group.where(windows.scene[0]))
        try:
            answers = self.answers(windows)
        except NotFiniteError as error:
            raise NumericalError(error.told(group.where(error.scene))) from None
        regions = {} if interval is None else self.regions(answers, windows, interval)
        member = group.rows.node_offsets[windows.scene[windows.window_of_node]] + windows.node
        here, scene = np.unique(windows.scene, return_inverse=True)
        ids, types = group.labels(member)
        return ForecastBatch(
            names=tuple(map(group.name, here)),
            sources=tuple(map(group.source, here)),
            scene=scene,
            anchor_time=windows.anchor_time,
            time=windows.anchor_time[:, None] + self.leads(windows),
            offsets=windows.offsets,
            positions=group.back(answers.positions),
            weights=answers.weights,
            anchor=group.back(windows.position[:, -1]),
            node_ids=ids,
            node_types=types,
            unit=group.unit,
            frame=group.frame,
            regions={level: each.carried(group.way_back) for level, each in regions.items()},
        )


def _calibration(plain: Mapping[str, Any], package: Package) -> Calibration:
    found, known = Calibration.of_plain(plain), package.schema
    if (found.node_types, found.steps.shape[2]) != (known.node_types, known.horizon):
        raise PackageError(
            f"the package's calibration is for {found.steps.shape[2]} steps and the node types {', '.join(found.node_types)}, "
            f"its model for {known.horizon} and {', '.join(known.node_types)}; make it again with `forecast calibrate`"
        )
    return found
