"""The one length, the one time, and one size per further field, by which a forecaster's inputs are divided."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from forecasting.errors import UsageError
from forecasting.trajectories.windows import WindowBatch


@dataclass(frozen=True)
class Normalization:
    """One scalar for lengths, one for times and one for each further field, so that no direction is preferred.

    Attributes:
        length: [unit of the data] positions are centred and divided by it.
        time: [s] the last lead time; velocities are given as length per this time.
        fields: name -> [unit of the field] root mean square component; fields are divided by it (charges ±1 stay as they are).
    """

    length: float
    time: float
    fields: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in {"length": self.length, "time": self.time, **self.fields}.items():
            if not (np.isfinite(value) and value > 0):
                raise UsageError(f"normalization: {name} must be positive, found {value}")

    @classmethod
    def fit(cls, windows: WindowBatch, length: float | None = None) -> "Normalization":
        """Measure training windows (their histories only).

        The length is the root mean square coordinate of the anchor positions about each window's centre; for single nodes,
        or nodes in one place, that of the way a node goes at its latest velocity until the last lead time. `length` overrides it.
        """
        time = float(windows.lead.max())
        if length is None:
            centred = windows.position[:, -1] - window_centres(windows)[windows.window_of_node]
            path = windows.velocity[:, -1][windows.velocity_valid[:, -1]] * time
            length = next((rms for rms in (_rms(centred), _rms(path)) if rms > 0), 1.0)
        sizes = {name: _rms(values) for name, values in windows.fields.items()}
        return cls(length, time, {name: size if size > 0 else 1.0 for name, size in sizes.items()})


def window_centres(windows: WindowBatch) -> np.ndarray:
    """(W, D) [unit, float64] mean of the nodes observed at the anchor; 0 for a window without any."""
    sums = np.zeros((len(windows), windows.position.shape[2]))
    np.add.at(sums, windows.window_of_node, windows.position[:, -1])
    return sums / np.maximum(np.diff(windows.offsets), 1)[:, None]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
