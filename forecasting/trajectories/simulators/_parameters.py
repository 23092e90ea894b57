"""What the parameters of a world must be."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError

Float = NDArray[np.float64]


def whole(name: str, value: Any, least: int = 1) -> int:
    """The whole number `value`.

    Raises:
        UsageError: if it is none, or less than `least`.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, found {value!r}")
    return int(value)


def finite(name: str, value: Any) -> float:
    """The number `value`.

    Raises:
        UsageError: if it is none, or not finite.
    """
    if not isinstance(value, Real) or not np.isfinite(float(value)):
        raise UsageError(f"{name} must be a finite number, found {value!r}")
    return float(value)


def within(name: str, value: Any, least: float, most: float = np.inf) -> float:
    """The number `value`.

    Raises:
        UsageError: if it is none, or not from `least` to `most`.
    """
    number = finite(name, value)
    if not least <= number <= most:
        expected = f"of at least {least:g}" if np.isinf(most) else f"from {least:g} to {most:g}"
        raise UsageError(f"{name} must be a number {expected}, found {value!r}")
    return number


def direction(axis: Any) -> Float:
    """(3,) unit vector along `axis`.

    Raises:
        UsageError: if it is not three numbers, or all are 0.
    """
    numbers = np.asarray(axis)
    length = float(np.linalg.norm(numbers)) if numbers.shape == (3,) and numbers.dtype.kind in "iuf" else 0.0
    if not np.isfinite(length) or length == 0:
        raise UsageError(f"axis must be three numbers that are not all 0, found {axis!r}")
    return numbers / length
