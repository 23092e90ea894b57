"""Packages that only some formats need."""

import importlib
from typing import Any

from forecasting.errors import UsageError


def optional_package(name: str, extra: str, what: str) -> Any:
    """Import a package of an optional extra.

    Args:
        name: of the module; extra: of this project that installs it; what: is read with it, for the message.

    Raises:
        UsageError: if it is not installed; says which extra to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != name.partition(".")[0]:
            raise
        raise UsageError(
            f"reading {what} needs the package {name.partition('.')[0]}: pip install 'forecasting[{extra}]'"
        ) from None
