"""Text tables of frame, node, x and y, as pedestrian experiments publish them, to trajectories."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.formats._table_notes import FieldNote, TableNotes
from forecasting.trajectories.formats._text import line_of_row
from forecasting.trajectories.formats.base import ReadOptions
from forecasting.trajectories.formats.long_form import LongTable
from forecasting.trajectories.trajectory import Trajectory


def read_rows(
    path: Path,
    name: str,
    columns: Mapping[str, NDArray[np.float64]],
    options: ReadOptions,
    skip: int,
    *,
    unit: str,
    rate: float | None,
    node_type: str,
    fields: Mapping[str, FieldNote] = MappingProxyType({}),
) -> Trajectory:
    """The one scene of a planar text table of frame, node, x, y and fields.

    Args:
        path: of the file.
        name: of the format.
        columns: frame, node, x, y and those of the fields, each (rows,).
        options: what the user says.
        skip: lines before the first row.
        unit: text of the unit that the file or its format declares, or empty.
        rate: [frames/s] that it declares, or None.
        node_type: of every node, unless the user says another.
        fields: name -> columns and meaning.
    """
    of_file = options.resolve_unit(path, 2, unit)
    layout = Layout(
        scene="",
        clock="frame",
        rate=options.resolve_rate(path, rate),
        node="node",
        type="",
        axes=("x", "y"),
        fields=fields,
        unit=of_file,
        frame=options.resolve_frame(path, 2),
        scaled=bool(of_file.per_axis),
        notes=TableNotes(fields=dict(fields)),
    )
    typed = replace(options, node_type=options.node_type or node_type)
    table = LongTable(path, name, layout, typed, lambda row: line_of_row(path, skip, row))
    return next(table.scenes([pa.record_batch({name: pa.array(values) for name, values in columns.items()})]))
