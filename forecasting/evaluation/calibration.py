"""How often the regions of a calibrated package hold the truth."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.inference.answers import Answers
from forecasting.inference.following import Following
from forecasting.inference.intervals import Calibration
from forecasting.inference.predictor import Predictor
from forecasting.packages.package import Package
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int, WindowBatch

Float = NDArray[np.float64]


class Coverage:
    """Shares of truths inside their regions, per level, node type and step; every scored position counts once.

    Args:
        calibration: whose regions; following: takes its place where regions follow the recording.
    """

    def __init__(self, calibration: Calibration, following: Following | None = None) -> None:
        self.calibration, self._source = calibration, following or calibration
        shape = (len(self.calibration.levels), *self.calibration.profile.shape)
        self.held, self.size = np.zeros((2, *shape))
        self.count = np.zeros(shape[1:])
        self.whole = np.zeros(shape[:2])
        self.nodes = np.zeros(shape[1])
        self.windows = 0

    def add(self, answers: Answers, windows: WindowBatch) -> None:
        """Count answers to these windows."""
        kind, valid = windows.node_type, windows.future_valid
        every = valid.all(axis=1)
        away = windows.future[:, None] - answers.positions
        about = (answers.positions, answers.scale, kind)
        velocity = windows.velocity[:, -1]
        for index, level in enumerate(self.calibration.levels):
            regions = self._source.regions(*about, level, velocity=velocity)
            np.add.at(self.held[index], kind, np.any(regions.holds(away), axis=1) & valid)
            np.add.at(self.size[index], kind, regions.radius.mean(axis=1) * valid)
            if self.calibration.joint is not None:
                ways = self._source.regions(*about, level, joint=True, velocity=velocity)
                np.add.at(self.whole[index], kind, np.any(np.all(ways.holds(away), axis=2), axis=1) & every)
        self.windows += len(windows)
        np.add.at(self.count, kind, valid)
        np.add.at(self.nodes, kind, every)

    def summary(self) -> dict[str, Any]:
        """Plain values.

        ``levels``: one row each, ``level``, ``overall``, ``per_step``, ``joint`` (of the nodes seen at every step), ``radius``
        [unit] mean size of the regions of single steps; ``types``, the same shares for each ``type`` of node that was seen, and
        ``worst``, that of them whose ``overall`` is furthest from the level. Shares are of ``positions``, joint ones of ``nodes``
        that were seen at every step, in ``windows``. ``about``: how the package was calibrated.
        """
        return {
            "windows": self.windows,
            "positions": int(self.count.sum()),
            "nodes": int(self.nodes.sum()),
            "levels": [self._row(index, level) for index, level in enumerate(self.calibration.levels)],
            "shape": "ball" if self.calibration.axes is None else "ellipsoid",
            "about": dict(self.calibration.about),
        }

    def _row(self, index: int, level: float) -> dict[str, Any]:
        seen = np.flatnonzero(self.count.sum(1))
        types = [{"type": self.calibration.node_types[kind], **self._shares(index, [int(kind)])} for kind in seen]
        return {
            "level": level,
            **self._shares(index, seen),
            "radius": _share(self.size[index].sum(), self.count.sum()),
            "types": types,
            "worst": max(types, key=lambda row: abs(row["overall"] - level), default=None),
        }

    def _shares(self, index: int, kinds: Sequence[int] | Int) -> dict[str, Any]:
        """Of the nodes of these types."""
        held, count = self.held[index, kinds].sum(0), self.count[kinds].sum(0)
        joint = self.calibration.joint is not None
        return {
            "overall": _share(held.sum(), count.sum()),
            "per_step": [_share(*pair) for pair in zip(held, count, strict=True)],
            "joint": _share(self.whole[index, kinds].sum(), self.nodes[kinds].sum()) if joint else None,
            "positions": int(count.sum()),
        }


def followed(package: Package, dataset: Dataset, anchors: Int, device: str = "cpu") -> dict[str, Any]:
    """Coverage of regions that follow each recording: they learn from a window as soon as its future has come.

    Args:
        package: calibrated; dataset: in its unit and frame; anchors: (W, 2) scene and frame; device: where to compute.

    Returns:
        see `Coverage.summary`.

    Raises:
        UsageError: if the package is not calibrated.
    """
    predictor = Predictor(package, device)
    if predictor.calibration is None:
        raise UsageError("the package is not calibrated, so no regions can follow a recording; `forecast calibrate` adds them")
    following = Following(predictor.calibration)
    coverage = Coverage(predictor.calibration, following)
    waiting: deque[tuple[Int, WindowBatch, Answers]] = deque()
    for anchor in anchors[np.lexsort((anchors[:, 1], anchors[:, 0]))]:
        while waiting and (waiting[0][0][0] != anchor[0] or waiting[0][0][1] + package.window.future <= anchor[1]):
            _, windows, answers = waiting.popleft()
            following.learn(answers, windows)
        windows = dataset.windows(package.window, anchor[None])
        answers = predictor.answers(windows)
        coverage.add(answers, windows)
        waiting.append((anchor, windows, answers))
    return coverage.summary()


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
