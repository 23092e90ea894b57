"""What differs between two packages: plain values one by one, and weights tensor by tensor."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from forecasting.packages._plain import to_plain
from forecasting.packages.package import Package


def difference(one: Package, other: Package) -> dict[str, Any]:
    """What differs.

    Returns:
        plain values: ``same``; ``values``: ``where`` (arguments.hidden, schema.horizon, card.seed …), ``one``, ``other``
        (None where it is not there); ``weights``: how many are ``equal``; ``shapes``: tensors that are in one only, or of other
        shapes; ``changed``: ``name``, Frobenius norms of ``one``, ``other`` and their ``difference``, ``relative`` to the first.
    """
    first, second = dict(_flat(to_plain(one))), dict(_flat(to_plain(other)))
    values = [
        {"where": where, "one": first.get(where), "other": second.get(where)}
        for where in [*first, *(each for each in second if each not in first)]
        if first.get(where) != second.get(where)
    ]
    weights = _weights(one.weights, other.weights)
    return {"same": not (values or weights["shapes"] or weights["changed"]), "values": values, "weights": weights}


def _weights(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    equal, shapes, changed = 0, [], []
    for name in [*one, *(each for each in other if each not in one)]:
        a, b = one.get(name), other.get(name)
        if a is None or b is None or a.shape != b.shape:
            shapes.append({"name": name, "one": _shape(a), "other": _shape(b)})
        elif torch.equal(a, b) and a.dtype == b.dtype:
            equal += 1
        else:
            norms = [float(torch.linalg.vector_norm(each.double())) for each in (a, b, a.double() - b.double())]
            relative = norms[2] / norms[0] if norms[0] else None
            changed.append({"name": name, "one": norms[0], "other": norms[1], "difference": norms[2], "relative": relative})
    return {"equal": equal, "shapes": shapes, "changed": changed}


def _shape(value: torch.Tensor | None) -> list[int] | None:
    return None if value is None else list(value.shape)


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """(place, value) of everything that holds no further values by name."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{where}.{name}" if where else str(name))
    else:
        yield where, list(value) if isinstance(value, tuple) else value
