"""Training step of our EGNO against the plain published formulation: alternating rounds in one process, ratio of medians.

Windows like those of the published CMU motion capture set: 31 joints, 130 directed edges of one and two hops, one velocity, the
last 5 of 30 frames forecast, 12 windows a batch, 6 layers of width 128.

python benchmarks/egno_step.py [rounds] [batch]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from forecasting.numerics import configure

configure()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from reference.egno import PlainEGNO, same_weights  # noqa: E402

from forecasting.graphs.build import GraphBuilder, schema_of  # noqa: E402
from forecasting.graphs.topology import Skeleton  # noqa: E402
from forecasting.models import build_model  # noqa: E402
from forecasting.models._temporal import lead_embedding  # noqa: E402
from forecasting.trajectories.dataset import build_dataset  # noqa: E402
from forecasting.trajectories.normalization import Normalization  # noqa: E402
from forecasting.trajectories.trajectory import Field, Frame, Trajectory  # noqa: E402
from forecasting.trajectories.units import Unit  # noqa: E402
from forecasting.trajectories.windows import WindowSpec  # noqa: E402

PARENTS = (-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 15, 13, 17, 18, 19, 20, 21, 20, 13, 24, 25, 26, 27, 28, 27)
"""Two legs of five bones from the root, a spine of six, two arms of seven with a thumb each."""


def walk(frames: int) -> Trajectory:
    """A body of 31 joints that drifts and swings."""
    rng = np.random.default_rng(0)
    moment = np.arange(frames)[:, None, None] / 120
    bones = rng.normal(size=(31, 3))
    rest = np.zeros((31, 3))
    for joint, parent in enumerate(PARENTS[1:], start=1):
        rest[joint] = rest[parent] + bones[joint]
    phase, swing = rng.uniform(0, 6.28, size=(31, 3)), rng.normal(size=(31, 3)) * 0.3
    positions = rest + np.array([0.0, 0.0, 3.0]) * moment + swing * np.sin(6 * moment + phase)
    speed = np.array([0.0, 0.0, 3.0]) + 6 * swing * np.cos(6 * moment + phase)
    return Trajectory(
        scene="walk",
        time=moment[:, 0, 0],
        positions=positions,
        valid=np.ones((frames, 31), dtype=bool),
        node_ids=np.arange(31),
        node_types=np.array(["joint"] * 31),
        unit=Unit("m"),
        frame=Frame("+y"),
        edges=np.array([[joint, parent] for joint, parent in enumerate(PARENTS) if parent >= 0]),
        edge_types=np.full(30, "bone"),
        fields={"velocity": Field(speed, "1o", "m/s")},
    )


def main() -> None:
    rounds, size = (int(value) for value in (sys.argv[1:] + ["15", "12"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        dataset = build_dataset([walk(100 + size)], Path(folder) / "data")
        spec, topology = WindowSpec(1, (26, 27, 28, 29, 30)), Skeleton()
        windows = dataset.windows(spec, dataset.anchors(spec)[:size])
        builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows))
        batch = builder.build(windows)
    ours = build_model("egno", builder.schema, {"hidden": 128, "start": "static", "bounded": False})
    plain = PlainEGNO(ours.node_inputs.width, ours.edge_inputs.width, 32, 128, 6, 1, 2)
    same_weights(ours, plain)
    times = lead_embedding(batch.lead, 32).transpose(0, 1)[:, batch.batch]

    def ours_forward():
        return ours(batch).displacement[:, 0]

    def plain_forward():
        x, v = batch.position[:, -1], batch.velocity
        edges = ours.edge_inputs(batch)
        return plain(v[:, -1].norm(dim=1, keepdim=True), x, v, batch.edge_index, edges, times) - x[:, None]

    print(f"{batch.num_graphs} windows, {len(batch.batch)} nodes, {batch.edge_index.shape[1]} edges")
    print(f"largest difference of outputs {(ours_forward() - plain_forward()).abs().max().item():.1e}")
    arms = {"ours": (ours, ours_forward), "plain": (plain, plain_forward)}
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=1e-5) for name, (model, _) in arms.items()}
    spent: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 3):
        for name, (_, forward) in arms.items():
            start = time.perf_counter()
            optimizers[name].zero_grad()
            ((forward() - batch.target) ** 2).mean().backward()
            optimizers[name].step()
            if turn >= 3:
                spent[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) * 1e3 for name, values in spent.items()}
    ratio = statistics.median(a / b for a, b in zip(spent["plain"], spent["ours"], strict=True))
    print(f"ours {medians['ours']:.1f} ms, plain {medians['plain']:.1f} ms, plain / ours {ratio:.2f}")


if __name__ == "__main__":
    main()
