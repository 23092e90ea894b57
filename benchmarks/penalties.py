"""What prices cost beside a training step of SEGNN (4 layers of 64 channels, 100 graphs of 5 nodes), alternating in one run.

    python benchmarks/penalties.py [repeats]

A price is timed forward and backward, by itself. ``dense basis`` is the same number as ``projection`` from one orthonormal
basis of all of Hom_G as a dense matrix, as the published programs do; ``sampled`` turns the batch and passes it again.
"""

import sys
import time
from collections.abc import Callable
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models.base import build_model
from forecasting.models.relaxed import linear_layers
from forecasting.numerics import configure
from forecasting.objectives.losses import mse
from forecasting.relaxation.base import Moment, Price
from forecasting.relaxation.duals import Resilient
from forecasting.relaxation.operators import LeaningPrice, ProjectionPrice
from forecasting.relaxation.sampled import SampledPrice
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.simulators.base import build_simulator
from forecasting.trajectories.windows import WindowSpec

GROUP = "SO(3)"
FOUR = ("O(3)", "C∞v(x)", "C∞v(y)", "C∞v(z)")


class DenseBasis:
    """|M − Q Qᵀ M|² with Q (N, dim Hom_G) dense, one for every shape of map."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.bases: dict[tuple[str, str], Tensor] = {}
        for layer in linear_layers(model).values():
            key = layer.irreps_in, layer.irreps_out
            if key not in self.bases:
                projector = Projector(parse_group(GROUP), *key, bias=True)
                rows, columns = projector.shape
                noise = torch.randn(projector.dimension, rows, columns)
                kept = projector.project(noise).flatten(1)
                self.bases[key] = torch.linalg.qr(kept.T).Q.contiguous()

    def __call__(self, moment: Moment) -> Tensor:
        """() Σ over maps."""
        total = []
        for layer in linear_layers(moment.model).values():
            basis, matrix = self.bases[layer.irreps_in, layer.irreps_out], layer.effective().flatten()
            total.append((matrix - basis @ (basis.T @ matrix)).square().sum())
        return torch.stack(total).sum()


def main() -> None:
    """Make the batch and the model, time everything in turn, print a table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    settings = configure()
    torch.manual_seed(0)
    spec = WindowSpec(1, (10,))
    with TemporaryDirectory() as folder:
        dataset = build_dataset(build_simulator("nbody_charged", {}).partitioned({"train": 100}, 0), f"{folder}/d")
        windows = dataset.windows(spec, dataset.anchors(spec)[:: len(dataset.anchors(spec)) // 100][:100])
        topology = Complete()
        builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization(1.0, 1.0, {}))
        batch = builder.build(windows)
    model = build_model("segnn", builder.schema, {"chain": ["O(3)"]})
    optimizer = torch.optim.Adam(model.parameters())

    def moment() -> Moment:
        return Moment(model, batch, builder.schema, model(batch), lambda forecast, part: mse(forecast, part, 3), 0.1)

    def step() -> None:
        optimizer.zero_grad()
        now = moment()
        now.loss(now.forecast, batch).backward()
        optimizer.step()

    prices: dict[str, Callable[[Moment], Tensor]] = {}
    made: dict[str, Price] = {
        "projection": ProjectionPrice(GROUP, keep=0.0),
        "projection, both parts": ProjectionPrice(GROUP),
        "projection, Frobenius": ProjectionPrice(GROUP, norm="frobenius"),
        "projection, spectral": ProjectionPrice(GROUP, norm="spectral"),
        "per, four groups": LeaningPrice(FOUR),
        "duals of every layer": Resilient(),
    }
    for name, price in made.items():
        price.attach(model)
        prices[name] = price
    prices["dense basis"] = DenseBasis(model)
    prices["sampled, one rotation"] = SampledPrice(group=GROUP)
    fixed = moment()
    fixed = Moment(
        model, batch, builder.schema, type(fixed.forecast)(*(part.detach() for part in fixed.forecast)), fixed.loss, 0.1
    )
    times: dict[str, list[float]] = {name: [] for name in ("training step", *prices)}
    for round_ in range(repeats + 3):
        for name, found in times.items():
            start = time.perf_counter()
            if name == "training step":
                step()
            else:
                model.zero_grad()
                prices[name](fixed).backward()
            if round_ >= 3:
                found.append(time.perf_counter() - start)
    print(f"{settings.threads} threads, {settings.cpu}; medians of {repeats}")
    print(f"{'':<24} {'ms':>8} {'of a step':>10} {'sampled is':>12}")
    whole, sampled = median(times["training step"]), median(times["sampled, one rotation"])
    for name, found in times.items():
        took = median(found)
        print(f"{name:<24} {1e3 * took:>8.2f} {took / whole:>9.1%} {sampled / took:>10.1f} x")


if __name__ == "__main__":
    main()
