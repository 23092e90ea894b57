"""What a predictor says of windows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


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
