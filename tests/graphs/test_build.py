"""Windows into graphs: exact centring, and batches that are the sum of their graphs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Radius
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

SPEC = WindowSpec(3, (1, 4))


@pytest.fixture(params=[2, 3])
def made(request, tmp_path):
    dataset = random_dataset(tmp_path / "data", dim=request.param)
    windows = dataset.windows(SPEC, dataset.anchors(SPEC))
    topology = Radius(1.5)
    builder = GraphBuilder(schema_of(dataset.manifest, SPEC, topology), topology, Normalization.fit(windows), torch.float64)
    return dataset, windows, builder


def test_every_field_of_the_registry_is_there_with_its_shape(made):
    _, windows, builder = made
    batch, schema = builder.build(windows), builder.schema
    sizes = {"T": 3, "V": 2, "H": 2}
    leads = {"node": len(windows.node), "edge": batch.edge_index.shape[1], "graph": len(windows)}
    for spec in schema.specs:
        shape = (2, leads["edge"]) if spec.content == "index" else (leads[spec.kind], *(sizes.get(s, s) for s in spec.shape))
        assert tuple(batch[spec.name].shape) == shape, spec.name
        if spec.content == "mask":
            assert batch[spec.name].dtype == torch.bool
    assert batch.num_graphs == len(windows)


def test_selected_graphs_equal_graphs_built_alone(made):
    dataset, windows, builder = made
    chosen = [5, 0, len(windows) - 1]
    anchors = np.stack([windows.scene, windows.anchor], axis=1)[chosen]
    alone = builder.build(dataset.windows(SPEC, anchors))
    picked = builder.build(windows).select(torch.tensor(chosen), builder.schema)
    for spec in builder.schema.specs:
        assert torch.equal(picked[spec.name], alone[spec.name]), spec.name
    assert torch.equal(picked.ptr, alone.ptr)
    assert torch.equal(picked.batch, alone.batch)


def test_far_from_the_origin_nothing_is_lost(made):
    _, windows, builder = made
    far = np.full(builder.schema.dim, 1e6)
    moved = replace(windows, position=(windows.position + far) * windows.position_valid[..., None], future=windows.future + far)
    near, away = builder.build(windows), builder.build(moved)
    torch.testing.assert_close(away.position, near.position, rtol=0, atol=1e-9)
    torch.testing.assert_close(away.target * away.target_valid[..., None], near.target, rtol=0, atol=1e-9)


def test_positions_are_the_inverse_of_targets(made):
    _, windows, builder = made
    batch = builder.build(windows)
    positions = builder.positions(batch.target[:, None], windows)[:, 0]
    valid = windows.future_valid
    np.testing.assert_allclose(positions[valid], windows.future[valid], atol=1e-12)


def test_centre_is_the_mean_of_those_present(made):
    _, windows, builder = made
    batch = builder.build(windows)
    sums = torch.zeros(batch.num_graphs, 3, dtype=torch.float64).index_add(0, batch.batch, batch.position[:, -1])
    assert sums.abs().max() < 1e-12
