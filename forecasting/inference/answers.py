"""What a predictor says of windows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import NumericalError

Float = NDArray[np.float64]


class NotFiniteError(NumericalError):
    """A forecast that is not finite.

    Args:
        scene: number of the scene; anchor_time: [s] from when the forecast is.
    """

    def __init__(self, scene: int, anchor_time: float) -> None:
        super().__init__(scene, anchor_time)
        self.scene, self.anchor_time = scene, anchor_time

    def __str__(self) -> str:
        return self.told(f"scene number {self.scene}")

    def told(self, where: str) -> str:
        """The message, with words for the scene."""
        return f"the forecast of {where} from {self.anchor_time:.6g} s is not finite; check the input with `forecast inspect`"


class Answers(NamedTuple):
    """Forecasts of the M nodes of W windows, in the unit and frame of a package.

    Attributes:
        positions: (M, K, H, D).
        weights: (W, K) probability of each hypothesis.
        scale: (M, K, H) standard deviation of each coordinate of the error; None of a model that does not know it.
    """

    positions: Float
    weights: Float
    scale: Float | None = None
