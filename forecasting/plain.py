"""Building things from plain values that a user wrote, with errors that name what is wrong."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from forecasting.errors import UsageError, did_you_mean

T = TypeVar("T")


def call(factory: Callable[..., T], arguments: Mapping[str, Any], what: str, *given: Any) -> T:
    """Call `factory` with the positional arguments `given` and the keyword arguments a user wrote.

    Args:
        factory: class or function.
        arguments: of the user.
        what: names the thing in errors, for instance ``model 'egnn'``.
        given: leading arguments that are not the user's.

    Raises:
        UsageError: if an argument is unknown (names the nearest), missing, or of a kind that the factory cannot take.
    """
    parameters = inspect.signature(factory).parameters
    known = list(parameters)[len(given) :]
    for key in arguments:
        if key not in known:
            hint = did_you_mean(key, known) if known else "it takes none"
            raise UsageError(f"{what} has no argument '{key}'; {hint}")
    for key in known:
        if parameters[key].default is inspect.Parameter.empty and key not in arguments:
            raise UsageError(f"{what} needs the argument '{key}'")
    try:
        return factory(*given, **arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what}: {error}") from error


def completed(factory: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments a user gave with every default beside them, so that a later change of a default changes nothing."""
    parameters = inspect.signature(factory).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}
    return {**defaults, **arguments}


def pick(table: Mapping[str, T], name: str, what: str) -> T:
    """The member called `name`.

    Raises:
        UsageError: if there is none; names the nearest.
    """
    if name not in table:
        raise UsageError(f"unknown {what} '{name}'; {did_you_mean(name, table)}")
    return table[name]
