"""Several packages as one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.inference.answers import Answers
from forecasting.inference.buckets import Limits
from forecasting.inference.feedback import likeliest
from forecasting.inference.intervals import Calibration
from forecasting.inference.joint_calibration import kept_calibration
from forecasting.inference.predictor import Predictor
from forecasting.inference.regions import Interval, Regions
from forecasting.packages.package import Package
from forecasting.trajectories.windows import WindowBatch

Float = NDArray[np.float64]


class Ensemble(Predictor):
    """Forecasts with several packages: the hypotheses of each, behind one another, with equal shares of the weight.

    Members may differ in model, training, neighbours and scale of their inputs, but not in what goes in and comes out. Scales are
    given where every member gives them. A calibration of one member says nothing of all, so regions are those of a calibration
    of exactly these packages together, which one of them keeps (see `joint_calibration`).

    Args:
        packages: at least two; device, dtype, limits: see `Predictor`.
        calibration: of the ensemble; by default the one that is kept.

    Raises:
        UsageError: if a package differs from the first; names it, and in what.
        PackageError: see `Predictor`.
    """

    def __init__(
        self,
        packages: Sequence[Package],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        limits: Limits | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        if len(packages) < 2:
            raise UsageError(f"an ensemble takes at least 2 packages, found {len(packages)}")
        super().__init__(replace(packages[0], calibration=kept_calibration(packages)), device, dtype, limits)
        self.members = [Predictor(package, device, dtype, limits) for package in packages]
        for number, member in enumerate(self.members[1:], start=2):
            _check_alike(self.members[0], member, number)
        self.calibration = calibration or self.calibration

    def answers(self, windows: WindowBatch) -> Answers:
        """See `Predictor.answers`."""
        found = [member.answers(windows) for member in self.members]
        scales = [each.scale for each in found if each.scale is not None]
        return Answers(
            np.concatenate([each.positions for each in found], axis=1),
            np.concatenate([each.weights for each in found], axis=1) / len(found),
            np.concatenate(scales, axis=1) if len(scales) == len(found) else None,
        )

    def regions(self, answers: Answers, windows: WindowBatch, interval: Interval) -> dict[float, Regions]:
        """See `Predictor.regions`."""
        if self.calibration is None:
            raise UsageError(
                "these packages are not calibrated together, so they have no regions; `forecast calibrate` with the same "
                "packages behind --ensemble adds them"
            )
        return super().regions(answers, windows, interval)

    def followed(self, windows: WindowBatch, hypothesis: int) -> Float:
        """See `Predictor.followed`: each member goes on from its own forecasts."""
        for member in self.members:
            found = member.answers(windows)
            hypothesis -= found.positions.shape[1]
            if hypothesis < 0:
                break
        return likeliest(found, windows)


def _check_alike(first: Predictor, member: Predictor, number: int) -> None:
    one, other = first.package, member.package
    pairs = {
        "history": (one.window.history, other.window.history),
        "horizon": (one.window.horizon, other.window.horizon),
        "step": (one.window.step, other.window.step),
        "declared vectors": (one.window.declared, other.window.declared),
        "time between frames": (one.dt, other.dt),
        "unit": (one.unit, other.unit),
        "frame": (one.frame, other.frame),
        "dimension": (one.schema.dim, other.schema.dim),
        "node types": (one.schema.node_types, other.schema.node_types),
        "connections": (_own_edges(first), _own_edges(member)),
        "fields": (dict(one.fields), dict(other.fields)),
    }
    for what, (expected, found) in pairs.items():
        if found != expected:
            raise UsageError(f"package {number} of the ensemble differs from the first in {what}: {found}, expected {expected}")


def _own_edges(member: Predictor) -> tuple[str, ...]:
    """Edge types of the data, without those that the topology adds."""
    known = member.package.schema.edge_types
    return known[: len(known) - len(member.builder.topology.extra_types)]
