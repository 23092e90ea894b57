"""Training step of our EGNN against the plain published formulation: alternating rounds in one process, ratio of medians.

python benchmarks/egnn_step.py [rounds] [batch]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from forecasting.numerics import configure

configure()

import torch  # noqa: E402
from reference.egnn import PlainEGNN, same_weights  # noqa: E402

from forecasting.graphs.build import GraphBuilder, schema_of  # noqa: E402
from forecasting.graphs.topology import Complete  # noqa: E402
from forecasting.models import build_model  # noqa: E402
from forecasting.trajectories.dataset import build_dataset  # noqa: E402
from forecasting.trajectories.normalization import Normalization  # noqa: E402
from forecasting.trajectories.simulators.base import build_simulator  # noqa: E402
from forecasting.trajectories.windows import WindowSpec  # noqa: E402


def main() -> None:
    rounds, size = (int(value) for value in (sys.argv[1:] + ["60", "100"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        world = build_simulator("nbody_charged", {"steps": 1000})
        dataset = build_dataset(world.partitioned({"train": size}, 0), Path(folder) / "data")
        spec = WindowSpec(1, (3,))
        topology = Complete()
        anchors = dataset.anchors(spec)[:: len(dataset.anchors(spec)) // size][:size]
        windows = dataset.windows(spec, anchors)
        builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows, 1.0))
        batch = builder.build(windows)
    ours = build_model("egnn", builder.schema, {"start": "static", "bounded": False, "scalars": []})
    plain = PlainEGNN(1, 2, 64, 4)
    same_weights(ours, plain)

    def inputs():
        x, v = batch.position[:, -1], batch.velocity[:, -1]
        source, target = batch.edge_index
        products = batch.charge[source] * batch.charge[target]
        a = torch.cat([products, ((x[target] - x[source]) ** 2).sum(1, keepdim=True)], dim=1)
        return v.norm(dim=1, keepdim=True), x, v, a

    def ours_forward():
        return ours(batch).displacement[:, 0, 0]

    def plain_forward():
        h, x, v, a = inputs()
        return plain(h, x, v, batch.edge_index, a) - x

    difference = (ours_forward() - plain_forward()).abs().max().item()
    arms = {"ours": (ours, ours_forward), "plain": (plain, plain_forward)}
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=1e-5) for name, (model, _) in arms.items()}
    times: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 5):
        for name, (_, forward) in arms.items():
            start = time.perf_counter()
            optimizers[name].zero_grad()
            ((forward() - batch.target[:, 0]) ** 2).mean().backward()
            optimizers[name].step()
            if turn >= 5:
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) * 1e3 for name, values in times.items()}
    ratio = statistics.median(a / b for a, b in zip(times["plain"], times["ours"], strict=True))
    print(f"largest difference of outputs {difference:.1e}")
    print(f"ours {medians['ours']:.1f} ms, plain {medians['plain']:.1f} ms, plain / ours {ratio:.2f}")


if __name__ == "__main__":
    main()
