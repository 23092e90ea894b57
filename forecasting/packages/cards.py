"""What a package keeps of a diagnosis: a symmetry card and the errors beside the baselines'."""

import re
from collections.abc import Mapping
from typing import Any

from forecasting.errors import UsageError

_ERRORS = ("mse", "ade", "fde", "mpjpe")
_PATH = re.compile(r"(?:/|~/|[A-Za-z]:[\\/]|\\\\|file://)[^\n:]*$")
_WITHIN = re.compile(r"(?<![\w.:/])~?(?:/[^\s:,;'\"()/]+){2,}")


def symmetry_card(diagnosis: Mapping[str, Any]) -> dict[str, Any]:
    """Verdicts and residuals, group by group.

    Args:
        diagnosis: what `forecast diagnose --json` or `forecast evaluate --json` prints, or a report's `report.json`.

    Returns:
        plain values: ``reading`` (a sentence); ``groups``, each with ``group``, ``meaning``, ``data`` (kept, broken or cannot
        tell), ``because``, ``residual`` of the model with its 95 % interval and ``ratio`` (error held to the group / free), empty
        where there was no verdict; ``axis``; ``broken_by``; ``copies``: name -> ``meaning`` and ``residual`` of the model on
        moved copies of the data, declared vectors with them; and where it was measured: ``partition``, ``data`` (content hash),
        ``windows``.

    Raises:
        UsageError: if it holds neither verdicts nor residuals.
    """
    verdicts, copies = diagnosis.get("verdicts"), diagnosis.get("copies")
    if not isinstance(verdicts, Mapping) and not isinstance(copies, Mapping):
        raise UsageError("it holds no verdicts and no residuals; take the output of `forecast diagnose PACKAGE DATA --json`")
    found: Mapping[str, Any] = verdicts or {}
    groups = [
        {
            "group": row["group"],
            "meaning": row.get("meaning"),
            "data": row["data"],
            "because": row.get("because"),
            "residual": row.get("model") or {},
            "ratio": row.get("ratio"),
        }
        for row in found.get("groups", [])
    ]
    failed = found.get("failed", "it was not asked for")
    return {
        "reading": found.get("reading") or f"No verdict on the data: {failed}.",
        "groups": groups,
        "axis": found.get("axis"),
        "broken_by": found.get("broken_by"),
        "copies": {
            name: {"meaning": row.get("meaning"), "residual": row.get("residual")} for name, row in (copies or {}).items()
        },
        **{name: diagnosis.get(name) for name in ("partition", "data", "windows")},
    }


def errors_card(diagnosis: Mapping[str, Any]) -> dict[str, Any] | None:
    """Errors of the model and of the baselines on the windows that were diagnosed; None where it holds none.

    Args:
        diagnosis: see `symmetry_card`.

    Returns:
        plain values: ``unit``, ``protocol``, ``partition``, ``data``, and ``rows``: name -> mse [unit²], ade, fde, mpjpe [unit].
    """
    if not isinstance(diagnosis.get("plain"), Mapping):
        return None
    rows = {str(diagnosis.get("model", "model")): diagnosis["plain"], **diagnosis.get("baselines", {})}
    return {
        "unit": diagnosis.get("unit"),
        "protocol": diagnosis.get("metric_protocol"),
        "partition": diagnosis.get("partition"),
        "data": diagnosis.get("data"),
        "windows": diagnosis.get("windows"),
        "rows": {name: {error: row.get(error) for error in _ERRORS} for name, row in rows.items()},
    }


def public(value: Any) -> Any:
    """The same plain value without the folders of this machine: of an absolute path only its last part stays."""
    if isinstance(value, Mapping):
        return {name: public(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [public(item) for item in value]
    if not isinstance(value, str):
        return value
    return _last(value) if _PATH.match(value) else _WITHIN.sub(lambda found: _last(found.group()), value)


def _last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
