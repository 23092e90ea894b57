"""How far a model is from moving along with the scenes of a request, group by group."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.graphs.batch import GraphBatch
from forecasting.inference.buckets import Limits, expected_edges
from forecasting.inference.predictor import Anchors
from forecasting.inference.scenes import SceneGroup, scene_groups
from forecasting.packages.package import Package
from forecasting.service.shelf import Served
from forecasting.symmetry.groups import LinearGroup, parse_group
from forecasting.symmetry.residual import BatchFields, Typed, equivariance_steps
from forecasting.trajectories.cutting import cut_windows
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.windows import WindowBatch

Float = NDArray[np.float64]
FAR = 10.0
"""Translations go so many times as far as a scene is large, as in the evaluation."""
AT_MOST = Limits(nodes=1024, edges=8192)
"""Of the windows that are moved."""
SEED = 0
TRANSLATIONS = "translations"


@dataclass(frozen=True)
class Wish:
    """Which groups to measure.

    Attributes:
        groups: name, meaning and group; draws: elements of each.
    """

    groups: tuple[tuple[str, str, LinearGroup], ...]
    draws: int

    @classmethod
    def of(cls, names: Sequence[str] | None, draws: int, package: Package) -> "Wish":
        """The groups that are named, or those that are usual for the package's dimension and up axis.

        Raises:
            UsageError: if there is no such group.
        """
        dim = package.schema.dim
        if names is None:
            up = package.frame.up[-1] if dim == 3 and package.frame.up != "none" else ""
            usual = [line for line in (_SPACE if dim == 3 else _PLANE) if up or "{up}" not in line[1]]
            lines = [(name.format(up=up), group.format(up=up), meaning) for name, group, meaning in usual]
        else:
            lines = [(name, f"T({dim})" if name == TRANSLATIONS else name, "") for name in names]
        return cls(tuple((name, meaning or name, parse_group(group, dim)) for name, group, meaning in lines), draws)


_SPACE = (
    ("SO(3)", "SO(3)", "turned about any axis"),
    ("O(3)", "O(3)", "turned about any axis, and mirrored"),
    ("SO(2)({up})", "SO(2)({up})", "turned about the up axis"),
    ("C∞v({up})", "C∞v({up})", "turned about the up axis, and mirrored in planes that hold it"),
    (TRANSLATIONS, "T(3)", "shifted anywhere"),
)
_PLANE = (
    ("SO(2)", "SO(2)(z)", "turned in the plane"),
    ("O(2)", "C∞v(z)", "turned in the plane, and mirrored in any line"),
    (TRANSLATIONS, "T(2)", "shifted anywhere"),
)


def measured_steps(
    served: Served, scenes: Iterable[Trajectory], anchors: Anchors, wish: Wish
) -> Iterator[dict[str, object] | None]:
    """The residual of the model for one group after the other, on the first windows of the scenes; None after each step before.

    A step is one forecast of the windows, moved by one element. Rotations are about the centre of places where the model knows
    places, else about any point. The drawn elements are the same every time.

    Raises:
        DataError, UsageError: if the scenes are not what the model takes.
        NumericalError: if a forecast is not finite.
    """
    model, builder = served.predictor.model, served.predictor.builder
    batch = builder.build(_windows(served, scenes, anchors)).to(served.predictor.device)
    fields = BatchFields.of(served.package.schema.specs)
    centre = np.zeros(3) if model.place is None else model.place.centre.double().cpu().numpy()

    def act(inputs: GraphBatch, element: Float, offset: Float) -> GraphBatch:
        return fields.act(inputs, element, offset + centre - element @ centre)

    def forecast(inputs: GraphBatch) -> torch.Tensor:
        return model(inputs).displacement

    for name, meaning, group in wish.groups:
        rng, length = np.random.default_rng(SEED), FAR * served.package.normalization.length
        found = yield from equivariance_steps(forecast, batch, act, Typed("1o"), group, wish.draws, rng, length=length)
        yield {
            "group": name,
            "meaning": meaning,
            "residual": found.value,
            "low": found.low,
            "high": found.high,
            "draws": wish.draws,
            "windows": batch.num_graphs,
        }


def _windows(served: Served, scenes: Iterable[Trajectory], anchors: Anchors) -> WindowBatch:
    """The first windows, as many as fit into one small micro-batch, of the scenes that can stand in one group."""
    package, topology = served.package, served.predictor.builder.topology
    group = SceneGroup.of(next(scene_groups(scenes)), package, len(topology.extra_types))
    rows = group.rows
    frames = np.diff(rows.grid_offsets)
    wanted = anchors.of(np.arange(len(frames)), package.window.past, frames)
    first = (rows.grid_offsets[wanted[:, 0]] + wanted[:, 1]) * rows.node_stride
    nodes = np.searchsorted(rows.key, first + rows.node_stride) - np.searchsorted(rows.key, first)
    wanted, nodes = wanted[nodes > 0], nodes[nodes > 0]
    if not len(wanted):
        raise UsageError("no scene has a node at its last frame, so there is nothing to measure")
    chosen = next(AT_MOST.parts(nodes, expected_edges(topology, nodes, np.diff(rows.edge_offsets)[wanted[:, 0]])))
    return cut_windows(rows, package.fields, package.window, wanted[chosen])
