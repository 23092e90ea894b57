"""Metrica (CSV and EPTS), TRACAB and the match information of Sportec, by the package kloppy."""

import logging
import math
import re
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from forecasting.errors import DataError
from forecasting.trajectories.formats._optional import optional_package
from forecasting.trajectories.formats._sports_files import PROVIDERS
from forecasting.trajectories.formats._sports_match import (
    LARGEST_BESIDE,
    MOST_PLAYERS,
    Match,
    sized,
    team_lists,
)
from forecasting.trajectories.formats._sports_xml import read_positions
from forecasting.trajectories.formats._text import first_line
from forecasting.trajectories.formats._xml import parse_xml

LARGEST_TEXT = 256 << 20
"""[bytes] of a tracking file that kloppy reads, which takes about 25 times as much memory."""

MOST_PERIODS = 16
METRICA_RATE = 25.0
"""[1/s] of Metrica CSV, by which kloppy turns frames into times."""

_OBJECT = re.compile(rb"[:;](-?\d+),-?\d+,(-?\d+),")
_NAME = re.compile(r"\w{1,100}")
logger = logging.getLogger(__name__)


def read_metrica_csv(path: Path, beside: Path) -> Match:
    """The match in the files of home and away team, which must have the same frames."""
    home, away = sized(path, LARGEST_TEXT), sized(beside, LARGEST_TEXT)
    frames = [_check_columns(file, content) for file, content in ((path, home), (beside, away))]
    if frames[0] != frames[1]:
        raise DataError(f"{path}: {frames[0]} frames, but {beside.name} has {frames[1]}; one of them is cut, fetch both again")
    module = _module("metrica")
    dataset = _through_kloppy(path, "csv", lambda: module.load_tracking_csv(BytesIO(home), BytesIO(away), coordinates="metrica"))
    return _match_of(beside, dataset, unit="x=105m,y=68m", centre=(0.5, 0.5), pitch=(105.0, 68.0))


def read_epts(path: Path, beside: Path) -> Match:
    """The match in a FIFA EPTS text file with pitch fractions, as Metrica writes it."""
    content, root = sized(path, LARGEST_TEXT), _checked_xml(beside)
    _check_epts(beside, root)
    lines = content.rstrip().count(b"\n") + 1
    if lines * _count(root, "Player") > len(content):
        raise DataError(f"{path}: {lines} lines are too short for the {_count(root, 'Player')} players of {beside.name}")
    module = _module("metrica")
    about = beside.read_bytes()
    dataset = _through_kloppy(
        path, "epts", lambda: module.load_tracking_epts(BytesIO(about), BytesIO(content), coordinates="metrica")
    )
    if len(dataset.records) != lines:
        raise DataError(f"{path}: {lines} lines, but {beside.name} describes {len(dataset.records)}; fetch both again")
    size = dataset.metadata.pitch_dimensions
    if size is None or dataset.metadata.provider is None:
        raise DataError(f"{beside}: it names no Metrica pitch with FieldSize and fractions of it; only such EPTS files are read")
    pitch = float(size.pitch_length), float(size.pitch_width)
    match = _match_of(path, dataset, f"x={pitch[0]!r}m,y={pitch[1]!r}m", (0.5, 0.5), pitch)
    match.up_is_left = False
    match.rate = _said_rate(beside, root.findtext("Metadata/GlobalConfig/FrameRate") or "")
    return match


def read_tracab(path: Path, beside: Path) -> Match:
    """The match in a TRACAB dat file; frames between the periods are left out, and logged."""
    content = sized(path, LARGEST_TEXT)
    root = _checked_xml(beside)
    lines = _check_objects(path, content)
    module = _module("tracab")
    about = beside.read_bytes()
    dataset = _through_kloppy(path, "tracab", lambda: module.load(BytesIO(about), BytesIO(content), coordinates="tracab"))
    size = dataset.metadata.pitch_dimensions
    match = _match_of(path, dataset, "0.01m", (0.0, 0.0), (float(size.pitch_length), float(size.pitch_width)))
    match.rate = _said_rate(beside, root.findtext("FrameRate") or str(match.rate))
    if len(dataset.records) < lines:
        logger.warning("%s: left out %d of %d frames, which lie in no period", path, lines - len(dataset.records), lines)
    return match


def read_sportec(path: Path, beside: Path) -> Match:
    """The match in Sportec positions. The positions are read here, since kloppy takes a missing coordinate for 0."""
    _checked_xml(beside)
    module = _module("sportec")
    about = beside.read_bytes()
    dataset = _through_kloppy(
        beside, "sportec", lambda: module.load_tracking(BytesIO(about), BytesIO(b"<Positions/>"), coordinates="sportec:tracking")
    )
    metadata = dataset.metadata
    size = metadata.pitch_dimensions
    match = _match_of(beside, dataset, "m", (0.0, 0.0), (float(size.pitch_length), float(size.pitch_width)))
    match.orientation = ""
    rate = float(metadata.frame_rate)
    read_positions(path, match, {period.id: round(period.start_timestamp.total_seconds() * rate) for period in metadata.periods})
    return match


def _module(name: str) -> Any:
    optional_package("kloppy", "sports", "sports tracking")
    return optional_package(f"kloppy.{name}", "sports", "sports tracking")


