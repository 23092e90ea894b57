"""JSON from strangers: bounded, without duplicate names, without numbers that are none."""

import json
from math import isfinite
from typing import Any

LARGEST = 1 << 63


def parse(content: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: if it is not JSON, names something twice, is nested too deep, or holds a number that is not finite or beyond
            2^63.
    """
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def canonical(value: Any) -> bytes:
    """The one way to write a plain value, for digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"'{twice:.80}' is there twice")
    return found


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text:.40} is too large a number")
    return value


def _int(text: str) -> int:
    value = int(text) if len(text) < 20 else LARGEST
    if abs(value) >= LARGEST:
        raise ValueError(f"{text:.40} is too large a number")
    return value
