"""Football tracking of Metrica, TRACAB, Sportec and SkillCorner, largely through the package kloppy."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from forecasting.errors import DataError, UsageError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._sports_files import BESIDE, PROVIDERS, companion, plays_in, role_at, role_of
from forecasting.trajectories.formats._sports_json import read_skillcorner
from forecasting.trajectories.formats._sports_kloppy import read_epts, read_metrica_csv, read_sportec, read_tracab
from forecasting.trajectories.formats._sports_match import BALL, Match, Period
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Field, Source, Trajectory
from forecasting.trajectories.units import parse_unit

MAX_CELLS = 10_000_000
"""Entries (frames x nodes) above which a period must fill at least one in a hundred."""

LOST_BALL = -10.0
"""Height [m] that some providers write for a ball that was not tracked."""

_READERS = {"csv": read_metrica_csv, "epts": read_epts, "tracab": read_tracab, "sportec": read_sportec}
logger = logging.getLogger(__name__)


class SportsFormat(Format):
    """One scene per period: the players and the ball on the plane of the pitch, in metres.

    The origin is the centre of the pitch, x runs along its length as in the file, and y to the left of x, seen from above;
    nothing is turned, so that teams change ends between periods as they do in the file. Types are ``home``, ``away`` and
    ``ball``. Nodes are those seen in the period. The height of the ball, where known, is the field ``height`` [m].
    Times count from the beginning of the period.

    A play is named by its tracking file, that of the home team for Metrica CSV; metadata are found beside it, see
    `companion`. A folder that holds nothing but such files is read as a whole, each play once.

    =========== ====================================== ==================================== =========
    provider    tracking file                          beside it                            rate [1/s]
    =========== ====================================== ==================================== =========
    Metrica     csv of the home team, pitch fractions  csv of the away team                 25
    EPTS        txt, pitch fractions                   xml with FrameRate and FieldSize     as said
    TRACAB      dat, centimetres                       xml with FrameRate and pitch sides   as said
    Sportec     xml, metres                            xml of the match information         25
    SkillCorner jsonl (version 3), metres             json of the match, may be missing    its clock
    =========== ====================================== ==================================== =========

    Metrica CSV says no pitch size and means 105 m x 68 m; say ``--unit x=106m,y=68m`` for another. y of Metrica grows to
    the right of x and is turned over. Whether the ball is in play, who has it, speeds, whether an object was detected or
    extrapolated, officials, and frames outside the periods are left out.
    """

    name = "sports"
    summary = "Football tracking: Metrica CSV and EPTS, TRACAB, Sportec, SkillCorner; metres from the centre of the pitch"
    suffixes = (".csv", ".txt", ".dat", ".xml", ".jsonl")

    def sniff(self, path: Path, head: bytes) -> float:
        """Nearly certain of a tracking file by its first line or element, 0 of metadata; see `Format.sniff`."""
        if path.is_dir():
            return 0.95 if plays_in(path) else 0.0
        role = role_of(head)
        return 0.95 if role is not None and role.tracking else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield a scene per period, called ``STEM/period-1``, of a play or of all plays in a folder; see `Format.read`."""
        if path.is_dir():
            plays = plays_in(path)
            if not plays:
                raise DataError(f"{path}: not a folder of sports tracking files alone; name the tracking files themselves")
            for play in plays:
                yield from _play(play, options)
        else:
            yield from _play(path, options)


def _play(path: Path, options: ReadOptions) -> Iterator[Trajectory]:
    match, provider, beside = _load(path)
    if options.unit and match.is_fraction and len(parse_unit(options.unit, 2).per_axis) == 0:
        raise UsageError(
            f"{path}: coordinates are fractions of the pitch, found --unit {options.unit}; say the size of the pitch "
            f"(--unit {match.unit}) or leave it out"
        )
    match.has_heights = not match.is_fraction and any(not np.isnan(period.table[:, 4]).all() for period in match.periods.values())
    found = False
    for number in sorted(match.periods):
        scene = _scene(path, match, match.periods.pop(number), options, {"provider": provider, "beside": beside})
        if scene is not None:
            found = True
            yield scene
    if not found:
        raise DataError(f"{path}: no position in any period; the file, or the one beside it, is of another match or empty")


def _load(path: Path) -> tuple[Match, str, str]:
    """The match, its provider and the name of the file beside it."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; check the path")
    role = role_at(path)
    if role is None:
        raise DataError(f"{path}: no tracking file of {', '.join(PROVIDERS.values())}; choose another --format")
    if not role.tracking:
        raise DataError(
            f"{path}: this is the {BESIDE[role.provider]} of {PROVIDERS[role.provider]}, which is read with a tracking file; "
            "name that one, or the folder of both"
        )
    beside = companion(path, role.provider)
    if role.provider == "skillcorner":
        return read_skillcorner(path, beside), role.provider, beside.name if beside else ""
    if beside is None:
        raise DataError(f"{path}: {PROVIDERS[role.provider]} needs its {BESIDE[role.provider]}; put it into the same folder")
    return _READERS[role.provider](path, beside), role.provider, beside.name


def _scene(path: Path, match: Match, period: Period, options: ReadOptions, about: dict[str, object]) -> Trajectory | None:
    """The scene of a period, or None where nobody is seen."""
    unit = options.resolve_unit(path, 2, match.unit)
    scale = np.array(unit.per_axis or (1.0, 1.0))
    table = period.table
    table = table[~np.isnan(table[:, 2:4]).any(axis=1)]
    rate = options.resolve_rate(path, match.rate)
    seen, nodes = np.unique(table[:, 1].astype(np.int64), return_inverse=True)
    steps, names, types = table[:, 0].astype(np.int64), [*match.players, BALL], [*match.players.values(), BALL]
    shape = len(period.frames), len(seen)
    if not len(seen):
        logger.warning("%s: nobody is seen in period %d, which is left out", path, period.number)
        return None
    if shape[0] * shape[1] > MAX_CELLS and shape[0] * shape[1] > 100 * len(table):
        raise DataError(f"{path}: {len(table)} positions in {shape[0]} frames x {shape[1]} nodes, nearly all empty; split it")
    positions = np.full((*shape, 2), np.nan)
    positions[steps, nodes] = (table[:, 2:4] - match.centre) * (scale * (1.0, 1.0 if match.up_is_left else -1.0))
    heights = np.full((*shape, 1), np.nan)
    heights[steps, nodes, 0] = table[:, 4] * scale[0]
    valid = observed(positions) & (heights[..., 0] != LOST_BALL)
    positions[~valid] = np.nan
    heights[~valid] = np.nan
    said = {
        "rate": rate,
        **about,
        "period": period.number,
        "origin": "centre of the pitch",
        "y": "to the left of x seen from above",
        **({"pitch": list(match.pitch)} if match.pitch else {}),
        **({"orientation": match.orientation} if match.orientation else {}),
    }
    return Trajectory(
        scene=f"{path.stem}/period-{period.number}",
        time=period.times(rate, clock=options.rate is None),
        positions=positions,
        valid=valid,
        node_ids=np.array([names[index] for index in seen]),
        node_types=np.array([types[index] for index in seen]),
        unit=unit,
        frame=options.resolve_frame(path, 2, "none"),
        fields={"height": Field(heights, "0e", unit.name)} if match.has_heights else {},
        source=Source(str(path), "sports", said),
    )


FORMATS.register(SportsFormat.name)(SportsFormat())
