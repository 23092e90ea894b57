"""Positions, velocities and accelerations of the windows of a data set, of bounded number."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.windows import Int, WindowBatch, WindowSpec

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

WINDOWS = 4096
NODES = 64
CHUNK = 256
PLANE_NORMAL = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False)
class Motion:
    """What moves how at W moments: M nodes in all. Planar data have z = 0 everywhere.

    Attributes:
        dim: D of the data; unit: of lengths; frame: of the data.
        scene: (W,) scene of each moment; anchor: (W,) its frame; place: (W, 3) [unit] mean of its nodes.
        window: (M,) moment of each node, increasing; track: (M,) number of the node in its scene, unique over scenes.
        position: (M, 3) [unit] from the mean of the nodes; velocity: (M, 3) [unit/s] central difference (x₊ − x₋)/2Δ;
            acceleration: (M, 3) [unit/s²] second difference (x₊ − 2x + x₋)/Δ². Time reversal turns velocities round exactly.
    """

    dim: int
    unit: str
    frame: Frame
    scene: Int
    anchor: Int
    place: Float
    window: Int
    track: Int
    position: Float
    velocity: Float
    acceleration: Float

    @property
    def up(self) -> Float:
        """(3,) the axis of "yaw": up in space, the normal of a plane, and z where no axis is up."""
        named = self.frame.up_vector if self.dim == 3 else None
        return PLANE_NORMAL if named is None else named

    @property
    def node_scene(self) -> Int:
        """(M,) scene of each node."""
        return self.scene[self.window]

    @property
    def scenes(self) -> int:
        """Number of scenes that moments were taken from."""
        return len(np.unique(self.scene))

    @property
    def lonely(self) -> bool:
        """Whether no moment has two nodes, so that there are no relative positions."""
        return not self.position.any()


def observe(dataset: Dataset, anchors: Int | None = None, *, step: int = 1, seed: int = 0) -> Motion:
    """Look at up to 4096 moments, as many of each scene, evenly spaced in it, and at up to 64 nodes of each, drawn by `seed`.

    Args:
        dataset: the data; read in chunks, so memory is bounded.
        anchors: (W, 2) scene and grid frame to choose from; None takes every frame.
        step: [frames] Δ of the differences.

    Raises:
        DataError: if no node was observed in three frames at equal distances, or none moves.
    """
    spec = WindowSpec(2, (1,), step=step)
    possible = dataset.anchors(spec)
    if anchors is not None:
        longest = int(np.diff(dataset.rows.grid_offsets).max()) + 1
        wanted = anchors @ np.array([longest, 1])
        possible = possible[np.isin(possible @ np.array([longest, 1]), wanted)]
    chosen = _spread(possible)
    rng = np.random.default_rng(seed)
    parts = [_moments(windows, dataset, rng) for windows in _chunks(dataset, spec, chosen)]
    motion = _joined(parts) if parts else None
    if motion is None or not len(motion.window):
        raise DataError(
            f"no node was observed in three frames, {step} from one to the next, so nothing is known about its motion; "
            "give longer recordings, or bring them to even steps with --resample"
        )
    if not motion.velocity.any():
        raise DataError("nothing moves in these data, so their motion has no symmetry to judge; give data in which nodes move")
    return motion


def _spread(anchors: Int) -> Int:
    """At most `WINDOWS` of the anchors (W, 2): as many of each scene, evenly spaced in it and among the scenes."""
    if len(anchors) <= WINDOWS:
        return anchors
    scenes, first, count = np.unique(anchors[:, 0], return_index=True, return_counts=True)
    some = np.unique(np.linspace(0, len(scenes) - 1, min(len(scenes), WINDOWS)).astype(int))
    each = max(WINDOWS // len(some), 1)
    rows = [first[at] + np.linspace(0, count[at] - 1, min(each, count[at])).astype(int) for at in some]
    return anchors[np.concatenate(rows)]


def _chunks(dataset: Dataset, spec: WindowSpec, anchors: Int) -> Iterator[WindowBatch]:
    for start in range(0, len(anchors), CHUNK):
        yield dataset.windows(spec, anchors[start : start + CHUNK])


def _moments(windows: WindowBatch, dataset: Dataset, rng: np.random.Generator) -> Motion:
    """What moves how in some windows; windows without a node seen in all three frames are left out."""
    whole = windows.position_valid.all(axis=1) & windows.future_valid.all(axis=1)
    present, of = np.unique(windows.window_of_node[whole], return_inverse=True)
    before, now = _spatial(windows.position[whole, 0]), _spatial(windows.position[whole, 1])
    after = _spatial(windows.future[whole, 0])
    count = np.bincount(of, minlength=len(present))
    place = np.stack([np.bincount(of, now[:, axis], len(present)) for axis in range(3)], axis=1) / count[:, None]
    order = np.lexsort((rng.random(len(of)), of))
    rank = np.arange(len(of)) - (np.cumsum(count) - count)[of[order]]
    kept = np.sort(order[rank < NODES])
    step = windows.lead[present][of]
    scene = windows.scene[present]
    return Motion(
        dim=dataset.manifest.dim,
        unit=dataset.manifest.unit,
        frame=dataset.manifest.frame,
        scene=scene,
        anchor=windows.anchor[present],
        place=place,
        window=of[kept],
        track=dataset.rows.node_offsets[scene[of[kept]]] + windows.node[whole][kept],
        position=(now - place[of])[kept],
        velocity=((after - before) / (2 * step))[kept],
        acceleration=((after - 2 * now + before) / step**2)[kept],
    )


def _joined(parts: list[Motion]) -> Motion:
    """All parts as one."""
    first = np.cumsum([0, *(len(part.scene) for part in parts[:-1])])

    def whole(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return replace(
        parts[0],
        scene=whole("scene"),
        anchor=whole("anchor"),
        place=whole("place"),
        window=np.concatenate([part.window + start for part, start in zip(parts, first, strict=True)]),
        track=whole("track"),
        position=whole("position"),
        velocity=whole("velocity"),
        acceleration=whole("acceleration"),
    )


def _spatial(values: Float) -> Float:
    """(M, 3) with z = 0 on planar data."""
    return np.pad(values, ((0, 0), (0, 3 - values.shape[1])))
