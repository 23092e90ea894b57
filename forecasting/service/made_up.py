"""Scenes made up for a package, where nothing better is at hand: they warm a model up, and show what it answers."""

import numpy as np

from forecasting.packages.package import Package
from forecasting.symmetry.transforms import irreps_dim
from forecasting.trajectories.trajectory import Field, Trajectory
from forecasting.trajectories.units import Unit

NODES = 5


def made_up(package: Package, seed: int, nodes: int = NODES) -> Trajectory:
    """Nodes on gentle curves, in the unit, frame and clock of the package, with every field and type that it knows.

    Args:
        package: what the scene must fit; seed: of the curves; nodes: N.
    """
    rng = np.random.default_rng(seed)
    known, window = package.schema, package.window
    frames = window.past + window.future + 1
    time = np.arange(frames, dtype=np.float64) * package.dt
    length, span = package.normalization.length, max(time[-1], package.dt)
    start, slope, bend = rng.normal(size=(3, nodes, known.dim)) * length
    moment = (time / span)[:, None, None]
    positions = start + slope * moment + bend * moment**2
    fields = {}
    for name, about in package.fields.items():
        size = irreps_dim(about["irreps"], known.dim)
        values = rng.choice([-1.0, 1.0], size=(nodes, size))
        if name == "velocity":
            values = (slope + 2 * bend * moment) / span
        elif about["per_frame"]:
            values = np.repeat(values[None], frames, axis=0)
        fields[name] = Field(values, about["irreps"], about["unit"], about["translates"])
    own = known.edge_types[: len(known.edge_types) - len(package.builder().topology.extra_types)]
    ends = np.arange(nodes)
    joined = np.stack([ends[:-1], ends[1:]], axis=1) if own else np.zeros((0, 2), dtype=np.int64)
    return Trajectory(
        scene=f"made-up-{seed}",
        time=time,
        positions=positions,
        valid=np.ones((frames, nodes), dtype=bool),
        node_ids=ends,
        node_types=np.array([known.node_types[node % len(known.node_types)] for node in range(nodes)], dtype=str),
        unit=Unit(package.unit),
        frame=package.frame,
        edges=joined,
        edge_types=np.full(len(joined), own[0] if own else "", dtype=object).astype(str),
        fields=fields,
    )
