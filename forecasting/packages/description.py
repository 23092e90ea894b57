"""What a package is, in plain values: for people to read and programs to show."""

from pathlib import Path
from typing import Any

from forecasting.packages._card import WEIGHTS, read_card
from forecasting.packages.package import Package, load_package, package_folder


def describe(folder: str | Path) -> dict[str, Any]:
    """Everything that can be said of a package without forecasting.

    Args:
        folder: of the package, or of its run.

    Returns:
        plain values: ``name``, ``model``, ``arguments``, ``parameters``, ``bytes`` of the weights, ``inputs``, ``window`` with
        its seconds, ``unit``, ``up``, ``graph``, ``data``, ``seed``, ``validation``, ``errors``, ``symmetry``, ``calibration``,
        ``digests``; None where the package does not say.

    Raises:
        PackageError: see `load_package`.
    """
    place = package_folder(folder)
    package = load_package(place)
    _, digests = read_card(place)
    card = package.card
    return {
        "package": str(folder),
        "name": card.get("name"),
        "note": card.get("note"),
        "model": package.model,
        "arguments": dict(package.arguments),
        "parameters": sum(value.numel() for value in package.weights.values()),
        "bytes": (place / WEIGHTS).stat().st_size,
        "inputs": _inputs(package),
        "window": _window(package),
        "unit": package.unit,
        "up": package.frame.up,
        "handedness": package.frame.handedness,
        "graph": {"name": package.topology, "arguments": dict(package.topology_arguments)},
        "normalization": {"length": package.normalization.length, "time": package.normalization.time},
        "relaxation": card.get("relaxation"),
        "data": card.get("data"),
        "split": card.get("split"),
        "seed": card.get("seed"),
        "validation": card.get("best_validation"),
        "epochs": card.get("epochs"),
        "errors": card.get("errors"),
        "symmetry": None if package.symmetry is None else dict(package.symmetry),
        "calibration": None if package.calibration is None else dict(package.calibration),
        "program_version": card.get("program_version"),
        "digests": digests,
    }


def _inputs(package: Package) -> dict[str, Any]:
    schema = package.schema
    return {
        "dim": schema.dim,
        "node_types": list(schema.node_types),
        "edge_types": list(schema.edge_types),
        "fields": {name: {"irreps": about["irreps"], "unit": about["unit"]} for name, about in package.fields.items()},
        "declared": {one.name: list(one.direction) for one in package.window.declared},
    }


def _window(package: Package) -> dict[str, Any]:
    window = package.window
    return {
        "history": window.history,
        "horizon": list(window.horizon),
        "step": window.step,
        "dt": package.dt,
        "seconds_seen": window.past * package.dt,
        "seconds_ahead": window.future * package.dt,
    }
