"""`package.json`: written with the digests of what the package holds, read with every doubt."""

import hashlib
from pathlib import Path
from typing import Any

from forecasting.errors import PackageError
from forecasting.files import write_json
from forecasting.packages._json import canonical, parse
from forecasting.packages._kinds import Record, Text, plain
from forecasting.packages._members import digest, opened
from forecasting.packages._migrations import SCHEMA_VERSION, migrated
from forecasting.version import __version__

CARD, WEIGHTS = "package.json", "weights.safetensors"
LARGEST_CARD = 4 << 20
_DIGESTS = Record({"weights": Text(64), "content": Text(64)})


def write_card(folder: Path, content: dict[str, Any]) -> None:
    """Write `package.json` beside the weights that are in the folder already."""
    whole = {"schema_version": SCHEMA_VERSION, "program_version": __version__, **content}
    whole["digests"] = {"weights": digest(folder / WEIGHTS)}
    whole["digests"]["content"] = content_digest(whole)
    write_json(folder / CARD, whole)


def read_card(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What `package.json` says of the package, in the words of the newest schema version, and its digests.

    Version 1 had no digests, and an empty mapping comes back.

    Raises:
        PackageError: if it is missing, not JSON, of an unknown version, or it or the weights are not what was written.
    """
    path = folder / CARD
    with opened(path, LARGEST_CARD) as file:
        text = file.read()
    try:
        whole = parse(text)
    except ValueError as error:
        raise PackageError(f"{path} is damaged: {error}") from None
    if not isinstance(whole, dict):
        raise PackageError(f"{path} is damaged: it is not an object")
    plain(whole, str(path))
    version = whole.get("schema_version")
    whole = migrated(whole, str(path))
    digests = {} if version == 1 else whole.get("digests")
    if version != 1:
        _check_digests(folder, whole)
    for name in ("schema_version", "program_version", "digests"):
        whole.pop(name, None)
    return whole, dict(digests or {})


def content_digest(whole: dict[str, Any]) -> str:
    """SHA-256 of everything `package.json` says but this digest itself; it stands for the package."""
    digests = {"weights": whole["digests"]["weights"]}
    return hashlib.sha256(canonical({**whole, "digests": digests})).hexdigest()


def _check_digests(folder: Path, whole: dict[str, Any]) -> None:
    path = folder / CARD
    _DIGESTS(whole.get("digests"), f"{path}: digests")
    for name, found in (("content", content_digest(whole)), ("weights", digest(folder / WEIGHTS))):
        if found != whole["digests"][name]:
            what = path if name == "content" else folder / WEIGHTS
            raise PackageError(
                f"{what} is damaged: it was changed since it was written; copy the package again or train it again"
            )
