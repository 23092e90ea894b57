"""Random scenes for tests: gaps, types, fields, connections, in the plane or in space."""

from pathlib import Path

import numpy as np

from forecasting.trajectories.dataset import Dataset, build_dataset
from forecasting.trajectories.trajectory import Field, Frame, Trajectory
from forecasting.trajectories.units import Unit


def random_scene(
    rng: np.random.Generator,
    name: str = "scene",
    *,
    frames: int = 14,
    nodes: int = 5,
    dim: int = 3,
    gaps: bool = True,
    velocity: bool = False,
    types: tuple[str, ...] = ("a", "b"),
) -> Trajectory:
    """Smooth random ways; with `gaps`, some nodes are missing in some frames, but never all of them.

    Args:
        rng: source of randomness.
        name: of the scene.
        frames: T; nodes: N; dim: D.
        gaps: leave some observations out.
        velocity: add a measured velocity.
        types: of the nodes, dealt out in turn.

    Returns:
        a scene with a scalar field ``charge``, a vector field ``heading`` and a chain of ``bone`` connections.
    """
    time = np.arange(frames, dtype=np.float64) * 0.1
    start, slope, bend = rng.normal(size=(3, nodes, dim))
    positions = start + slope * time[:, None, None] + 0.5 * bend * time[:, None, None] ** 2
    valid = np.ones((frames, nodes), dtype=bool)
    if gaps and nodes > 1:
        valid = rng.random((frames, nodes)) > 0.15
        valid[:, 0] = True
    fields = {
        "charge": Field(rng.choice([-1.0, 1.0], size=(nodes, 1)), "0e", "e"),
        "heading": Field(np.where(valid[..., None], rng.normal(size=(frames, nodes, dim)), np.nan), "1o", "m"),
    }
    if velocity:
        fields["velocity"] = Field(np.where(valid[..., None], slope + bend * time[:, None, None], np.nan), "1o", "m/s")
    ends = np.arange(nodes)
    return Trajectory(
        scene=name,
        time=time,
        positions=np.where(valid[..., None], positions, np.nan),
        valid=valid,
        node_ids=10 + np.arange(nodes),
        node_types=np.array([types[index % len(types)] for index in range(nodes)], dtype=str),
        unit=Unit("m"),
        frame=Frame("+z" if dim == 3 else "none"),
        edges=np.stack([ends[1:], ends[:-1]], axis=1),
        edge_types=np.full(max(nodes - 1, 0), "bone"),
        fields=fields,
    )


def random_dataset(folder: Path, seed: int = 0, scenes: int = 6, **kind: object) -> Dataset:
    """A data set of random scenes with 1 to 6 nodes each; `kind` is passed on to `random_scene`."""
    rng = np.random.default_rng(seed)
    built = (random_scene(rng, f"scene-{index}", nodes=1 + index % 6, **kind) for index in range(scenes))  # type: ignore[arg-type]
    return build_dataset(built, folder)
