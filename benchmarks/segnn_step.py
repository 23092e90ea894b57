"""Training step of our SEGNN against e3nn's tensor products and a scatter: alternating rounds in one process, ratio of medians.

Also counted for forward and backward: calls, floating-point operations of products and weighted sums, bytes that calls read and
write if nothing stays in a cache; and how fast this machine multiplies and copies.

python benchmarks/segnn_step.py [rounds] [batch] [l_max …]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from forecasting.numerics import configure

SETTINGS = configure()

import torch  # noqa: E402
from reference.segnn import PlainSEGNN, same_weights  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from forecasting.graphs.build import GraphBuilder, schema_of  # noqa: E402
from forecasting.graphs.topology import Complete  # noqa: E402
from forecasting.models import build_model  # noqa: E402
from forecasting.trajectories.dataset import build_dataset  # noqa: E402
from forecasting.trajectories.normalization import Normalization  # noqa: E402
from forecasting.trajectories.simulators.base import build_simulator  # noqa: E402
from forecasting.trajectories.windows import WindowSpec  # noqa: E402


class Count(TorchDispatchMode):
    """Counts the calls that do work: those whose output is not a view or an empty tensor."""

    calls = flops = bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        name = function._schema.name.removeprefix("aten::")
        if function.is_view or name.startswith(("empty", "new_empty", "detach", "_unsafe_view")):
            return out
        self.calls += 1
        given = {id(each): each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)}
        made = [each for each in tree_leaves(out) if isinstance(each, torch.Tensor) and id(each) not in given]
        self.bytes += sum(each.numel() * each.element_size() for each in [*given.values(), *made])
        if name in {"mm", "addmm", "bmm"}:
            first = args[1 if name == "addmm" else 0]
            self.flops += 2 * first.shape[-1] * tree_leaves(out)[0].numel()
        elif "embedding_bag" in name:
            self.flops += 2 * len(args[1]) * args[0].shape[1]
        return out


def machine() -> tuple[float, float]:
    """GFLOP/s of a product and GB/s of a copy, the best of several."""
    a, b, long = torch.randn(2048, 2048), torch.randn(2048, 2048), torch.randn(1 << 25)
    other = torch.empty_like(long)
    times: dict[str, list[float]] = {"product": [], "copy": []}
    for _ in range(8):
        for name, work in {"product": lambda: a @ b, "copy": lambda: other.copy_(long)}.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times["product"]) / 1e9, 2 * long.nbytes / min(times["copy"]) / 1e9


def graphs(size: int):
    with tempfile.TemporaryDirectory() as folder:
        world = build_simulator("nbody_charged", {"steps": 1000})
        dataset = build_dataset(world.partitioned({"train": size}, 0), Path(folder) / "data")
        spec, topology = WindowSpec(1, (3,)), Complete()
        anchors = dataset.anchors(spec)[:: len(dataset.anchors(spec)) // size][:size]
        windows = dataset.windows(spec, anchors)
        builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows, 1.0))
        return builder.schema, builder.build(windows)


def compare(schema, batch, l_max: int, rounds: int) -> None:
    arguments = {"l_max": l_max, "start": "static", "aggregate": "sum", "bounded": False, "scalars": []}
    torch.manual_seed(0)
    ours = build_model("segnn", schema, arguments)
    plain = PlainSEGNN({0: 1, 1: 2}, 2, ours.channels, 4, l_max, l_max)
    same_weights(ours, plain)

    def ours_forward():
        return ours(batch).displacement[:, 0, 0]

    def plain_forward():
        x, v = batch.position[:, -1], batch.velocity[:, -1]
        j, i = batch.edge_index
        s = torch.cat([batch.charge[j] * batch.charge[i], ((x[j] - x[i]) ** 2).sum(1, keepdim=True)], dim=1)
        features = torch.cat([v.norm(dim=1, keepdim=True), x, v], dim=1)
        return plain(features, x, v, batch.edge_index, s)

    expected = plain_forward()
    difference = ((ours_forward() - expected).abs().max() / expected.abs().max()).item()
    arms = {"ours": (ours, ours_forward), "e3nn": (plain, plain_forward)}
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=1e-5) for name, (model, _) in arms.items()}
    times: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 3):
        for name, (_, forward) in arms.items():
            start = time.perf_counter()
            optimizers[name].zero_grad()
            ((forward() - batch.target[:, 0]) ** 2).mean().backward()
            optimizers[name].step()
            if turn >= 3:
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) * 1e3 for name, values in times.items()}
    ratio = statistics.median(a / b for a, b in zip(times["e3nn"], times["ours"], strict=True))
    parameters = sum(value.numel() for value in ours.parameters())
    print(f"l_max {l_max}: {ours.channels} channels per degree, {parameters} parameters, relative difference {difference:.1e}")
    for name, (_, forward) in arms.items():
        with Count() as count:
            ((forward() - batch.target[:, 0]) ** 2).mean().backward()
        print(f"  {name}: {count.calls} calls, {count.flops / 1e6:.0f} MFLOP, {count.bytes / 1e6:.0f} MB")
    print(f"  ours {medians['ours']:.1f} ms, e3nn {medians['e3nn']:.1f} ms, e3nn / ours {ratio:.2f}")


def main() -> None:
    rounds, size, *degrees = (int(value) for value in (sys.argv[1:] + ["30", "100", "1", "2"][len(sys.argv) - 1 :]))
    schema, batch = graphs(size)
    speed, width = machine()
    print(f"{size} graphs, {SETTINGS.threads} threads, {SETTINGS.cpu}: {speed:.0f} GFLOP/s, copies {width:.0f} GB/s")
    for l_max in degrees:
        compare(schema, batch, l_max, rounds)


if __name__ == "__main__":
    main()
