"""Training runs of a few steps: models and methods as small and quick as they go, and what a run leaves behind."""

import csv
from pathlib import Path
from typing import Any

import torch

SMALLEST: dict[str, dict[str, Any]] = {
    "egnn": {"hidden": 6, "layers": 2},
    "segnn": {"hidden": 8, "layers": 2},
    "egno": {"hidden": 6, "layers": 2},
    "newton": {"hidden": 6, "bumps": 2, "fewest": 4, "most": 8, "steps": 4, "correction": 6, "rounds": 1},
}
"""Relaxable models, as small as they go."""

QUICKEST: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("strict", "free", "augmentation", "annealed", "rpp", "projection", "sampled", "remul")},
    **{name: {"rate": 0.1} for name in ("ace_equality", "ace_inequality", "ace_resilient")},
    "per": {"tune_at": 0.75, "window": 0.5},
    "mixed": {"lean_at": 0.34, "refit_at": 0.67},
}
"""Methods of relaxation whose state moves within two steps."""

_TIMES = ("seconds",)


def quiet(_line: str) -> None:
    """Say nothing."""


def checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    """A checkpoint of a run folder."""
    found: dict[str, Any] = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return found


def trace(folder: Path) -> list[tuple[int, str, float]]:
    """(step, name, value) of everything that a run logged about its relaxation; empty for a strict model."""
    path = folder / "relaxation.csv"
    if not path.exists():
        return []
    with path.open() as file:
        return [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(file)]


def assert_same(one: Any, two: Any, path: str = "") -> None:
    """Two checkpoints are equal to the bit, except for the seconds they took."""
    assert type(one) is type(two), path
    if isinstance(one, dict):
        assert one.keys() == two.keys(), path
        for key in one:
            if key not in _TIMES:
                assert_same(one[key], two[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), path
        for index, (first, second) in enumerate(zip(one, two, strict=True)):
            assert_same(first, second, f"{path}/{index}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), path
    else:
        assert one == two, path
