"""Verdicts in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any

from forecasting.evaluation._decisions import BROKEN, KEPT, LIMIT, UNKNOWN


def reason(row: Mapping[str, Any], blocked: str, source: str | None, uncovered: str) -> str:
    """Why the data column says what it says.

    Args:
        row: of the table; blocked: why the question could not be asked; source: group from whose answer this one follows.
        uncovered: why the data do not reach far enough.
    """
    if blocked:
        return f"Cannot tell: {blocked}."
    if uncovered:
        return uncovered
    if source is not None:
        follows = "is kept, and holds it" if row["data"] == KEPT else "is broken, and belongs to it"
        return f"It follows: {source} {follows}."
    return _compared(row) if row["ratio"] else "Cannot tell: it was not tried."


def _compared(row: Mapping[str, Any]) -> str:
    """What the comparison of errors says."""
    ratio = row["ratio"]
    said = f"held to it, the network errs {ratio['value']:.3g} times as much ({ratio['low']:.3g} to {ratio['high']:.3g})"
    moved = row["moved_ratio"]
    if moved is not None:
        said += f", and free {moved['value']:.3g} times on moved copies ({moved['low']:.3g} to {moved['high']:.3g})"
    if row["data"] == UNKNOWN and moved is not None and ratio["low"] > LIMIT:
        return f"Cannot tell: {said}; freedom helps this network, but not in a direction."
    if row["data"] == UNKNOWN:
        return f"Cannot tell: {said}, which does not settle whether that is more than {LIMIT} times."
    return f"{said[0].upper()}{said[1:]}."


def reading(rows: Sequence[Mapping[str, Any]], axis: Mapping[str, Any] | None) -> str:
    """The whole verdict in a sentence or two."""
    by = {answer: [row["group"] for row in rows if row["data"] == answer] for answer in (KEPT, BROKEN, UNKNOWN)}
    parts = []
    if by[KEPT]:
        parts.append(f"The data keep {_listed(by[KEPT])}.")
    if by[BROKEN]:
        parts.append(f"They break {_listed(by[BROKEN])}.")
    if axis is not None:
        vector = ", ".join(f"{value:.3f}" for value in axis["vector"])
        sure = "" if axis["degrees"] is None else f", known to about {max(axis['degrees'], 0.1):.1f}°"
        parts.append(f"The axis n is ({vector}){sure}.")
    if by[UNKNOWN]:
        parts.append(f"Of {_listed(by[UNKNOWN])} nothing can be said.")
    return " ".join(parts)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
