"""States of satellites as the SGP4 verification programs print them: blocks of ``NUMBER xx`` and minutes since epoch."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._text import are_numbers, first_line, reading_text, sample_lines
from forecasting.trajectories.formats._tracks import state_scene
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Source, Trajectory

STATE = 7
"""Numbers in every row: minutes, x, y, z, vx, vy, vz."""
WITH_ELEMENTS = range(18, 21)
"""Words in a row that goes on with orbital elements and a date; blanks inside its time of day make them differ."""

logger = logging.getLogger(__name__)
_OBJECT = re.compile(r"\s*(\d{1,9}) xx\s*")


class SatellitesFormat(Format):
    """One scene per satellite, because each counts minutes from an epoch of its own.

    Coordinates are inertial (TEME), x and y in the equator and z along the pole. Orbital elements and dates are not read.
    """

    name = "satellites"
    summary = "SGP4 verification output (tcppver.out): km, km/s, minutes since each object's epoch; a scene per object"
    suffixes = (".out",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Nearly certain for a line ``NUMBER xx`` and a row of seven numbers; see `Format.sniff`."""
        lines = [line for line in sample_lines(head) if line.strip()][:2]
        if len(lines) < 2 or not _OBJECT.fullmatch(lines[0]):
            return 0.0
        words = lines[1].split()
        return 0.95 if _fits(words) and are_numbers(words[:STATE]) else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield one scene per object, named by its catalogue number (``20413 (2)`` the second time); see `Format.read`.

        States are put in the order of their times: each object's first row is its epoch, which may lie behind the others.
        """
        seen = Counter[str]()
        for number, line, rows in _blocks(path):
            if not rows:
                raise DataError(f"{path}: line {line}: object {number} has no states; remove its line, or the file is cut")
            values = _numbers(path, rows)
            values = values[np.argsort(values[:, 0], kind="stable")]
            again = (values[1:] == values[:-1]).all(axis=1)
            if again.any():
                logger.info("%s: object %s has %d states twice; one of each is read", path, number, np.count_nonzero(again))
                values = values[np.concatenate([[True], ~again])]
            seen[number] += 1
            yield state_scene(
                number if seen[number] == 1 else f"{number} ({seen[number]})",
                values[:, 0] * 60.0,
                values[:, None, 1:],
                np.array([int(number)]),
                node_type=options.node_type or "satellite",
                unit=options.resolve_unit(path, 3, "km"),
                frame=options.resolve_frame(path, 3, "none"),
                source=Source(str(path), self.name, {"clock": "seconds since the object's epoch", "axes": "TEME"}),
            )


def _blocks(path: Path) -> Iterator[tuple[str, int, list[tuple[int, str]]]]:
    """(catalogue number, its line in the file from 1, lines with their numbers) of each object; blank lines are left out."""
    number, first, rows = "", 0, list[tuple[int, str]]()
    with reading_text(path), path.open(encoding="utf-8") as file:
        for place, line in enumerate(file, start=1):
            found = _OBJECT.fullmatch(line)
            if line.isspace():
                continue
            if found is None and number:
                rows.append((place, line))
            elif found is None:
                raise DataError(f"{path}: line {place} is '{line.strip()[:40]}', expected an object such as '5 xx'; remove it")
            else:
                if number:
                    yield number, first, rows
                number, first, rows = found[1].lstrip("0") or "0", place, []
    if not number:
        raise DataError(f"{path}: the file holds no rows")
    yield number, first, rows


def _numbers(path: Path, lines: list[tuple[int, str]]) -> NDArray[np.float64]:
    """(rows, 7) of an object's numbered lines."""
    rows = [line.split(maxsplit=WITH_ELEMENTS.stop) for _, line in lines]
    for (place, _), words in zip(lines, rows, strict=True):
        if not _fits(words):
            raise DataError(
                f"{path}: line {place} has {len(words)} columns, expected {STATE}, or {WITH_ELEMENTS.start} to "
                f"{WITH_ELEMENTS.stop - 1} with orbital elements; correct it, or the file is cut"
            )
        if not are_numbers(words[:STATE]):
            raise DataError(f"{path}: line {place}: '{' '.join(words[:STATE])[:80]}' is not seven numbers; correct it")
    try:
        return np.array([words[:STATE] for words in rows], dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{path}: lines {lines[0][0]} to {lines[-1][0]}: {first_line(error)}; correct it") from None


def _fits(words: list[str]) -> bool:
    return len(words) == STATE or len(words) in WITH_ELEMENTS


FORMATS.register(SatellitesFormat.name)(SatellitesFormat())
