"""Regions that follow a recording: wider after the truth was missed, narrower after it was held."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.inference.answers import Answers
from forecasting.inference.intervals import Calibration
from forecasting.inference.regions import Regions
from forecasting.trajectories.windows import WindowBatch

Float = NDArray[np.float64]
RATE = 0.05


class Following:
    """A calibration with a factor on every size, which moves when truths become known.

    Where a recording is not like those that the package was calibrated on, no fixed size keeps its promise. Here the logarithm
    of a factor rises by rate · level for each node whose truth was missed, and falls by rate · (1 − level) for each that was
    held. So the share of truths held tends to the level, whatever happens in the recording: after n nodes it is off by the way
    that the logarithm has gone, divided by rate · n (quantile tracking of Angelopoulos, Candès and Tibshirani, NeurIPS 2023,
    here of the logarithm).

    Args:
        calibration: to begin with.
        rate: of each node.
    """

    def __init__(self, calibration: Calibration, rate: float = RATE) -> None:
        self.calibration, self.rate = calibration, rate
        levels, _, steps = calibration.steps.shape
        self._steps, self._joint = np.zeros((levels, steps)), np.zeros(levels)

    def regions(
        self,
        positions: Float,
        scale: Float | None,
        node_types: NDArray[Any],
        level: float,
        joint: bool = False,
        velocity: Float | None = None,
    ) -> Regions:
        """Regions of this moment; see `Calibration.regions`."""
        found = self.calibration.regions(positions, scale, node_types, level, joint, velocity)
        index = self.calibration.index(level)
        return Regions(found.radius * np.exp(self._joint[index] if joint else self._steps[index]), found.shape)

    def learn(self, answers: Answers, windows: WindowBatch) -> None:
        """Move on, now that the future of windows is known, with the answers that were given to them."""
        valid, away = windows.future_valid, windows.future[:, None] - answers.positions
        about, velocity = (answers.positions, answers.scale, windows.node_type), windows.velocity[:, -1]
        for index, level in enumerate(self.calibration.levels):
            held = np.any(self.regions(*about, level, velocity=velocity).holds(away), axis=1)
            self._steps[index] += self.rate * ((level - held) * valid).sum(axis=0)
            if self.calibration.joint is not None:
                inside = self.regions(*about, level, True, velocity).holds(away)
                whole = np.any(np.all(inside, axis=2), axis=1)
                self._joint[index] += self.rate * ((level - whole) * valid.all(axis=1)).sum()
