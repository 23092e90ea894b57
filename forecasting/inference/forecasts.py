"""The results of forecasting many windows at once, kept column by column."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.inference.forecast import Forecast
from forecasting.inference.regions import Regions
from forecasting.inference.table import forecast_table
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.trajectory import Frame, Source
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ForecastBatch:
    """Future positions of the M nodes of W windows, in the unit and frame of the files that went in.

    The nodes of a window stand together: window w owns nodes ``offsets[w] … offsets[w + 1]``, at least one. All windows share
    unit, frame and kind of node id. Iterating gives each window as a `Forecast`.

    Attributes:
        names: (S,) of the scenes that the windows may belong to; sources: where each came from.
        scene: (W,) scene of each window, an index into them.
        anchor_time: (W,) [s] time of the last frame seen; time: (W, H) [s] times of the forecast.
        offsets: (W + 1,) first node of each window.
        positions: (M, K, H, D) in the numbers of the file.
        weights: (W, K) probability of each hypothesis.
        anchor: (M, D) positions at the anchor, in the numbers of the file.
        node_ids: (M,) as in the file; node_types: (M,).
        unit, frame: as in the file.
        regions: level -> regions around the positions, in the numbers of the file; empty where none were asked for.
    """

    names: tuple[str, ...]
    sources: tuple[Source, ...]
    scene: Int
    anchor_time: Float
    time: Float
    offsets: Int
    positions: Float
    weights: Float
    anchor: Float
    node_ids: Labels
    node_types: Labels
    unit: Unit
    frame: Frame
    regions: Mapping[float, Regions] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scene)

    @property
    def rows(self) -> int:
        """Number of positions: rows of the table."""
        return int(np.prod(self.positions.shape[:3]))

    @property
    def window_of_node(self) -> Int:
        """(M,) window that each node belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def _ids(self) -> NDArray[Any]:
        return self.node_ids.values

    @cached_property
    def _types(self) -> NDArray[Any]:
        return self.node_types.values

    def __getitem__(self, window: int) -> Forecast:
        if not -len(self) <= window < len(self):
            raise IndexError(f"there are {len(self)} windows, not {window}")
        window %= len(self)
        nodes = slice(*self.offsets[window : window + 2])
        return Forecast(
            scene=self.names[self.scene[window]],
            anchor_time=float(self.anchor_time[window]),
            time=self.time[window],
            positions=self.positions[nodes],
            weights=self.weights[window],
            anchor=self.anchor[nodes],
            node_ids=self._ids[nodes],
            node_types=self._types[nodes],
            unit=self.unit,
            frame=self.frame,
            source=self.sources[self.scene[window]],
            regions={level: each[nodes] for level, each in self.regions.items()},
        )

    def __iter__(self) -> Iterator[Forecast]:
        return map(self.__getitem__, range(len(self)))

    def to_table(self) -> pa.Table:
        """The rows of every `Forecast.to_table`, one window behind the other, made at once."""
        return forecast_table(
            *(self.names, self.scene, self.anchor_time, self.time, self.weights, self.window_of_node, self.positions),
            *((self.node_ids, self.node_types), self.regions),
            (self.unit, self.frame, self.sources[self.scene[0]]),
        )
