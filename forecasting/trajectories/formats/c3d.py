"""Marker positions of optical motion capture in binary form (C3D, of Vicon, Qualisys, OptiTrack and others)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._c3d_header import BLOCK, MAGIC, C3dHeader, read_header
from forecasting.trajectories.formats._c3d_parameters import PROCESSORS
from forecasting.trajectories.formats._text import reading_text
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Source, Trajectory
from forecasting.trajectories.units import METRES

PART = 1 << 23
"""Bytes that are turned into numbers at a time."""

LONG_UNITS = {
    "millimeter": "mm",
    "millimetre": "mm",
    "centimeter": "cm",
    "centimetre": "cm",
    "meter": "m",
    "metre": "m",
    "inch": "in",
    "inche": "in",
    "foot": "ft",
    "feet": "ft",
}
_AXIS = re.compile(r"[+-]?[xyz]")


class C3dFormat(Format):
    """One scene per file, one node per marker; read without a package of its own.

    Points with a negative residual are missing. Points that the file lists as computed angles, forces, moments, powers or
    scalars are left out, as are residuals, cameras, analog channels and events. A marker without a label is called
    ``*NUMBER``, and one whose label stood before gets ``#2``.

    Frames are counted from 0 s; `Source.options` keeps the number of the first.
    """

    name = "c3d"
    summary = "C3D markers; unit and rate from its parameters; --up where POINT:Y_SCREEN does not say it"
    suffixes = (".c3d",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain by the marks of the header and of the parameters behind it; see `Format.sniff`."""
        if len(head) < BLOCK or head[1] != MAGIC or b"\0" not in head[:BLOCK]:
            return 0.0
        place = (head[0] - 1) * BLOCK + 3
        return float(head[place] in PROCESSORS) if BLOCK <= place < len(head) else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file; see `Format.read`."""
        with reading_text(path), path.open("rb") as file:
            header = read_header(path, file, path.stat().st_size)
            labels, computed = header.labels, header.computed
            markers = np.array([index for index, label in enumerate(labels) if label not in computed], dtype=np.int64)
            if not len(markers):
                raise DataError(f"{path}: all {len(labels)} points are computed quantities; there are no markers to read")
            unit = options.resolve_unit(path, 3, _length(header.text("POINT:UNITS")))
            frame = options.resolve_frame(path, 3, _axis(header.text("POINT:Y_SCREEN")))
            rate = options.resolve_rate(path, header.rate)
            positions, valid = _points(path, file, header, markers)
        yield Trajectory(
            scene=path.stem,
            time=np.arange(header.frames) / rate,
            positions=unit.from_file(positions),
            valid=valid,
            node_ids=np.array([labels[index] for index in markers]),
            node_types=np.full(len(markers), options.node_type or "marker"),
            unit=unit,
            frame=frame,
            source=Source(str(path), self.name, {"rate": rate, "first_frame": header.first_frame}),
        )


def _points(
    path: Path, file: BinaryIO, header: C3dHeader, markers: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(T, N, 3) [file's unit] positions, NaN where missing, and (T, N) where they are not."""
    positions = np.empty((header.frames, len(markers), 3))
    valid = np.empty((header.frames, len(markers)), dtype=bool)
    step = max(1, PART // header.frame_size)
    file.seek(header.start)
    for begin in range(0, header.frames, step):
        count = min(step, header.frames - begin)
        content = file.read(count * header.frame_size)
        if len(content) < count * header.frame_size:
            raise DataError(f"{path}: the file became shorter while it was read; read it again")
        values = _numbers(header, content).reshape(count, -1)[:, : 4 * header.points].reshape(count, header.points, 4)
        if len(markers) < header.points:
            values = values[:, markers]
        here = slice(begin, begin + count)
        positions[here] = values[..., :3]
        valid[here] = (values[..., 3] >= 0) & ~np.isnan(values[..., :3]).any(axis=2)
    if header.scale > 0:
        positions *= header.scale
    positions[~valid] = np.nan
    return positions, valid


def _numbers(header: C3dHeader, content: bytes) -> NDArray[np.float32] | NDArray[np.int16]:
    if header.scale < 0:
        return header.storage.floats(content)
    return header.storage.words(content).view(np.int16)


def _length(text: str) -> str:
    text = text.lower()
    text = LONG_UNITS.get(text.removesuffix("s"), text)
    return text if text in METRES else ""


def _axis(text: str) -> str:
    return text.lower() if _AXIS.fullmatch(text.lower()) else ""


FORMATS.register(C3dFormat.name)(C3dFormat())
