"""Which files of sports tracking belong together: a play is a tracking file and what lies beside it."""

import re
from dataclasses import dataclass
from pathlib import Path

from forecasting.errors import DataError

HEAD = 1 << 16
DOCUMENTS = re.compile(r"(upstream_)?readme|sources?|licen[cs]e|copying|notice|changelog")
PROVIDERS = {"csv": "Metrica CSV", "epts": "EPTS", "tracab": "TRACAB", "sportec": "Sportec", "skillcorner": "SkillCorner"}
BESIDE = {
    "csv": "file of the away team",
    "epts": "metadata (xml)",
    "tracab": "metadata (xml)",
    "sportec": "match information (xml)",
    "skillcorner": "match data (json)",
}

_TRACAB = re.compile(rb"\s*\d+:(?:-?\d+,-?\d+,-?\d+,-?[\d.]+,-?[\d.]+,-?[\d.]+;)*:-?[\d.]+,-?[\d.]+,-?[\d.]+,-?[\d.]+,[HA],")
_EPTS = re.compile(rb"\d+:[-+\d.eENaA,; ]*,[-+\d.eENaA,; ]*:[-+\d.eENaA,; ]+:?\r?(?:\n|$)")
_MATCH = re.compile(rb'\bMatchId="([^"]{1,100})"')
_WORDS = re.compile(r"[^\W_]+")
_ROLE_WORDS = re.compile(
    "home|away|team|meta|raw|data|metadata|matchdata|rawtrackingdata|trackingdata|tracking|extrapolated|structured|positional|"
    "positions?|observed|match|matchinformation|information|info"
)


@dataclass(frozen=True)
class Role:
    """What a file is: of which provider (a key of `PROVIDERS`), and whether it holds positions or lies beside them."""

    provider: str
    tracking: bool


def role_of(head: bytes) -> Role | None:
    """The role of a file by its first bytes, or None."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    start = head[:256].lstrip()[:1]
    judge = {b"<": _xml_role, b"{": _json_role, b",": _csv_role}.get(start, _text_role)
    return judge(head)


def role_at(path: Path) -> Role | None:
    """The role of a file on disk, or None where it has none or cannot be read."""
    try:
        return role_of(head_at(path)) if path.is_file() else None
    except OSError:
        return None


def head_at(path: Path) -> bytes:
    """The bytes that `role_of` judges."""
    with path.open("rb") as file:
        return file.read(HEAD)


def plays_in(folder: Path) -> list[Path]:
    """The tracking files of a folder that holds nothing but plays and documents, sorted; else none."""
    plays = []
    try:
        for item in sorted(folder.iterdir()):
            if item.name.startswith(".") or DOCUMENTS.fullmatch(item.stem.lower()):
                continue
            role = role_at(item)
            if role is None:
                return []
            if role.tracking:
                plays.append(item)
    except OSError:
        return []
    return plays


def companion(path: Path, provider: str) -> Path | None:
    """The file that a tracking file is read with.

    It is the one of its kind with the same name but for words such as ``meta``, or the only one of its kind beside the only
    tracking file of its kind. Sportec files name their match.

    Returns:
        its path, or None where there is none.

    Raises:
        DataError: if it is not clear which one it is.
    """
    others = [item for item in sorted(path.parent.iterdir()) if item != path and not item.name.startswith(".")]
    wanted = Role(provider, False)
    if provider != "sportec":
        named = [item for item in others if _key(item) == _key(path) and role_at(item) == wanted]
        if len(named) == 1:
            return named[0]
    roles = {item: role_at(item) for item in others}
    found = [item for item, role in roles.items() if role == wanted]
    alone = Role(provider, True) not in roles.values()
    if provider == "sportec":
        found, alone = [item for item in found if _match(item) == _match(path)], True
    if not found:
        return None
    if len(found) > 1 or not alone:
        raise DataError(
            f"{path}: it is not clear which {BESIDE[provider]} belongs to it ({', '.join(item.name for item in found[:5])}); "
            "give files of one match names that differ only in words such as meta and raw, or a folder of their own"
        )
    return found[0]


def _csv_role(head: bytes) -> Role | None:
    lines = head.split(b"\n", 3)
    if len(lines) < 4 or not lines[2].startswith(b"Period,Frame,Time [s],") or not lines[0].startswith(b",,,"):
        return None
    team = lines[0].split(b",")[3].strip().lower()
    return Role("csv", team == b"home") if team in (b"home", b"away") else None


def _text_role(head: bytes) -> Role | None:
    if _TRACAB.match(head):
        return Role("tracab", True)
    return Role("epts", True) if b";" in head.partition(b"\n")[0] and _EPTS.match(head) else None


def _json_role(head: bytes) -> Role | None:
    if b'"player_data"' in head and b'"ball_data"' in head:
        return Role("skillcorner", True)
    return Role("skillcorner", False) if b'"pitch_length"' in head and b'"home_team"' in head else None


def _xml_role(head: bytes) -> Role | None:
    if b"<PutDataRequest" in head:
        if b"<FrameSet" in head or b"<Positions" in head:
            return Role("sportec", True)
        return Role("sportec", False) if b"<MatchInformation" in head else None
    if b"<PitchLongSide" in head or b"iFrameRateFps" in head:
        return Role("tracab", False)
    return Role("epts", False) if b"<GlobalConfig" in head and b"<Metadata" in head else None


def _key(path: Path) -> tuple[str, ...]:
    return tuple(word for word in _WORDS.findall(path.stem.lower()) if not _ROLE_WORDS.fullmatch(word))


def _match(path: Path) -> bytes | None:
    found = _MATCH.search(head_at(path))
    return found[1] if found else None
