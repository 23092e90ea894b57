"""`forecast doctor`: is this installation sound?"""

import argparse
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from forecasting.cli.output import print_table

SUMMARY = "check this installation: versions, arithmetic, configuration, formats"
DESCRIPTION = """\
Check this installation: versions of what it stands on, accuracy of the arithmetic, configuration files, formats, models.

  forecast doctor
  forecast doctor --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""
    parser.add_argument("--threads", type=int, help="of the arithmetic (default: OMP_NUM_THREADS, else every core)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Look at everything once."""
    from forecasting.numerics import configure

    settings = configure(options.threads)
    from dataclasses import asdict

    import torch

    from forecasting.config_files import config_directory
    from forecasting.models import MODELS
    from forecasting.trajectories.formats import FORMATS
    from forecasting.trajectories.simulators import SIMULATORS
    from forecasting.version import __version__

    return {
        "forecasting": __version__,
        "python": sys.version.split()[0],
        "versions": _versions(),
        "arithmetic": asdict(settings),
        "cuda": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "configs": str(config_directory()),
        "formats": FORMATS.names(),
        "models": MODELS.names(),
        "simulators": SIMULATORS.names(),
    }


def show(result: dict[str, Any]) -> None:
    """A table of versions, then the rest line by line."""
    print_table(["package", "version"], list(result["versions"].items()))
    arithmetic = result["arithmetic"]
    print(f"\ncpu         {arithmetic['cpu']}, {arithmetic['threads']} threads")
    print(f"float32     {arithmetic['product']} products, relative error {arithmetic['product_error']:.1e}")
    print(f"cuda        {result['cuda'] or 'not available'}")
    print(f"configs     {result['configs']}")
    for kind in ("formats", "models", "simulators"):
        print(f"{kind:<11} {', '.join(result[kind])}")


def _versions() -> dict[str, str]:
    found = {}
    for requirement in requires("forecasting") or []:
        if "extra ==" in requirement:
            continue
        name = requirement.split(";")[0].split("[")[0].strip()
        for mark in "<>=!~ ":
            name = name.split(mark)[0]
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
