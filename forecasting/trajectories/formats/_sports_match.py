"""A match as its tracking files tell it, before it becomes scenes."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError

LARGEST = 1 << 30
"""[bytes] of a tracking file that is taken."""

LARGEST_BESIDE = 4 << 20
MOST_PLAYERS = 300
BALL = "ball"


@dataclass
class Period:
    """One half or extra time.

    Attributes:
        number: from 1.
        start: number of the frame at time 0; by default the first one.
        frames: (T,) their numbers.
        time: (T,) [s] of the period by the clock of the file; empty where it only counts frames.
        rows: step, node, x, y and height of each position, in the file's numbers, five values a row.
    """

    number: int
    start: float | None = None
    frames: "array[float]" = field(default_factory=lambda: array("d"))
    time: "array[float]" = field(default_factory=lambda: array("d"))
    rows: "array[float]" = field(default_factory=lambda: array("d"))

    @property
    def table(self) -> NDArray[np.float64]:
        """(R, 5) `rows`."""
        return np.frombuffer(self.rows, dtype=np.float64).reshape(-1, 5)

    def times(self, rate: float, clock: bool) -> NDArray[np.float64]:
        """(T,) [s] by the clock of the file where there is one and it is wanted, else by frame numbers at `rate`."""
        if clock and self.time:
            return np.array(self.time)
        frames = np.array(self.frames)
        return (frames - (frames[0] if self.start is None else self.start)) / rate


@dataclass
class Match:
    """What the files say.

    Attributes:
        rate: [frames/s].
        unit: of the file's numbers, for `parse_unit`.
        centre: of the pitch, in the file's numbers.
        up_is_left: whether y grows to the left of x, seen from above.
        pitch: length and width [m], or None.
        orientation: how the provider says teams play, or "".
        players: id -> ``home``, ``away`` or ``player``; in `Period.rows` they are counted in this order, then the ball.
        has_heights: whether any period knows a height of the ball.
        periods: by number.
    """

    rate: float
    unit: str
    centre: tuple[float, float] = (0.0, 0.0)
    up_is_left: bool = True
    pitch: tuple[float, float] | None = None
    orientation: str = ""
    players: dict[str, str] = field(default_factory=dict)
    has_heights: bool = False
    periods: dict[int, Period] = field(default_factory=dict)

    def period(self, number: int, start: float | None = None) -> Period:
        """The period of this number, begun where it is new."""
        return self.periods.setdefault(number, Period(number, start))

    @property
    def is_fraction(self) -> bool:
        """Whether the file counts in fractions of the pitch."""
        return self.centre != (0.0, 0.0)

    @property
    def nodes(self) -> dict[str, int]:
        """Id -> number in `Period.rows`."""
        return {name: index for index, name in enumerate([*self.players, BALL])}


def sized(path: Path, largest: int) -> bytes:
    """The content of a file.

    Raises:
        DataError: if it is missing, empty or larger than `largest` bytes.
    """
    try:
        size = path.stat().st_size
        if size > largest:
            raise DataError(f"{path}: {size >> 20} MiB, more than the {largest >> 20} MiB taken; split it")
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not content.strip():
        raise DataError(f"{path}: the file is empty")
    return content


def team_lists(path: Path, teams: Iterable[tuple[str, Iterable[str]]]) -> dict[str, str]:
    """Id -> team of all players.

    Raises:
        DataError: if an id stands twice, is that of the ball, or there are more than any match has.
    """
    players: dict[str, str] = {}
    for team, names in teams:
        for name in names:
            if name in players or name == BALL:
                raise DataError(f"{path}: the player id '{name[:40]}' stands twice or is that of the ball; correct it")
            players[name] = team
    if len(players) > MOST_PLAYERS:
        raise DataError(f"{path}: {len(players)} players, more than the {MOST_PLAYERS} taken; it is damaged")
    return players
