"""Errors a user can cause, each with the exit code of the program.

Every message says what was found, where, what was expected, and what fixes it. The command line prints the message alone;
`--debug` adds the traceback.
"""

import difflib
from collections.abc import Iterable

MANY_NAMES = 16


class ForecastingError(Exception):
    """Base of every error that is the user's to fix."""

    exit_code = 1


class UsageError(ForecastingError):
    """A wrong option, config key, name or combination of them (exit code 2)."""

    exit_code = 2


class DataError(ForecastingError):
    """A file or data set that cannot be read truthfully (exit code 3)."""

    exit_code = 3


class PackageError(ForecastingError):
    """A model package that is missing, damaged or of another schema (exit code 4)."""

    exit_code = 4


class NumericalError(ForecastingError):
    """A computation that left the finite numbers or failed an accuracy check (exit code 5)."""

    exit_code = 5


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to `name`, then list the known ones (where they are many, the nearest few).

    Returns:
        A sentence such as ``did you mean 'egnn'? Known: egnn, gnn, mlp``.
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    if len(names) > MANY_NAMES:
        return hint + (f"Near: {', '.join(nearest)}" if nearest else f"there are {len(names)}, among them {', '.join(names[:5])}")
    return f"{hint}Known: {', '.join(names)}"
