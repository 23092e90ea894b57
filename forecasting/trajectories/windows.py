"""Windows: what was seen up to an anchor frame, and what came after it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.symmetry.transforms import Transform
from forecasting.trajectories.declared import Declared

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

SCORES = ("any", "complete")


@dataclass(frozen=True)
class WindowSpec:
    """Which frames of a scene make a window, and what else its nodes carry.

    Attributes:
        history: T, number of frames seen; the last of them is the anchor.
        horizon: steps after the anchor to forecast, for instance ``(1, 2, 3)`` or ``(10,)`` for one shot.
        step: frames from one step to the next (2 takes every second frame).
        stride: frames from one anchor to the next.
        score: ``any`` scores every future position that was observed; ``complete`` scores only nodes observed in every
            history and horizon frame (the ETH/UCY protocol). Which nodes are *seen* never depends on the future.
        declared: directions and heights that every node gets as a field, in the frame and unit of the data.
    """

    history: int
    horizon: tuple[int, ...]
    step: int = 1
    stride: int = 1
    score: str = "any"
    declared: tuple[Declared, ...] = ()

    def __post_init__(self) -> None:
        if self.history < 1 or self.step < 1 or self.stride < 1:
            raise UsageError("window: history, step and stride must be at least 1")
        if not self.horizon or min(self.horizon) < 1 or list(self.horizon) != sorted(set(self.horizon)):
            raise UsageError(f"window: horizon must be increasing steps after the anchor, found {self.horizon}")
        if self.score not in SCORES:
            raise UsageError(f"window: score must be one of {', '.join(SCORES)}, found '{self.score}'")

    @property
    def past(self) -> int:
        """Frames that a window reaches back from its anchor."""
        return (self.history - 1) * self.step

    @property
    def future(self) -> int:
        """Frames that a window reaches ahead of its anchor."""
        return self.horizon[-1] * self.step


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """W windows, their nodes one after the other: window w owns nodes ``offsets[w] … offsets[w + 1]``.

    M nodes in all; a node is in a window exactly when it was observed at the anchor frame.

    Attributes:
        scene: (W,) index of the scene in its data set.
        anchor: (W,) frame of the anchor on the scene's clock grid.
        anchor_time: (W,) [s].
        lead: (W, H) [s] time from the anchor to each horizon step.
        offsets: (W + 1,) first node of each window.
        node: (M,) index of the node in its scene.
        node_type: (M,) index into the data set's node types.
        position: (M, T, D) [unit, 1o, translates] history, anchor last; 0 where not valid.
        position_valid: (M, T).
        velocity: (M, V, D) [unit/s, 1o] measured (V = T) or backward differences (V = T − 1, at least 1); 0 where not valid.
        velocity_valid: (M, V).
        future: (M, H, D) [unit, 1o, translates] 0 where not valid.
        future_valid: (M, H) True where the future is to be scored.
        fields: name -> (M, C) further quantities at the anchor.
        irreps: name -> irreps of the fields.
        translating: names of the fields on which translations act.
        edge_index: (2, E) known connections (both directions), indices into the M nodes.
        edge_type: (E,) index into the data set's edge types.
    """

    scene: Int
    anchor: Int
    anchor_time: Float
    lead: Float
    offsets: Int
    node: Int
    node_type: Int
    position: Float
    position_valid: Bool
    velocity: Float
    velocity_valid: Bool
    future: Float
    future_valid: Bool
    fields: Mapping[str, Float]
    irreps: Mapping[str, str]
    translating: frozenset[str]
    edge_index: Int
    edge_type: Int

    def __len__(self) -> int:
        return len(self.scene)

    @property
    def window_of_node(self) -> Int:
        """(M,) window that each node belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def transformed(self, transform: Transform) -> "WindowBatch":
        """The windows of the transformed scenes: history, future and fields alike, each by its irreps.

        A transform and the cutting of windows commute; a test holds it.
        """

        def act(values: Float, valid: Bool, *, translates: bool) -> Float:
            return transform.act(values, "1o", translates=translates) * valid[..., None]

        fields = {
            name: transform.act(values, self.irreps[name], translates=name in self.translating)
            for name, values in self.fields.items()
        }
        return replace(
            self,
            position=act(self.position, self.position_valid, translates=True),
            velocity=act(self.velocity, self.velocity_valid, translates=False),
            future=act(self.future, self.future_valid, translates=True),
            fields=fields,
        )
