"""How often the regions of a calibrated package hold the truth."""

from collections import deque
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
        np.add.at(self.count, kind, valid)
        np.add.at(self.nodes, kind, every)

    def summary(self) -> dict[str, Any]:
        """Plain values.

        ``levels``: one row each, ``level``, ``overall``, ``per_step``, ``joint`` (of the nodes seen at every step), ``radius``
        [unit] mean size of the regions of single steps, and ``worst``: the ``type`` of node whose coverage is furthest from the
        level, with ``overall`` and ``joint``. ``about``: how the package was calibrated.
        """
        return {
            "levels": [self._row(index, level) for index, level in enumerate(self.calibration.levels)],
            "shape": "ball" if self.calibration.axes is None else "ellipsoid",
            "about": dict(self.calibration.about),
        }

    def _row(self, index: int, level: float) -> dict[str, Any]:
        held, types = self.held[index], self.count.sum(1) > 0
        of_type = np.where(types, held.sum(1) / np.maximum(self.count.sum(1), 1), level)
        worst = int(np.abs(of_type - level).argmax())
        joint = self.calibration.joint is not None
        return {
            "level": level,
            "overall": _share(held.sum(), self.count.sum()),
            "per_step": [_share(*pair) for pair in zip(held.sum(0), self.count.sum(0), strict=True)],
            "joint": _share(self.whole[index].sum(), self.nodes.sum()) if joint else None,
            "radius": _share(self.size[index].sum(), self.count.sum()),
            "worst": {
                "type": self.calibration.node_types[worst],
                "overall": _share(held[worst].sum(), self.count[worst].sum()),
                "joint": _share(self.whole[index, worst], self.nodes[worst]) if joint else None,
            },
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
