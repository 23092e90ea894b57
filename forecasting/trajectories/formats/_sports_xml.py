"""Sportec (DFL) positions: XML with a set of frames per period and object, metres from the centre of the pitch."""

import logging
import math
from array import array
from collections import Counter
from pathlib import Path
from xml.parsers import expat

import numpy as np

from forecasting.errors import DataError
from forecasting.trajectories.formats._sports_match import BALL, LARGEST, Match, Period

SECTIONS = {"firstHalf": 1, "secondHalf": 2, "firstHalfExtra": 3, "secondHalfExtra": 4}
logger = logging.getLogger(__name__)


def read_positions(path: Path, match: Match, starts: dict[int, float]) -> None:
    """Fill the periods of a match; officials and other objects that are no players of it are left out, and logged.

    Args:
        path: of the positions.
        match: with its players.
        starts: number of the frame that begins each period.

    Raises:
        DataError: if it is not well formed, declares entities, or a frame has no number or another one twice.
    """
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path}: {path.stat().st_size >> 20} MiB, more than the {LARGEST >> 20} MiB taken; split it by period")
    reader = _Positions(path, match, starts)
    try:
        with path.open("rb") as file:
            reader.parser.ParseFile(file)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (expat.ExpatError, ValueError, LookupError, OverflowError) as error:
        raise DataError(f"{path}: line {reader.parser.CurrentLineNumber}: {error}; the file is damaged or cut") from None
    for period in match.periods.values():
        _by_steps(path, period)
    if reader.strangers:
        logger.info("%s: left out %d objects that are no players (officials)", path, len(reader.strangers))


class _Positions:
    """Collects rows of frame number, node, x, y, height."""

    def __init__(self, path: Path, match: Match, starts: dict[int, float]) -> None:
        self.path, self.match, self.starts = path, match, starts
        self.nodes = match.nodes
        self.period: Period | None = None
        self.node = -1
        self.strangers: Counter[str] = Counter()
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.StartDoctypeDeclHandler = self.refuse
        self.parser.EntityDeclHandler = self.refuse

    def refuse(self, *_: object) -> None:
        raise DataError(
            f"{self.path}: line {self.parser.CurrentLineNumber}: a document type or entity is declared, which is refused "
            "because entities can grow without end; remove the declaration"
        )

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Frame" and self.period is not None:
            x, y, z = (float(attributes[axis]) if axis in attributes else math.nan for axis in "XYZ")
            if "N" not in attributes:
                raise ValueError("a Frame without its number N")
            self.period.rows.extend((int(attributes["N"]), self.node, x, y, z))
        elif name == "FrameSet":
            self.begin(attributes)

    def begin(self, attributes: dict[str, str]) -> None:
        section = attributes.get("GameSection", "")
        if section not in SECTIONS:
            raise ValueError(f"a FrameSet of the GameSection '{section[:40]}', expected {', '.join(SECTIONS)}")
        who = BALL if attributes.get("TeamId") == "BALL" else attributes.get("PersonId", "")
        self.period = None
        if who in self.nodes:
            number = SECTIONS[section]
            self.period, self.node = self.match.period(number, self.starts.get(number)), self.nodes[who]
        else:
            self.strangers[who] += 1


def _by_steps(path: Path, period: Period) -> None:
    """Turn frame numbers in the rows into steps."""
    table = period.table.copy()
    frames, steps = np.unique(table[:, 0], return_inverse=True)
    table[:, 0] = steps
    pairs = steps * (table[:, 1].max(initial=0) + 1) + table[:, 1]
    if len(np.unique(pairs)) < len(pairs):
        raise DataError(f"{path}: an object has two rows for one frame in period {period.number}; remove one")
    period.frames = array("d", frames.tolist())
    period.rows = array("d", table.tobytes())
