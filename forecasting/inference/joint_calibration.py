"""Calibrations of several packages together, kept in the card of the first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from forecasting.errors import PackageError
from forecasting.files import text_hash
from forecasting.inference.intervals import Calibration
from forecasting.packages.identity import forecaster_digest
from forecasting.packages.package import Package

MOST = 8
"""Calibrations that one package keeps, the latest; each takes as much room as its own."""
_CARD = "ensembles"


def members_key(packages: Sequence[Package]) -> str:
    """SHA-256 of what these packages forecast with, in any order; what is only said of them does not count."""
    return text_hash(sorted(forecaster_digest(package) for package in packages))


def kept_calibration(packages: Sequence[Package]) -> Mapping[str, Any] | None:
    """The calibration of exactly these packages together, from whichever of them keeps it; None where none does.

    Raises:
        PackageError: if what a package keeps is no such thing.
    """
    if not any(_CARD in package.card for package in packages):
        return None
    key = members_key(packages)
    for package in packages:
        found = _kept(package).get(key)
        if found is not None:
            return found
    return None


def with_calibration(packages: Sequence[Package], calibration: Calibration) -> Package:
    """The first package, with a calibration of all of them together beside its own."""
    first, key = packages[0], members_key(packages)
    others = {name: kept for name, kept in _kept(first).items() if name != key}
    latest = dict([*others.items(), (key, calibration.to_plain())][-MOST:])
    return replace(first, card={**first.card, _CARD: latest})


def _kept(package: Package) -> Mapping[str, Mapping[str, Any]]:
    found = package.card.get(_CARD, {})
    if not (isinstance(found, Mapping) and all(isinstance(each, Mapping) for each in found.values())):
        raise PackageError("the package's calibrations of ensembles are damaged; make them again with `forecast calibrate`")
    return found
