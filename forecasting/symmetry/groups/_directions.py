"""Directions as users write them."""

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError

Array = NDArray[np.float64]
Direction = tuple[float, float, float]

LETTERS: dict[str, Direction] = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def parse_direction(text: str) -> Direction:
    """Read ``x``, ``-z`` (the same line as ``z``) or ``0.1,0.2,0.97``, of any length but zero.

    Raises:
        UsageError: if it is no direction.
    """
    if text.lstrip("+-") in LETTERS and len(text) <= 2:
        return LETTERS[text[-1]]
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        x = y = z = 0.0
    if not 0 < x * x + y * y + z * z < np.inf:
        raise UsageError(f"'{text}' is no direction; write x, y, z, or three numbers such as 0.1,0.2,0.97")
    return LETTERS.get(format_direction((x, y, z)), (x, y, z))


def format_direction(direction: Direction) -> str:
    """What `parse_direction` reads as the same line through the origin."""
    for letter, unit in LETTERS.items():
        if not np.cross(direction, unit).any():
            return letter
    return ",".join(repr(float(part)) for part in direction)


def unit_vector(direction: Direction) -> Array:
    """(3,) of length one, exact for the coordinate axes."""
    vector = np.array(LETTERS.get(format_direction(direction), direction))
    return vector / np.linalg.norm(vector)


def perpendicular(axis: Array) -> Array:
    """(3,) a unit vector at right angles to `axis` (3,): a coordinate axis where one is."""
    nearest = np.eye(3)[np.abs(axis).argmin()]
    across = nearest - axis * (axis @ nearest)
    return across / np.linalg.norm(across)
