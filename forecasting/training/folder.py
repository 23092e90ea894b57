"""The folder of a run: what it is about, so that only the same is continued."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecasting.errors import UsageError
from forecasting.files import write_json
from forecasting.training.problem import Problem
from forecasting.training.settings import TrainingSettings


def identity(settings: TrainingSettings, problem: Problem) -> dict[str, Any]:
    """What must be the same when a run is continued, and in every process of it, as plain values."""
    about = {
        "settings": settings.fixed(),
        "data": problem.dataset.manifest.content,
        "model": [problem.model_name, dict(problem.model_arguments)],
        "window": str(problem.window),
    }
    plain: dict[str, Any] = json.loads(json.dumps(about, default=str))
    return plain


def begin(place: Path, checkpoint: Path, about: Mapping[str, Any]) -> None:
    """Make the folder of a new run.

    Raises:
        UsageError: if it holds one already.
    """
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        raise UsageError(f"{place} holds a run already; continue it with --resume {place}, or name another folder with run=")
    write_json(place / "run.json", about)


def check_same(place: Path, checkpoint: Path, about: Mapping[str, Any]) -> None:
    """See that a run can be continued.

    Raises:
        UsageError: if there is nothing to resume, or the settings changed in a way that matters.
    """
    path = place / "run.json"
    if not checkpoint.exists() or not path.exists():
        raise UsageError(f"{place} holds no checkpoint to resume; was the run stopped before its first one?")
    old, new = _flat(json.loads(path.read_text(encoding="utf-8"))), _flat(about)
    changed = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
    if changed:
        listed = ", ".join(f"{key} ({old.get(key)} → {new.get(key)})" for key in sorted(changed)[:5])
        raise UsageError(f"{place} cannot be resumed: {listed} changed; start a new run instead")


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, dict) and item else {f"{prefix}{key}": item}
    return flat