def _through_kloppy(path: Path, provider: str, load: Callable[[], Any]) -> Any:
    """What kloppy makes of the files; whatever it raises becomes one line."""
    talk = logging.getLogger("kloppy")
    level = talk.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            talk.setLevel(logging.ERROR)
            return load()
    except Exception as error:
        cause = f"{type(error).__name__}: {first_line(error)[:120]}"
        raise DataError(
            f"{path}: kloppy cannot read it as {PROVIDERS[provider]} ({cause}); the file, or the one beside it, is damaged or cut"
        ) from None
    finally:
        talk.setLevel(level)


def _match_of(path: Path, dataset: Any, unit: str, centre: tuple[float, float], pitch: tuple[float, float]) -> Match:
    """The match with the rows of every frame that lies in a period."""
    if not (0 < pitch[0] < math.inf and 0 < pitch[1] < math.inf):
        raise DataError(f"{path}: the pitch is {pitch[0]} m x {pitch[1]} m, expected a length and a width; correct the metadata")
    metadata = dataset.metadata
    rate = float(metadata.frame_rate)
    match = Match(rate, unit, centre, pitch=pitch, orientation=str(metadata.orientation.value))
    match.players = team_lists(
        path, ((str(team.ground.value), [str(player.player_id) for player in team.players]) for team in metadata.teams)
    )
    nodes, nan = match.nodes, float("nan")
    ball = len(match.players)
    for frame in dataset.records:
        if frame.period is None:
            continue
        start = frame.period.start_timestamp.total_seconds() * rate
        period = match.period(int(frame.period.id), float(round(start)))
        step = len(period.frames)
        for player, data in frame.players_data.items():
            if data.coordinates is not None:
                period.rows.extend((step, nodes[str(player.player_id)], data.coordinates.x, data.coordinates.y, nan))
        place = frame.ball_coordinates
        if place is not None:
            height = getattr(place, "z", None)
            period.rows.extend((step, ball, place.x, place.y, nan if height is None else height))
        period.frames.append(frame.frame_id)
    return match


def _check_columns(path: Path, content: bytes) -> int:
    """How many frames a Metrica CSV has, all of as many columns as its header."""
    lines = content.rstrip().split(b"\n")
    width = lines[min(2, len(lines) - 1)].count(b",")
    for number, line in enumerate(lines[3:], start=4):
        if line.count(b",") != width:
            raise DataError(f"{path}: line {number} has {line.count(b',') + 1} columns, expected {width + 1}; the file is cut")
    if len(lines) < 4 or width > 2 * MOST_PLAYERS:
        raise DataError(f"{path}: {len(lines)} lines of {width + 1} columns, expected three header lines, then frames")
    last = lines[-1].split(b",", 3)
    try:
        apart = abs(float(last[2]) - int(last[1]) / METRICA_RATE)
    except (ValueError, OverflowError):
        raise DataError(f"{path}: line {len(lines)} does not begin with period, frame and time; the file is damaged") from None
    if not apart < 1 / METRICA_RATE:
        raise DataError(
            f"{path}: line {len(lines)} is frame {int(last[1])} at {float(last[2])} s, expected {METRICA_RATE:g} frames a second "
            "from 0; correct it"
        )
    return len(lines) - 3


def _check_objects(path: Path, content: bytes) -> int:
    """How many frames a TRACAB file has, whose objects are as many as a match has."""
    objects, count = set[tuple[bytes, bytes]](), 0
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            count += 1
            objects.update(_OBJECT.findall(line))
            if len(objects) > 2 * MOST_PLAYERS:
                raise DataError(f"{path}: line {number}: more than {2 * MOST_PLAYERS} objects; the file is damaged")
    return count


def _checked_xml(path: Path) -> Element:
    """Metadata that are safe to hand on: small, without entities, with no more players and periods than a match has."""
    sized(path, LARGEST_BESIDE)
    root = parse_xml(path)
    for what, most in (("Player", MOST_PLAYERS), ("item", MOST_PLAYERS), ("period", MOST_PERIODS)):
        if _count(root, what) > most:
            raise DataError(f"{path}: {_count(root, what)} elements {what}, more than the {most} taken; it is damaged")
    return root


def _check_epts(path: Path, root: Element) -> None:
    """That separators and names, of which kloppy makes an expression to match lines, are plain."""
    for item in root.iter():
        if "separator" in item.attrib and item.attrib["separator"] not in (",", ";", ":"):
            raise DataError(f"{path}: a separator '{item.attrib['separator'][:20]}', expected one of , ; :")
        names = [item.get("name")] if item.tag == "StringRegister" else []
        names += [item.get("id")] if item.tag in ("Player", "Channel") else []
        for name in names:
            if name is None or not _NAME.fullmatch(name):
                raise DataError(f"{path}: a {item.tag} is called '{str(name)[:40]}', expected letters and digits; correct it")


def _said_rate(path: Path, text: str) -> float:
    """The frame rate as written, of which kloppy takes the whole part."""
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{path}: the FrameRate is '{text[:40]}', expected frames per second; correct it") from None


def _count(root: Element, tag: str) -> int:
    return sum(1 for _ in root.iter(tag))
