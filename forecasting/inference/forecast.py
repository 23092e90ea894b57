"""The result of forecasting one scene from one anchor frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.files import atomic_file
from forecasting.inference.regions import Regions
from forecasting.inference.table import forecast_table
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.trajectory import Frame, Source
from forecasting.trajectories.units import Unit

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forecast:
    """Future positions of N nodes, in the unit and frame of the file that went in.

    Attributes:
        scene: name of the scene.
        anchor_time: [s] time of the last frame seen.
        time: (H,) [s] times of the forecast.
        positions: (N, K, H, D) in the numbers of the file.
        weights: (K,) probability of each hypothesis.
        anchor: (N, D) positions at the anchor, in the numbers of the file.
        node_ids: (N,) as in the file; node_types: (N,).
        unit, frame, source: as in the file.
        regions: level -> regions around the positions, in the numbers of the file; empty where none were asked for.
    """

    scene: str
    anchor_time: float
    time: Float
    positions: Float
    weights: Float
    anchor: Float
    node_ids: NDArray[Any]
    node_types: NDArray[np.str_]
    unit: Unit
    frame: Frame
    source: Source
    regions: Mapping[float, Regions] = field(default_factory=dict)

    def quantile(self, q: float) -> Float:
        """(N, H, D) the q-quantile of each coordinate over the weighted hypotheses (the lower one at a jump)."""
        if not 0 <= q <= 1:
            raise UsageError(f"a quantile lies between 0 and 1, found {q}")
        order = np.argsort(self.positions, axis=1)
        reached = np.cumsum(self.weights[order], axis=1) >= q - 1e-12
        chosen = np.argmax(reached, axis=1)[:, None]
        return np.take_along_axis(np.take_along_axis(self.positions, order, axis=1), chosen, axis=1)[:, 0]

    def to_table(self) -> pa.Table:
        """One row per node, hypothesis and step; see `forecast_table`."""
        return forecast_table(
            *((self.scene,), np.zeros(1, dtype=np.int64), np.array([self.anchor_time]), self.time[None], self.weights[None]),
            *(np.zeros(len(self.node_ids), dtype=np.int64), self.positions),
            *((Labels.of([self.node_ids]), Labels.of([self.node_types])), self.regions),
            (self.unit, self.frame, self.source),
        )

    def to_dataframe(self) -> Any:
        """The table as a pandas DataFrame.

        Raises:
            UsageError: if pandas is not installed.
        """
        try:
            return self.to_table().to_pandas()
        except ImportError:
            raise UsageError("a data frame needs pandas: pip install pandas (or use to_table, which does not)") from None

    def to_parquet(self, path: str | Path) -> None:
        """Write the table, atomically."""
        with atomic_file(path) as temporary:
            pq.write_table(self.to_table(), temporary, compression="zstd")

    def plot(self, path: str | Path, axes: str = "") -> None:
        """Draw anchor, forecast paths and regions of every node as a PNG or SVG.

        Args:
            path: file to write; its ending picks the kind.
            axes: two axis letters to look at, for instance ``xz``; by default the plane across the up axis.
        """
        from matplotlib.figure import Figure

        across = [axis for axis in "xyz"[: self.anchor.shape[1]] if self.frame.up[-1] != axis]
        first, second = ("xyz".index(axis) for axis in (axes or "".join(across[:2])))
        figure = Figure(figsize=(6, 6), layout="constrained")
        plot = figure.add_subplot()
        plot.plot(self.anchor[:, first], self.anchor[:, second], "o", color="#333333", markersize=4, label="last seen")
        for hypothesis, weight in enumerate(self.weights):
            for node in range(len(self.anchor)):
                way = np.concatenate([self.anchor[node : node + 1], self.positions[node, hypothesis]])
                label = "forecast" if node == 0 and hypothesis == 0 else None
                plot.plot(
                    way[:, first],
                    way[:, second],
                    ".-",
                    color="#0072b2",
                    alpha=0.3 + 0.7 * float(weight),
                    lw=1,
                    label=label,
                )
        for regions in self.regions.values():
            self._draw(plot, regions, [first, second])
        plot.set_aspect("equal", adjustable="datalim")
        plot.set_xlabel(f"{'xyz'[first]} [{self.unit}]")
        plot.set_ylabel(f"{'xyz'[second]} [{self.unit}]")
        plot.set_title(f"{self.scene}: forecast from {self.anchor_time:.4g} s to {self.time[-1]:.4g} s")
        plot.legend()
        figure.savefig(path, dpi=150)

    def _draw(self, plot: Any, regions: Regions, seen: list[int]) -> None:
        """The shadows of regions on two axes."""
        from matplotlib.collections import EllipseCollection

        known = np.isfinite(regions.radius)
        shadows = regions.matrices(self.positions.shape[-1])[known][:, seen][:, :, seen]
        squared, axes = np.linalg.eigh(shadows)
        wide, high = 2 * np.sqrt(np.maximum(squared, 0.0)).T
        angle = np.rad2deg(np.arctan2(axes[:, 1, 0], axes[:, 0, 0]))
        about = {"offsets": self.positions[known][:, seen], "offset_transform": plot.transData, "units": "xy"}
        plot.add_collection(EllipseCollection(wide, high, angle, facecolor="#0072b2", alpha=0.08, lw=0, **about))
