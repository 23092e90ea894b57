"""Wide tables: one row per frame, the coordinates of every node side by side, with a header or without."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from forecasting.errors import DataError, UsageError, did_you_mean
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._text import (
    Preamble,
    are_numbers,
    fault,
    first_line,
    reading_text,
    sample_lines,
    split_line,
)
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Source, Trajectory

SKIP = "_"
_AXIS_FIRST = re.compile(r"(?P<axis>[xyz])[_.]?(?P<node>\w+)", re.IGNORECASE)
_AXIS_LAST = re.compile(r"(?P<node>.+?)[_. ]?(?P<axis>[xyz])", re.IGNORECASE)


class WideCsvFormat(Format):
    """Columns x0, y0, x1, y1, … (or hip_x, hip_y, …), named by a header or by ``--wide`` in order of position."""

    name = "wide_csv"
    summary = "one row per frame; --wide x0,y0,x1,y1,… names the columns (by position where there is no header)"
    suffixes = (".csv", ".tsv")

    def sniff(self, path: Path, head: bytes) -> float:
        """High for a header of x0, y0, …, fair for rows of numbers alone; see `Format.sniff`."""
        lines = sample_lines(head)
        preamble = Preamble.of(iter(lines))
        delimiter, cells = split_line(preamble.first)
        if len(cells) < 2:
            return 0.0
        if are_numbers(cells):
            rows = [line.split(delimiter) for line in lines[preamble.lines : preamble.lines + 50] if line.strip()]
            return 0.5 if all(len(row) == len(cells) and are_numbers(row) for row in rows) else 0.0
        labels = [label for label in cells if label.strip().lower() not in ("time", "frame")]
        return 0.7 if all(re.fullmatch(r"[xyz]_?\d+|\w+_[xyz]", label.strip()) for label in labels) else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file; see `Format.read`."""
        preamble = Preamble.load(path)
        delimiter, cells = split_line(preamble.first)
        headed = not are_numbers(cells)
        columns = _Columns.choose(path, cells, options, headed)
        values = _load(path, preamble.lines + headed, delimiter, len(cells), columns.indices)
        clock, coordinates = values[:, : columns.clocks], values[:, columns.clocks :]
        positions = coordinates.reshape(len(values), len(columns.nodes), columns.dim)
        unit = options.resolve_unit(path, columns.dim)
        positions = unit.from_file(positions)
        valid = observed(positions)
        time, rate = _time(path, clock, columns, options)
        yield Trajectory(
            scene=path.stem,
            time=time,
            positions=np.where(valid[..., None], positions, np.nan),
            valid=valid,
            node_ids=_ids(columns.nodes),
            node_types=np.full(len(columns.nodes), options.node_type or "node"),
            unit=unit,
            frame=options.resolve_frame(path, columns.dim),
            source=Source(str(path), self.name, {"wide": list(columns.labels), **({"rate": rate} if rate else {})}),
        )


@dataclass(frozen=True)
class _Columns:
    """Which columns are read.

    Attributes:
        labels: of the coordinates, node by node.
        nodes: names of the nodes, in order.
        dim: D.
        indices: positions in the file: first the clock (if there is one), then the coordinates.
        clocks: how many of them are the clock, 0 or 1.
        counts_frames: whether the clock is a frame number.
    """

    labels: tuple[str, ...]
    nodes: tuple[str, ...]
    dim: int
    indices: tuple[int, ...]
    clocks: int
    counts_frames: bool

    @classmethod
    def choose(cls, path: Path, cells: Sequence[str], options: ReadOptions, headed: bool) -> "_Columns":
        """Match the header, ``--wide`` and ``--columns time=NAME``."""
        if not headed and len(options.wide) != len(cells):
            raise UsageError(
                f"{path}: {len(cells)} columns without a header, but --wide names {len(options.wide)}; name every one "
                f"in order, for instance --wide {_example(len(cells))} ('{SKIP}' leaves one out)"
            )
        names = [name.strip() for name in (cells if headed else options.wide)]
        clock = _clock(path, names, options)
        wanted = [name.strip() for name in options.wide] or names
        labels = tuple(name for name in wanted if name not in (clock, SKIP) and name.lower() not in ("time", "frame"))
        for name in labels:
            if names.count(name) != 1:
                found = "twice" if name in names else "nowhere"
                raise UsageError(f"{path}: column '{name}' stands {found} in the file; {did_you_mean(name, names)}")
        nodes, dim = _nodes(path, labels)
        indices = [names.index(name) for name in labels]
        return cls(
            labels,
            nodes,
            dim,
            tuple(([names.index(clock)] if clock else []) + indices),
            1 if clock else 0,
            clock.lower() == "frame" or clock == options.columns.get("frame"),
        )


