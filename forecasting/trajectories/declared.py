"""What breaks the symmetry of the world, declared: directions, and heights along them, as typed vectors of every node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.plain import call
from forecasting.trajectories.trajectory import Frame

Float = NDArray[np.float64]
IRREPS = "1o"
UP = "up"


@dataclass(frozen=True)
class Declared:
    """A vector that a node has because of where the world points, not because a file says it.

    Without `origin` it is the unit vector u itself; with `origin` o it is ((x − o)·u) u at a node's anchor position x: how far up
    the node is, as a vector. Both turn with the scene as any vector does, so a network that reads them stays equivariant; it
    never sees a coordinate.

    Attributes:
        name: of the field; direction: (D) u [1o, frame of the training data]; origin: (D) o [unit of the training data].
    """

    name: str
    direction: tuple[float, ...]
    origin: tuple[float, ...] | None = None

    def at(self, anchor: Float) -> Float:
        """(M, D) anchor positions [unit, float64] -> (M, D) the vector of each node; of length 1, or [unit] with an origin."""
        direction = np.array(self.direction)
        if self.origin is None:
            return np.tile(direction, (len(anchor), 1))
        return ((anchor - np.array(self.origin)) @ direction)[:, None] * direction

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "Declared":
        """Back from what `dataclasses.asdict` and JSON made of it."""
        origin = plain["origin"]
        return cls(str(plain["name"]), tuple(plain["direction"]), None if origin is None else tuple(origin))


def declare(plain: Mapping[str, Any], dim: int, frame: Frame, taken: Sequence[str]) -> tuple[Declared, ...]:
    """What a user declared: name -> ``{direction: up}`` or ``{direction: [0, -1, 0]}``, either with ``from: [0, 0, 0]``.

    Args:
        plain: see above; dim: D of the data; frame: its up axis is ``up``; taken: names of the data's own fields.

    Returns:
        in the frame and unit of the data; directions have length 1.

    Raises:
        UsageError: if a name is taken, a direction has no length or another dimension, or the frame has no up axis.
    """
    found = []
    for name, about in plain.items():
        where = f"data.declared.{name}"
        if name in taken:
            raise UsageError(f"{where}: the data have a field of this name; choose another")
        if not isinstance(about, Mapping):
            raise UsageError(f"{where} is {{direction: …}} with an optional from: […], found {about!r}")
        direction = call(_direction_and_origin, {_PLAIN.get(str(key), str(key)): value for key, value in about.items()}, where)
        found.append(_resolved(str(name), where, dim, frame, *direction))
    return tuple(found)


_PLAIN = {"from": "origin"}


def _direction_and_origin(direction: Any, origin: Any = None) -> tuple[Any, Any]:
    return direction, origin


def _resolved(name: str, where: str, dim: int, frame: Frame, direction: Any, origin: Any) -> Declared:
    if direction == UP:
        up = frame.up_vector
        if up is None or dim == 2:
            why = "planar data have no up axis" if dim == 2 else "nobody said which axis that is; say it with data.read.up=z"
            raise UsageError(f"{where}.direction is up, but {why}, or write the direction as {dim} numbers")
        vector = up
    else:
        vector = _numbers(direction, dim, f"{where}.direction", "up, or ")
    length = float(np.linalg.norm(vector))
    if not length > 0:
        raise UsageError(f"{where}.direction must not be 0 in every coordinate")
    start = None if origin is None else tuple(_numbers(origin, dim, f"{where}.from").tolist())
    return Declared(name, tuple((vector / length).tolist()), start)


def _numbers(value: Any, dim: int, where: str, other: str = "") -> Float:
    try:
        vector = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        vector = np.zeros(0)
    if vector.shape != (dim,) or not np.isfinite(vector).all():
        raise UsageError(f"{where} must be {other}{dim} finite numbers for data of {dim} dimensions, found {value!r}")
    return vector
