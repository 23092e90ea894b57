"""Forecasts of many windows at once: the same as one by one, whatever shares a micro-batch."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import UsageError
from forecasting.graphs.topology import Complete, Nearest, Radius, Skeleton
from forecasting.inference.buckets import Limits, expected_edges
from forecasting.inference.predictor import Anchors, Predictor
from forecasting.numerics import configure
from forecasting.testing.scenes import random_dataset, random_scene
from forecasting.trajectories.labels import Labels
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import WindowSpec

TOPOLOGIES = [Complete(), Radius(0.7), Nearest(2), Skeleton(), Skeleton(two_hop=False)]


def scenes_of(count=7, **kind):
    rng = np.random.default_rng(1)
    return [random_scene(rng, f"s{index}", nodes=1 + index % 5, **kind) for index in range(count)]


def named(scene):
    return replace(scene, node_ids=np.array([f"p{name}" for name in scene.node_ids]))


KINDS = {
    "numbers as ids": lambda scene: scene,
    "names as ids": named,
    "another unit": lambda scene: replace(scene, unit=Unit("m", (2.0, 0.5, 4.0))),
}


@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("every", [None, 3])
def test_the_table_is_that_of_the_forecasts_one_by_one(package, change, every):
    made, _ = package()
    (batch,) = Predictor(made).batches(map(change, scenes_of()), Anchors(every))
    alone = pa.concat_tables([one.to_table() for one in batch])
    assert batch.to_table().equals(alone, check_metadata=True)
    assert batch.to_table().num_rows == batch.rows == sum(one.positions[..., 0].size for one in batch)


def test_each_window_is_the_forecast_of_its_scene(package):
    made, _ = package("constant_velocity")
    scenes = scenes_of()
    (batch,) = Predictor(made, dtype=torch.float64).batches(scenes)
    assert len(batch) == len(scenes)
    for one, scene in zip(batch, scenes, strict=True):
        seen = scene.valid[-1]
        assert (one.scene, one.unit, one.frame, one.source) == (scene.scene, scene.unit, scene.frame, scene.source)
        np.testing.assert_array_equal(one.node_ids, scene.node_ids[seen])
        np.testing.assert_array_equal(one.node_types, scene.node_types[seen])
        np.testing.assert_array_equal(one.anchor, scene.positions[-1, seen])
    with pytest.raises(IndexError, match="7 windows"):
        batch[7]


def test_what_cannot_share_a_table_is_in_another_batch(package):
    made, _ = package()
    one, two, three, four = scenes_of(4)
    found = list(Predictor(made).batches([one, two.in_unit("cm"), named(three), named(four)]))
    assert [batch.names for batch in found] == [("s0",), ("s1",), ("s2", "s3")]


@pytest.mark.parametrize("model", ["egnn", "segnn"])
@pytest.mark.parametrize("limits", [Limits(nodes=1), Limits(edges=7), Limits(nodes=9, edges=30)])
def test_answers_are_bit_equal_whatever_shares_the_micro_batch(package, model, limits):
    configure()
    made, _ = package(model, {"hidden": 32})
    scenes = scenes_of(frames=9)
    together = list(Predictor(made).trajectories(scenes, Anchors(2)))
    apart = list(Predictor(made, limits=limits).trajectories(scenes, Anchors(2)))
    assert len(together) == len(apart) == 28
    for one, other in zip(together, apart, strict=True):
        assert (one.scene, one.anchor_time) == (other.scene, other.anchor_time)
        np.testing.assert_array_equal(one.positions, other.positions)


@given(
    counts=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 200)), max_size=30),
    nodes=st.integers(1, 60),
    edges=st.integers(1, 300),
)
def test_micro_batches_hold_every_window_once_within_the_limits(counts, nodes, edges):
    count = np.array(counts, dtype=np.int64).reshape(-1, 2)
    parts = list(Limits(nodes, edges).parts(count[:, 0], count[:, 1]))
    assert [index for part in parts for index in range(len(count))[part]] == list(range(len(count)))
    for part in parts:
        sums = count[part].sum(0)
        assert part.stop - part.start == 1 or (sums <= [nodes, edges]).all()
        if part.stop < len(count):
            assert (sums + count[part.stop] > [nodes, edges]).any()


def test_limits_must_be_positive():
    with pytest.raises(UsageError, match="at least one"):
        Limits(nodes=0)


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda topology: type(topology).__name__)
def test_no_window_has_more_edges_than_expected(topology, tmp_path):
    dataset = random_dataset(tmp_path / "data", gaps=False)
    spec = WindowSpec(2, (1,))
    windows = dataset.windows(spec, dataset.anchors(spec))
    edges, _ = topology.edges(windows, 1)
    found = np.bincount(windows.window_of_node[edges[0]], minlength=len(windows))
    nodes = np.diff(windows.offsets)
    expected = expected_edges(topology, nodes, nodes - 1)
    assert (found <= expected).all()
    if isinstance(topology, Complete):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("parts", [[[1, 2], [2, 3]], [["b", "a"], ["c", "b"]], [["a"], ["a", "long name"]]])
def test_labels(parts):
    labels = Labels.of([np.array(part) for part in parts])
    values = [value for part in parts for value in part]
    assert labels.values.tolist() == values
    rows = np.array([2, 0, 0])
    assert labels.column(rows).to_pylist() == labels[rows].values.tolist() == [values[row] for row in rows]