def _clock(path: Path, names: Sequence[str], options: ReadOptions) -> str:
    for role in ("time", "frame"):
        wanted = options.columns.get(role)
        if wanted and wanted not in names:
            raise UsageError(f"{path}: there is no column '{wanted}' (for {role}); {did_you_mean(wanted, names)}")
        if wanted:
            return wanted
    return next((name for role in ("time", "frame") for name in names if name.lower() == role), "")


def _nodes(path: Path, labels: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Split labels such as x0, y0 or hip_x, hip_y into node names and the number of axes."""
    parts = [_AXIS_FIRST.fullmatch(label) or _AXIS_LAST.fullmatch(label) for label in labels]
    if not all(parts):
        parts = [_AXIS_LAST.fullmatch(label) for label in labels]
    if not labels or not all(parts):
        bad = next((label for label, part in zip(labels, parts, strict=True) if not part), "")
        raise UsageError(f"{path}: column '{bad}' names no axis; name columns like x0,y0 or hip_x,hip_y with --wide")
    pairs = [(part["node"], part["axis"].lower()) for part in parts if part]
    nodes = tuple(dict.fromkeys(node for node, _ in pairs))
    dim = len(pairs) // len(nodes)
    if dim not in (2, 3) or pairs != [(node, axis) for node in nodes for axis in "xyz"[:dim]]:
        raise UsageError(f"{path}: the columns {', '.join(labels[:6])} are not x, y (and z) node by node; order them with --wide")
    return nodes, dim


def _load(path: Path, skip: int, delimiter: str, width: int, indices: Sequence[int]) -> NDArray[np.float64]:
    names = [str(index) for index in range(width)]
    wanted = [str(index) for index in indices]
    try:
        with reading_text(path):
            table = pacsv.read_csv(
                path,
                read_options=pacsv.ReadOptions(column_names=names, skip_rows=skip),
                parse_options=pacsv.ParseOptions(delimiter=delimiter),
                convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(wanted, pa.float64()), include_columns=wanted),
            )
    except (pa.ArrowException, ValueError) as error:
        found = fault(path, skip, lambda line: split_line(line)[1] if delimiter in line else [line], width, list(indices))
        raise DataError(found or f"{path}: not a table ({first_line(error)})") from None
    return np.column_stack([column.to_numpy() for column in table.columns]).reshape(-1, len(indices))


def _time(
    path: Path, clock: NDArray[np.float64], columns: _Columns, options: ReadOptions
) -> tuple[NDArray[np.float64], float | None]:
    if columns.clocks and not columns.counts_frames:
        return np.ascontiguousarray(clock[:, 0]), None
    rate = options.resolve_rate(path)
    return (clock[:, 0] if columns.clocks else np.arange(len(clock))) / rate, rate


def _ids(nodes: tuple[str, ...]) -> NDArray[np.int64] | NDArray[np.str_]:
    if all(node.isascii() and node.isdecimal() and str(int(node)) == node for node in nodes):
        return np.array(nodes, dtype=np.int64)
    return np.array(nodes, dtype=str)


def _example(width: int) -> str:
    return ",".join(f"{axis}{node}" for node in range(width // 2) for axis in "xy") + ("" if width % 2 == 0 else f",{SKIP}")


FORMATS.register(WideCsvFormat.name)(WideCsvFormat())
