"""Where the configuration files are, in a checkout and in an installed wheel alike."""

from importlib.resources import files
from pathlib import Path

from forecasting.errors import UsageError


def config_directory() -> Path:
    """The folder ``configs``: inside the installed package, else beside the package of a checkout.

    Raises:
        UsageError: if neither exists.
    """
    package = Path(str(files("forecasting")))
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    raise UsageError(f"no configs folder in {package} or beside it; install the package again")
