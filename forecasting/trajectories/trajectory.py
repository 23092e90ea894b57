"""One scene's motion: positions over time, with everything a file says about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.symmetry.transforms import Transform, irreps_dim
from forecasting.trajectories.units import Unit, conversion

UP_AXES = ("none", "+x", "-x", "+y", "-y", "+z", "-z")


@dataclass(frozen=True)
class Frame:
    """The coordinate frame of positions and vectors.

    Attributes:
        up: direction against gravity, one of ``+x … -z``, or ``none`` where there is none (space, a plane seen from above).
        handedness: ``right`` or ``left``.
    """

    up: str = "none"
    handedness: str = "right"

    def __post_init__(self) -> None:
        if self.up not in UP_AXES:
            raise UsageError(f"up axis '{self.up}' is not one of {', '.join(UP_AXES)}")
        if self.handedness not in ("right", "left"):
            raise UsageError(f"handedness '{self.handedness}' is neither right nor left")

    @property
    def up_vector(self) -> NDArray[np.float64] | None:
        """(3,) unit vector against gravity, or None."""
        if self.up == "none":
            return None
        vector = np.zeros(3)
        vector["xyz".index(self.up[1])] = 1.0 if self.up[0] == "+" else -1.0
        return vector


@dataclass(frozen=True, eq=False)
class Field:
    """A quantity that the nodes carry besides their positions.

    Attributes:
        values: (T, N, C) per frame, or (N, C) constant in time; float64.
        irreps: e3nn notation of the C components: ``0e`` a scalar, ``1o`` a vector (D components).
        unit: of the values, free text such as ``m/s`` or ``e``.
        translates: whether a translation of the scene shifts the values.
    """

    values: NDArray[np.float64]
    irreps: str = "0e"
    unit: str = ""
    translates: bool = False

    @property
    def per_frame(self) -> bool:
        """Whether the field changes in time."""
        return self.values.ndim == 3


@dataclass(frozen=True)
class Source:
    """Where a scene came from, kept so that output can go back to it.

    Attributes:
        path: file it was read from.
        format: name of the reader.
        options: what the reader was told or found (frame rate, unit per axis, column names …); plain values only.
    """

    path: str = ""
    format: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The motion of N nodes over T frames.

    Attributes:
        scene: name of the scene, unique within its data set.
        time: (T,) [s] strictly increasing.
        positions: (T, N, D) [unit, frame, 1o] float64, D = 2 or 3; NaN where not valid.
        valid: (T, N) True where the node was observed.
        node_ids: (N,) integers or strings, as in the file.
        node_types: (N,) strings, for instance ``pedestrian``.
        edges: (E, 2) node indices (source, target) of known connections such as bones; undirected ones stand once.
        edge_types: (E,) strings.
        fields: further quantities by name. The name ``velocity`` is a measured velocity [unit/s, 1o].
        unit: of the positions; its `per_axis` restores the file's own numbers.
        frame: coordinate frame.
        source: where it came from.
        partition: ``train``, ``validation`` or ``test`` where the file says so, else empty.
    """

    scene: str
    time: NDArray[np.float64]
    positions: NDArray[np.float64]
    valid: NDArray[np.bool_]
    node_ids: NDArray[Any]
    node_types: NDArray[np.str_]
    unit: Unit
    frame: Frame = field(default_factory=Frame)
    edges: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    edge_types: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype="<U1"))
    fields: Mapping[str, Field] = field(default_factory=dict)
    source: Source = field(default_factory=Source)
    partition: str = ""

    def __post_init__(self) -> None:
        steps, nodes, dim = self.positions.shape
        if dim not in (2, 3):
            raise UsageError(f"scene '{self.scene}' has {dim} coordinates; positions are planar (2) or spatial (3)")
        expected = {"time": (steps,), "valid": (steps, nodes), "node_ids": (nodes,), "node_types": (nodes,)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise UsageError(f"scene '{self.scene}': {name} has shape {getattr(self, name).shape}, expected {shape}")
        if self.edges.shape != (len(self.edge_types), 2):
            raise UsageError(f"scene '{self.scene}': edges {self.edges.shape} and {len(self.edge_types)} edge types differ")
        for name, item in self.fields.items():
            lead = (steps, nodes) if item.per_frame else (nodes,)
            if item.values.shape != (*lead, irreps_dim(item.irreps, dim)):
                raise UsageError(
                    f"scene '{self.scene}': field '{name}' has shape {item.values.shape}, "
                    f"expected {(*lead, irreps_dim(item.irreps, dim))} for irreps {item.irreps}"
                )

    @property
    def dim(self) -> int:
        """D: 2 or 3."""
        return int(self.positions.shape[2])

    @cached_property
    def dt(self) -> float:
        """[s] median time between frames (0 for a single frame)."""
        if len(self.time) < 2:
            return 0.0
        steps = np.sort(self.time[1:] - self.time[:-1])
        middle = len(steps) // 2
        return float(steps[-1] if np.isnan(steps[-1]) else (steps[middle] + steps[-1 - middle]) / 2)

    def transformed(self, transform: Transform) -> "Trajectory":
        """The same scene after a transform, every field by its declared irreps."""
        fields = {
            name: replace(item, values=transform.act(item.values, item.irreps, translates=item.translates))
            for name, item in self.fields.items()
        }
        return replace(self, positions=transform.act(self.positions, "1o", translates=True), fields=fields)

    def in_unit(self, name: str) -> "Trajectory":
        """The same scene with positions, and fields whose unit is a length or a length per time, in another length unit.

        Raises:
            UsageError: if one of the units is not a known length.
        """
        if name == self.unit.name:
            return self
        factor = conversion(self.unit.name, name)
        per_axis = tuple(value * factor for value in (self.unit.per_axis or (1.0,) * self.dim))
        fields = {}
        for key, item in self.fields.items():
            length, slash, rest = item.unit.partition("/")
            scaled = replace(item, values=item.values * factor, unit=f"{name}{slash}{rest}")
            fields[key] = scaled if length == self.unit.name else item
        return replace(self, positions=self.positions * factor, unit=Unit(name, per_axis), fields=fields)
