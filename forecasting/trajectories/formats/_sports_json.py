"""SkillCorner tracking (version 3, JSON lines): metres from the centre of the pitch, ten frames per second."""

import json
import logging
import math
from pathlib import Path
from typing import Any

from forecasting.errors import DataError
from forecasting.trajectories.formats._sports_match import BALL, LARGEST, LARGEST_BESIDE, MOST_PLAYERS, Match, sized, team_lists
from forecasting.trajectories.formats._text import first_line

RATE = 10.0
KICK_OFF = {1: 0.0, 2: 45 * 60.0, 3: 90 * 60.0, 4: 105 * 60.0, 5: 120 * 60.0}
"""[s] on the match clock when a period begins."""

logger = logging.getLogger(__name__)


def read_skillcorner(path: Path, beside: Path | None) -> Match:
    """The match in a tracking file; teams from the match data, where they are of this match.

    Raises:
        DataError: if a line is not a frame, or the match data know some players of the tracking and not others.
    """
    content = sized(path, LARGEST)
    match = Match(RATE, "m")
    players: dict[str, int] = {}
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            try:
                _add(match, json.loads(line), players)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
                raise DataError(
                    f"{path}: line {number} is not a SkillCorner frame ({type(error).__name__}: {first_line(error)[:80]}); "
                    "correct it, or the file is cut"
                ) from None
    match.players = dict.fromkeys(players, "player")
    if len(players) > MOST_PLAYERS:
        raise DataError(f"{path}: {len(players)} players, more than the {MOST_PLAYERS} taken; it is damaged")
    for period in match.periods.values():
        for index in range(1, len(period.rows), 5):
            if period.rows[index] < 0:
                period.rows[index] = len(players)
    if beside is not None:
        _name_teams(path, match, beside)
    return match


def _add(match: Match, frame: dict[str, Any], players: dict[str, int]) -> None:
    if frame["period"] is None:
        return
    period = match.period(_period(frame["period"]))
    step = len(period.frames)
    ball, seen = frame["ball_data"], set[int]()
    for item in frame["player_data"]:
        name = str(item["player_id"])
        if name == BALL:
            raise ValueError("a player with the id of the ball")
        node = players.setdefault(name, len(players))
        if node in seen:
            raise ValueError(f"player {name} stands twice")
        seen.add(node)
        if item["x"] is not None and item["y"] is not None:
            period.rows.extend((step, node, _number(item["x"]), _number(item["y"]), math.nan))
    if ball["x"] is not None and ball["y"] is not None:
        height = ball.get("z")
        period.rows.extend((step, -1, _number(ball["x"]), _number(ball["y"]), math.nan if height is None else _number(height)))
    period.time.append(_seconds(frame["timestamp"]) - KICK_OFF[period.number])
    period.frames.append(_number(frame["frame"]))


def _period(value: object) -> int:
    if type(value) is not int or value not in KICK_OFF:
        raise ValueError(f"period {value!r}")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{value!r} is not a number")
    return float(value)  # type: ignore[arg-type]


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)


def _name_teams(path: Path, match: Match, beside: Path) -> None:
    try:
        said = json.loads(sized(beside, LARGEST_BESIDE))
        home, away = said["home_team"]["id"], said["away_team"]["id"]
        teams = (
            (name, [str(item["id"]) for item in said["players"] if item["team_id"] == team])
            for name, team in (("home", home), ("away", away))
        )
        known = team_lists(beside, teams)
        pitch = _number(said["pitch_length"]), _number(said["pitch_width"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{beside}: not the match data of SkillCorner ({type(error).__name__}: {first_line(error)[:80]}); fetch it again"
        ) from None
    strange = [name for name in match.players if name not in known]
    if strange and len(strange) < len(match.players):
        raise DataError(f"{path}: player {strange[0]} is not in {beside.name}; fetch both files of the match again")
    if strange:
        logger.warning(
            "%s: %s knows none of its %d players, so it is of another match and their teams stay unknown",
            path,
            beside.name,
            len(strange),
        )
        return
    match.players = {name: known[name] for name in match.players}
    match.pitch = pitch
