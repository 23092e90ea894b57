"""Length units: what a file's numbers mean, and how to go from one to another."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError

METRES = {
    "m": 1.0,
    "cm": 1e-2,
    "mm": 1e-3,
    "km": 1e3,
    "um": 1e-6,
    "nm": 1e-9,
    "angstrom": 1e-10,
    "ft": 0.3048,
    "in": 0.0254,
    "au": 1.495978707e11,
}
_TERM = re.compile(
    r"^(?:(?P<axis>[xyz])=)?"
    r"(?P<factor>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|)"
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)$"
)


@dataclass(frozen=True)
class Unit:
    """The unit of one set of coordinates.

    Attributes:
        name: of the coordinates in memory, for instance ``m`` or ``px``.
        per_axis: what one step of the *file's* number means along each axis in `name`; empty when it is 1 everywhere.
    """

    name: str
    per_axis: tuple[float, ...] = ()

    def __str__(self) -> str:
        if not self.per_axis:
            return self.name
        if len(set(self.per_axis)) == 1:
            return f"{self.per_axis[0]:.12g}{self.name}"
        return ",".join(f"{axis}={factor:.12g}{self.name}" for axis, factor in zip("xyz", self.per_axis, strict=False))

    def from_file(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., D) numbers of the file -> coordinates in `name`."""
        return positions * np.array(self.per_axis) if self.per_axis else positions

    def to_file(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., D) coordinates in `name` -> numbers of the file."""
        return positions / np.array(self.per_axis) if self.per_axis else positions


def parse_unit(text: str, dim: int) -> Unit:
    """Read ``m``, ``px``, ``0.056444m`` or per axis ``x=1.05m,y=0.68m``.

    Known lengths (m, cm, mm, km, um, nm, angstrom, ft, in, au) can be converted; any other name is kept as it is.

    Raises:
        UsageError: if the text is malformed, axes are missing, or the axes' units differ in name.
    """
    terms = [_TERM.match(part.strip()) for part in text.split(",")]
    if not text.strip() or any(term is None for term in terms):
        raise UsageError(f"'{text}' is not a unit; write for instance m, px, 0.056444m or x=1.05m,y=0.68m")
    found = {term["axis"] or "": (_factor(term["factor"], text), term["name"]) for term in terms if term is not None}
    names = {name for _, name in found.values()}
    if len(names) > 1:
        raise UsageError(f"unit '{text}' mixes {', '.join(sorted(names))}; use one name for every axis")
    name = names.pop()
    if "" in found:
        if len(found) > 1:
            raise UsageError(f"unit '{text}' names an axis in one part only; name every axis or none")
        factor = found[""][0]
        return Unit(name) if factor == 1.0 else Unit(name, (factor,) * dim)
    axes = "xyz"[:dim]
    if set(found) != set(axes):
        raise UsageError(f"unit '{text}' must name the axes {', '.join(axes)} once each")
    return Unit(name, tuple(found[axis][0] for axis in axes))


def conversion(source: str, target: str) -> float:
    """Factor that turns lengths in `source` into lengths in `target`.

    Raises:
        UsageError: if they differ and one of them is not a known length.
    """
    if source == target:
        return 1.0
    for name in (source, target):
        if name not in METRES:
            known = ", ".join(METRES)
            raise UsageError(f"cannot convert {source} to {target}: '{name}' is not a known length ({known})")
    return METRES[source] / METRES[target]


def _factor(text: str, whole: str) -> float:
    try:
        factor = float(text) if text else 1.0
    except ValueError:
        factor = float("nan")
    if not np.isfinite(factor) or factor <= 0:
        raise UsageError(f"unit '{whole}': '{text}' is not a positive number")
    return factor
