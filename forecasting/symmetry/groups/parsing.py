"""Groups by name."""

import inspect
import re
from typing import Any

from forecasting.errors import UsageError, did_you_mean
from forecasting.symmetry.groups._directions import parse_direction
from forecasting.symmetry.groups.base import GROUPS, LinearGroup

PLANAR_AXIS = "z"


def parse_group(text: str, dim: int = 3) -> LinearGroup:
    """Read a group such as ``SO(3)``, ``E(3)``, ``C∞v(y)`` or ``Cinfv(y)``, ``SO(2)(0.1,0.2,0.97)``, ``mirror(x)``, ``C_4(z)``.

    Args:
        text: the name of a registered group, then its axis (the normal of a mirror) in parentheses where it has one.
        dim: dimensions of the data; on planar data an axis need not be said (it is z), and groups that leave the plane are
            refused.

    Raises:
        UsageError: if there is no such group (names the nearest), an axis or order is missing, superfluous or impossible, or
            the group cannot act on data of this dimension.
    """
    key, order, axis = _take_apart(text)
    factory = GROUPS[key]
    arguments: dict[str, Any] = {}
    for name in inspect.signature(factory).parameters:
        if name == "order":
            if order is None:
                raise UsageError(f"group '{text}' needs an order, for instance {key.replace('_n', '_4')}(z)")
            arguments[name] = order
        else:
            if axis is None and not (name == "direction" and dim == 2):
                raise UsageError(f"group '{text}' needs a {name}, for instance {text}(z) or {text}(0.1,0.2,0.97)")
            arguments[name] = parse_direction(axis or PLANAR_AXIS)
            axis = None
    if axis is not None:
        raise UsageError(f"group '{key}' takes nothing in parentheses, found '({axis})'; {did_you_mean(text, GROUPS.names())}")
    return factory(**arguments).for_dimension(dim)


def _take_apart(text: str) -> tuple[str, int | None, str | None]:
    """Registered name, order and axis."""
    known = GROUPS.names()
    plain = re.sub(r"^([CD])inf", r"\1∞", "".join(text.split()))
    match = re.fullmatch(r"(.+)\(([^()]*)\)", plain)
    parts = [(plain, None), *([(match[1], match[2])] if match else [])]
    for head, axis in parts:
        if head in known:
            return head, None, axis
        numbered = re.fullmatch(r"([A-Z]+)_(\d+)([a-z]*)", head)
        if numbered and f"{numbered[1]}_n{numbered[3]}" in known:
            return f"{numbered[1]}_n{numbered[3]}", int(numbered[2]), axis
    head = match[1] if match and not match[2].isdigit() else plain
    raise UsageError(f"unknown group '{text}'; {did_you_mean(head, known)}")
