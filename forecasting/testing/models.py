"""The contract of a forecaster, as tests to inherit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from forecasting.evaluation.copies import copies_for
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete, Nearest, Radius, Skeleton, Topology
from forecasting.models.base import Forecaster, Hypotheses, build_model
from forecasting.symmetry.transforms import Orthogonal, random_rotation
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowBatch, WindowSpec

SPECS = (WindowSpec(1, (4,)), WindowSpec(4, (1, 2, 3)), WindowSpec(2, (5, 6), score="complete"))
KINDS: tuple[dict[str, Any], ...] = (
    {"dim": 3},
    {"dim": 2},
    {"dim": 3, "velocity": True, "gaps": False},
    {"dim": 3, "types": ("one",)},
)
TOPOLOGIES: tuple[Topology, ...] = (Complete(), Radius(1.0), Nearest(2), Skeleton())


class ForecasterContract:
    """Inherit, name the model, and say which copies of the world it must follow.

    Attributes:
        model: name in the registry; arguments: plain arguments, small.
        follows: copies under which the forecast must move along with its input ("yaw", "so3", "mirrored", "translated").
    """

    model: ClassVar[str]
    arguments: ClassVar[Mapping[str, Any]] = {}
    follows: ClassVar[tuple[str, ...]] = ("translated",)

    @pytest.fixture(params=KINDS, ids=lambda kind: "-".join(f"{key}={value}" for key, value in kind.items()))
    def dataset(self, request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
        """Small random scenes."""
        return random_dataset(tmp_path / "data", **request.param)

    @pytest.fixture(params=SPECS, ids=lambda spec: f"T{spec.history}H{len(spec.horizon)}")
    def spec(self, request: pytest.FixtureRequest) -> WindowSpec:
        """Windows with and without history, one shot and several steps."""
        spec: WindowSpec = request.param
        return spec

    def make(
        self, dataset: Dataset, spec: WindowSpec, topology: Topology | None = None, dtype: torch.dtype = torch.float64
    ) -> tuple[Forecaster, GraphBuilder, WindowBatch]:
        """A model with random weights that all matter, its graph builder, and all windows."""
        topology = topology or Complete()
        windows = dataset.windows(spec, dataset.anchors(spec))
        builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows), dtype)
        torch.manual_seed(0)
        model = build_model(self.model, builder.schema, self.arguments).to(dtype).eval()
        with torch.no_grad():
            for value in model.parameters():
                value.add_(0.1 * torch.randn_like(value))
        return model, builder, windows

    def test_shapes_and_finite_gradients(self, dataset: Dataset, spec: WindowSpec) -> None:
        """Any number of nodes, masks, types, topologies: (N, K, H, 3), weights sum to one, gradients are finite."""
        for topology in TOPOLOGIES:
            model, builder, windows = self.make(dataset, spec, topology, torch.float32)
            batch = builder.build(windows)
            moved, weights, scale = model(batch)
            assert moved.shape == (len(windows.node), weights.shape[1], len(spec.horizon), 3)
            assert torch.allclose(weights.sum(1), torch.ones(len(windows)))
            assert torch.isfinite(moved).all()
            if builder.schema.dim == 2:
                assert not moved[..., 2].any()
            assert scale is None or (scale.shape == moved.shape[:3] and (scale > 0).all())
            if model.needs_training:
                spread = 0.0 if scale is None else scale.log().square().mean()
                (moved.square().mean() + (weights**2).sum(1).mean() + spread).backward()
                grads = [value.grad for value in model.parameters() if value.grad is not None]
                assert grads
                assert all(torch.isfinite(grad).all() for grad in grads)

    def test_does_not_depend_on_the_batch(self, dataset: Dataset, spec: WindowSpec) -> None:
        """A graph alone gives what it gives among others, in any order."""
        model, builder, windows = self.make(dataset, spec)
        batch = builder.build(windows)
        together = model(batch)
        order = torch.randperm(batch.num_graphs, generator=torch.Generator().manual_seed(1))[:7]
        for graph in order.tolist():
            alone = model(batch.select(torch.tensor([graph]), builder.schema))
            first, last = batch.ptr[graph : graph + 2].tolist()
            expected = Hypotheses(
                together.displacement[first:last],
                together.weights[graph : graph + 1],
                None if together.scale is None else together.scale[first:last],
            )
            _assert_close(alone, expected, 1e-12)

    def test_does_not_depend_on_the_order_of_nodes(self, dataset: Dataset, spec: WindowSpec) -> None:
        """Permuted nodes give permuted forecasts."""
        model, builder, windows = self.make(dataset, spec)
        batch = builder.build(windows)
        order = torch.argsort(batch.batch * 1000 + torch.randint(0, 1000, (len(batch.batch),)))
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        shuffled = batch.clone()
        for field in builder.schema.specs:
            if field.kind == "node":
                shuffled[field.name] = batch[field.name][order]
        shuffled.edge_index = place[batch.edge_index]
        moved, weights, scale = model(batch)
        expected = Hypotheses(moved[order], weights, None if scale is None else scale[order])
        _assert_close(model(shuffled), expected, 1e-11)

    @pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-4)], ids=["float64", "float32"])
    def test_follows_its_symmetries(self, dataset: Dataset, spec: WindowSpec, dtype: torch.dtype, limit: float) -> None:
        """From windows in the data's unit to positions in it: f(g x) = g f(x), every field by its declared irreps."""
        model, builder, windows = self.make(dataset, spec, Radius(1.0), dtype)
        hypotheses = model(builder.build(windows))
        plain = builder.positions(hypotheses.displacement, windows)
        rng = np.random.default_rng(3)
        copies = {copy.name: copy for copy in copies_for(builder.schema.dim, dataset.manifest.frame, 1.0)}
        for name in self.follows:
            if name not in copies:
                continue
            for _ in range(3):
                transform = copies[name].draw(rng)
                moved = windows.transformed(transform)
                found = model(builder.build(moved))
                turned = builder.positions(found.displacement, moved)
                expected = transform.act(plain, "1o", translates=True)
                size = np.abs(plain - windows.position[:, -1][:, None, None]).max()
                assert np.abs(turned - expected).max() <= limit * max(size, 1.0), name
                _assert_close(found._replace(displacement=hypotheses.displacement), hypotheses, limit * max(size, 1.0))

    def test_inputs_never_see_the_future(self, dataset: Dataset, spec: WindowSpec) -> None:
        """Whatever the future holds, the forecast stays the same."""
        model, builder, windows = self.make(dataset, spec)
        changed = replace(
            windows,
            future=windows.future + 100 * np.random.default_rng(0).normal(size=windows.future.shape),
            future_valid=np.zeros_like(windows.future_valid),
        )
        assert torch.equal(model(builder.build(changed))[0], model(builder.build(windows))[0])

    def test_coincident_nodes_and_lonely_nodes(self, dataset: Dataset, spec: WindowSpec) -> None:
        """Nodes in one place and graphs of one node give finite forecasts."""
        model, builder, windows = self.make(dataset, spec)
        together = replace(windows, position=np.zeros_like(windows.position), velocity=np.zeros_like(windows.velocity))
        assert torch.isfinite(model(builder.build(together))[0]).all()
        assert 1 in np.diff(windows.offsets)

    def test_a_broken_symmetry_is_noticed(self, dataset: Dataset, spec: WindowSpec) -> None:
        """The equivariance test can fail: turning only the histories changes what a vector field says."""
        model, builder, windows = self.make(dataset, spec)
        if not self.follows or "so3" not in self.follows or builder.schema.dim == 2 or not self.reads_fields:
            pytest.skip("this model has no such symmetry or reads no vector field")
        turn = Orthogonal(random_rotation(np.random.default_rng(0)))
        moved = replace(windows.transformed(turn), fields=windows.fields)
        plain = builder.positions(model(builder.build(windows))[0], windows)
        turned = builder.positions(model(builder.build(moved))[0], moved)
        assert np.abs(turned - turn.act(plain, "1o", translates=True)).max() > 1e-3

    reads_fields: ClassVar[bool] = False


def _assert_close(found: Hypotheses, expected: Hypotheses, limit: float) -> None:
    """Displacements, weights and scales alike."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=limit)
