"""Packages of older schema versions, brought up to this program's: one function from each version to the next."""

from collections.abc import Callable
from typing import Any

from forecasting.errors import PackageError

Plain = dict[str, Any]

SCHEMA_VERSION = 2


def migrated(plain: Plain, where: str) -> Plain:
    """What a package of any known version says, in the words of the newest.

    Args:
        plain: content of `package.json`; where: names the file in errors.

    Raises:
        PackageError: if its version is not one this program reads.
    """
    version = plain.get("schema_version")
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise PackageError(
            f"{where} has schema version {version!r:.40}; this program reads 1 to {SCHEMA_VERSION}; "
            "update the program, or train the model again"
        )
    for old in range(version, SCHEMA_VERSION):
        plain = _STEPS[old](plain)
    return plain


def _from_1(plain: Plain) -> Plain:
    """Version 2 adds a symmetry card and a calibration; declared vectors were optional before."""
    window = plain.get("window")
    if isinstance(window, dict):
        window = {"declared": [], **window}
    return {**plain, "schema_version": 2, "window": window, "symmetry": None, "calibration": None}


_STEPS: dict[int, Callable[[Plain], Plain]] = {1: _from_1}
