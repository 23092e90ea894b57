"""Calibration: how large a region must be to hold the truth as often as it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import PackageError, UsageError
from forecasting.inference.regions import Regions
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
SCHEMA = 1
_CLOSE = 1e-9


@dataclass(frozen=True, eq=False)
class Axes:
    """Ellipsoids longer or shorter along a node's own velocity than across it.

    With the velocity v at the anchor and the share w = v² / (v² + speed²), for a speed that hardly counts::

        S = w (along² v̂v̂ᵀ + across² (1 − v̂v̂ᵀ)) + (1 − w) m² 1,    m² = (along² + (D − 1) across²) / D

    so that S turns with v and has no jump where a node stands still; there, and where v is unknown, it is a ball.

    Attributes:
        along, across: (types, H) [unit].
        speed: [unit/s].
    """

    along: Float
    across: Float
    speed: float

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any], shape: tuple[int, ...]) -> "Axes":
        """From JSON values, for (types, H) = `shape`.

        Raises:
            KeyError, TypeError, ValueError: if they are not axes.
        """
        along, across, speed = (
            _numbers(plain[name], part) for name, part in (("along", shape), ("across", shape), ("speed", ()))
        )
        if not (along.all() and across.all() and speed):
            raise ValueError("an axis has no length")
        return cls(along, across, float(speed))

    def shapes(self, velocity: Float, kinds: Int) -> Float:
        """(N, H, D, D) [unit²] S of nodes with velocities (N, D), 0 where unknown, and types (N,)."""
        dim = velocity.shape[1]
        squared = (velocity**2).sum(-1)
        along = np.einsum("nd,ne->nde", velocity, velocity) / (squared + self.speed**2)[:, None, None]
        share = (squared / (squared + self.speed**2))[:, None, None]
        across = share * np.eye(dim) - along
        long, wide = self.along[kinds] ** 2, self.across[kinds] ** 2
        mean = (long + (dim - 1) * wide) / dim
        parts = ((long, along), (wide, across), (mean, (1 - share) * np.eye(dim)))
        return sum((size[:, :, None, None] * part[:, None] for size, part in parts), np.zeros((1, 1, dim, dim)))


@dataclass(frozen=True, eq=False)
class Calibration:
    """Sizes of regions for some levels; see `calibrating.calibrate` for what they promise.

    Attributes:
        levels: for which there are sizes.
        node_types: as the model knows them.
        steps: (L, types, H) size of each step's region: of its ball [unit], or in units of the predicted scale where `scaled`,
            or of the shape where there are `axes`.
        joint: (L, types) size of regions that hold all steps at once, in units of `profile`; None where it is not known.
        profile: (types, H) how the sizes of joint regions grow from step to step.
        scaled: whether sizes multiply the scales that the model predicts.
        axes: of ellipsoids; None for balls.
        about: from what it was made, plain values.
    """

    levels: tuple[float, ...]
    node_types: tuple[str, ...]
    steps: Float
    joint: Float | None
    profile: Float
    scaled: bool
    axes: Axes | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def regions(
        self,
        positions: Float,
        scale: Float | None,
        node_types: NDArray[Any],
        level: float,
        joint: bool = False,
        velocity: Float | None = None,
    ) -> Regions:
        """Regions around forecast positions.

        Args:
            positions: (N, K, H, D) [unit of the package].
            scale: (N, K, H) [unit] where the model predicts it.
            node_types: (N,) indices into the model's types, or their names.
            level: one of `levels`; joint: whether each region is to hold all steps of a node at once.
            velocity: (N, D) [unit/s] at the anchor, 0 where unknown; ellipsoids need it and are balls without it.

        Raises:
            UsageError: if the level was not calibrated for, or the horizon is another.
        """
        index, kinds = self.index(level), self._kinds(node_types)
        nodes, hypotheses, steps, dim = positions.shape
        if steps != self.steps.shape[2]:
            raise UsageError(f"the package is calibrated for {self.steps.shape[2]} steps, not for {steps}")
        if joint and self.joint is None:
            raise UsageError("the package has no joint regions: no node was seen at every step when it was calibrated")
        size = self.joint[index, kinds][:, None] * self.profile[kinds] if joint and self.joint is not None else None
        size = self.steps[index, kinds] if size is None else size
        if self.scaled and scale is None:
            raise UsageError("the package was calibrated for a model that predicts scales; calibrate it again")
        radius = np.broadcast_to(size[:, None], (nodes, hypotheses, steps))
        if self.scaled and scale is not None:
            radius = radius * scale
        if self.axes is None:
            return Regions(np.array(radius))
        shape = self.axes.shapes(np.zeros((nodes, dim)) if velocity is None else velocity, kinds)
        volume = np.linalg.det(shape) ** (1 / dim)
        whole = np.broadcast_to((shape / volume[..., None, None])[:, None], (*radius.shape, dim, dim))
        return Regions(radius * np.sqrt(volume)[:, None], np.array(whole))

    def index(self, level: float) -> int:
        """Where a level stands among `levels`.

        Raises:
            UsageError: if it is none of them.
        """
        for index, known in enumerate(self.levels):
            if abs(level - known) < _CLOSE:
                return index
        listed = ", ".join(f"{each:g}" for each in self.levels)
        raise UsageError(f"the package is calibrated for the levels {listed}, not for {level:g}: `forecast calibrate --levels`")

    def _kinds(self, node_types: NDArray[Any]) -> Int:
        if node_types.dtype.kind in "iu":
            return node_types.astype(np.int64)
        place = {name: index for index, name in enumerate(self.node_types)}
        if len(place) > 1 and (unknown := sorted(set(node_types.tolist()) - set(place))):
            raise UsageError(f"the package is calibrated for nodes of type {', '.join(place)}, not '{unknown[0]}'")
        return np.array([place.get(name, 0) for name in node_types.tolist()], dtype=np.int64)

    def to_plain(self) -> dict[str, Any]:
        """As JSON values, for a package."""
        axes = self.axes
        return {
            "schema": SCHEMA,
            "levels": list(self.levels),
            "node_types": list(self.node_types),
            "steps": self.steps.tolist(),
            "joint": None if self.joint is None else self.joint.tolist(),
            "profile": self.profile.tolist(),
            "scaled": self.scaled,
            "axes": axes and {"along": axes.along.tolist(), "across": axes.across.tolist(), "speed": axes.speed},
            "about": dict(self.about),
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "Calibration":
        """The inverse of `to_plain`.

        Raises:
            PackageError: if the values are not those of a calibration.
        """
        try:
            if plain["schema"] != SCHEMA:
                raise ValueError(f"schema {plain['schema']}, expected {SCHEMA}")
            levels, types = tuple(float(level) for level in plain["levels"]), tuple(str(name) for name in plain["node_types"])
            profile = _numbers(plain["profile"], (len(types), -1))
            steps, axes = profile.shape[1], plain["axes"]
            return cls(
                levels=levels,
                node_types=types,
                steps=_numbers(plain["steps"], (len(levels), len(types), steps)),
                joint=None if plain["joint"] is None else _numbers(plain["joint"], (len(levels), len(types))),
                profile=profile,
                scaled=bool(plain["scaled"]),
                axes=None if axes is None else Axes.of_plain(axes, profile.shape),
                about=dict(plain["about"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PackageError(
                f"the package's calibration is damaged ({error}); make it again with `forecast calibrate`"
            ) from None


def _numbers(values: Any, shape: tuple[int, ...]) -> Float:
    """An array of this shape, −1 for any size.

    Raises:
        ValueError: if it has another shape, or a value that is not a finite number ≥ 0.
    """
    found = np.array(values, dtype=np.float64)
    if len(found.shape) != len(shape) or any(size not in (-1, have) for size, have in zip(shape, found.shape, strict=True)):
        raise ValueError(f"shape {found.shape}, expected {shape}")
    if not (np.isfinite(found).all() and (found >= 0).all()):
        raise ValueError("a size is not a finite number of at least 0")
    return found
