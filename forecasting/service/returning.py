"""What a client makes of an answer beside the forecasts: the regions around them."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.inference.forecast import Forecast
from forecasting.inference.regions import Regions, percentage

Float = NDArray[np.float64]


def with_json_regions(body: bytes, forecasts: Sequence[Forecast], level: float) -> list[Forecast]:
    """The forecasts of a JSON answer with their regions."""
    found = []
    for one, said in zip(forecasts, json.loads(body)["forecasts"], strict=True):
        about = said["interval"]
        shape = None if about["shape"] is None else np.array(about["shape"], dtype=np.float64)
        found.append(replace(one, regions={level: Regions(np.array(about["radius"], dtype=np.float64), shape)}))
    return found


def with_table_regions(body: bytes, forecasts: Sequence[Forecast], level: float) -> list[Forecast]:
    """The forecasts of an Arrow answer, whose rows are in their order, with their regions."""
    with pa.ipc.open_stream(body) as reader:
        table = reader.read_all().combine_chunks()
    percent, first, found = percentage(level), 0, []
    for one in forecasts:
        *shape, dim = one.positions.shape
        rows = table.slice(first, int(np.prod(shape)))
        first += len(rows)
        radius = _numbers(rows, f"radius_{percent}").reshape(shape)
        regions = Regions(radius)
        if f"shape_{percent}_xx" in table.column_names:
            matrices = np.empty((*shape, dim, dim))
            for row in range(dim):
                for column in range(row, dim):
                    entry = _numbers(rows, f"shape_{percent}_{'xyz'[row]}{'xyz'[column]}").reshape(shape)
                    matrices[..., row, column] = matrices[..., column, row] = entry
            regions = Regions(radius, matrices / radius[..., None, None] ** 2)
        found.append(replace(one, regions={level: regions}))
    return found


def _numbers(table: pa.Table, name: str) -> Float:
    values: Float = table[name].to_numpy()
    return values
