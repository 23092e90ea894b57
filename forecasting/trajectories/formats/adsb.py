"""Aircraft as ADS-B receivers report them: JSON rows of time, aircraft, latitude, longitude, altitude and speeds."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._adsb_rows import REQUIRED, AircraftRows, opening, read_aircraft
from forecasting.trajectories.formats._geodesy import LocalFrame
from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.formats._table_notes import FieldNote, TableNotes
from forecasting.trajectories.formats._tracks import metres_only
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.formats.long_form import LongTable
from forecasting.trajectories.trajectory import Trajectory

FOOT = 0.3048
KNOT = 1852 / 3600
MAX_CELLS = 10_000_000
"""Entries (times x aircraft) above which a scene must fill at least one in a hundred."""

logger = logging.getLogger(__name__)


class AdsbFormat(Format):
    """JSON or gzip JSON of a table with columns timestamp, icao24, latitude, longitude, altitude.

    Positions are metres east, north and up in a plane that touches the WGS84 ellipsoid at the median of all positions.
    ``source.options["reference"]`` keeps its latitude, longitude [degrees] and height [m], from which
    `_geodesy.LocalFrame` goes back. The altitude (feet, usually by air pressure) is taken as height above the ellipsoid, and
    z is the height above the plane: 100 km away it is 780 m less than the altitude.

    With columns groundspeed [knots], track [degrees from north, clockwise] and vertical_rate [ft/min] there is a field
    ``velocity`` [m/s], turned from the aircraft's own east, north and up into those of the reference point.
    """

    name = "adsb"
    summary = "ADS-B as JSON or JSON.gz rows: degrees, feet and knots to m and m/s, east north up about the median position"
    suffixes = (".json", ".json.gz", ".gz")

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain by the names icao24, latitude and longitude in its first row; see `Format.sniff`."""
        text = opening(head)
        if text.startswith("["):
            return 0.95 if all(f'"{name}"' in text for name in REQUIRED) else 0.0
        return 0.95 if text.startswith("{") and '"icao24":{' in text.replace(" ", "") else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file, at all times at which any aircraft reports; see `Format.read`."""
        unit, frame = metres_only(path, options), options.resolve_frame(path, 3, "+z")
        rows = read_aircraft(path)
        kept = _forward(path, rows, options.on_error)
        _refuse_sparse(path, rows, kept)
        reference, positions = _positions(path, rows)
        columns = {"time": pa.array(rows.time[kept]), "node": _names(rows, kept)}
        columns |= {axis: pa.array(values) for axis, values in zip("xyz", positions[kept].T, strict=True)}
        fields = {}
        if rows.has_velocity:
            fields["velocity"] = FieldNote(("vx", "vy", "vz"), "1o", "m/s", False, True)
            velocity = reference.turn_vectors(rows.latitude, rows.longitude, _own_velocity(rows))
            columns |= {axis: pa.array(values) for axis, values in zip(("vx", "vy", "vz"), velocity[kept].T, strict=True)}
        layout = Layout(
            scene="",
            clock="time",
            rate=None,
            node="node",
            type="",
            axes=("x", "y", "z"),
            fields=fields,
            unit=unit,
            frame=frame,
            scaled=False,
            notes=TableNotes(fields=fields, node_ids="text"),
        )
        typed = replace(options, node_type=options.node_type or "aircraft")
        table = LongTable(path, self.name, layout, typed, lambda row: f"row {kept[row] + 1}")
        scene = next(table.scenes([pa.record_batch(columns)]))
        where = [reference.latitude, reference.longitude, reference.height]
        named = replace(scene.source, options={**scene.source.options, "reference": where})
        yield replace(scene, scene=path.name.partition(".json")[0], source=named)


def _positions(path: Path, rows: AircraftRows) -> tuple[LocalFrame, NDArray[np.float64]]:
    """The frame and (rows, 3) [m] in it, NaN where latitude, longitude or altitude is missing."""
    placed = ~np.isnan(rows.latitude) & ~np.isnan(rows.longitude)
    known = placed & ~np.isnan(rows.altitude)
    if not known.any():
        raise DataError(f"{path}: no row has a latitude, a longitude and an altitude; there is no position to read")
    if np.count_nonzero(placed & ~known):
        logger.warning(
            "%s: %d of %d rows have no altitude (often on the ground), so their positions are missing",
            path,
            np.count_nonzero(placed & ~known),
            len(placed),
        )
    reference = LocalFrame.amid(rows.latitude[known], rows.longitude[known])
    positions = reference.to_local(rows.latitude, rows.longitude, rows.altitude * FOOT)
    positions[~known] = np.nan
    return reference, positions


def _own_velocity(rows: AircraftRows) -> NDArray[np.float64]:
    """(rows, 3) [m/s] east, north and up where the aircraft is."""
    track = np.radians(rows.track)
    speed = rows.groundspeed * KNOT
    return np.stack([speed * np.sin(track), speed * np.cos(track), rows.vertical_rate * (FOOT / 60)], axis=1)


def _forward(path: Path, rows: AircraftRows, on_error: str) -> NDArray[np.int64]:
    """Numbers of the rows that are not before an earlier row of their aircraft; there may be others only if not to fail."""
    order = np.argsort(rows.aircraft, kind="stable")
    time = rows.time[order]
    starts = np.flatnonzero(np.diff(rows.aircraft[order], prepend=-1))
    latest = np.concatenate([np.maximum.accumulate(part) for part in np.split(time, starts[1:])])
    late = order[time < latest]
    if len(late):
        row, back = int(late.min()), f"(check backward_time, {len(late)} such rows)"
        who = rows.names[int(rows.aircraft[row])]
        if on_error == "fail":
            raise DataError(
                f"{path}: row {row + 1} of aircraft {who} is earlier than a row before it {back}; correct the times, or read "
                "without such rows with --on-error mask or drop"
            )
        logger.warning("%s: left out rows earlier than a row of their aircraft before, row %d of %s %s", path, row + 1, who, back)
    return np.delete(np.arange(len(rows.time)), late)


def _refuse_sparse(path: Path, rows: AircraftRows, kept: NDArray[np.int64]) -> None:
    steps, nodes = len(np.unique(rows.time[kept])), len(rows.names)
    if steps * nodes > MAX_CELLS and steps * nodes > 100 * len(kept):
        raise DataError(
            f"{path}: {len(kept)} rows would lie in {steps} times x {nodes} aircraft, nearly all empty; split the file by time"
        )


def _names(rows: AircraftRows, kept: NDArray[np.int64]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(rows.aircraft[kept]), pa.array(list(rows.names)))


FORMATS.register(AdsbFormat.name)(AdsbFormat())
