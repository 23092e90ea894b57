"""Scenes too large for memory are refused before their graph is made; large ones that fit are computed alone."""

import numpy as np
import pytest
import torch

from forecasting.errors import DataError
from forecasting.graphs.topology import Complete, Nearest, Radius, Skeleton
from forecasting.inference import memory
from forecasting.inference.predictor import Predictor
from forecasting.testing.scenes import random_dataset, random_scene
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.windows import WindowSpec


def crowd(nodes, name="crowd"):
    return random_scene(np.random.default_rng(0), name, nodes=nodes, frames=4, gaps=False)


@pytest.mark.parametrize("model", ["egnn", "segnn"])
def test_a_complete_graph_of_ten_thousand_nodes_is_refused(package, model):
    made, _ = package(model, {"hidden": 16})
    message = r"input: scene 'crowd' has 10,000 nodes and 99,990,000 edges at 0\.3 s, which need about .* GiB are free"
    with pytest.raises(DataError, match=message):
        list(Predictor(made).batches([crowd(3, "small"), crowd(10_000)]))


def test_what_fits_is_computed_alone(package, monkeypatch):
    monkeypatch.setattr(memory, "LARGE", 10_000)
    made, _ = package("egnn", {"hidden": 16})
    sizes = [len(batch) for batch in Predictor(made).batches([crowd(3, "a"), crowd(300, "b"), crowd(3, "c")])]
    assert sizes == [1, 1, 1]
    monkeypatch.setattr(memory, "free_memory", lambda device: 1 << 20)
    with pytest.raises(DataError, match="'b'"):
        list(Predictor(made).batches([crowd(3, "a"), crowd(300, "b")]))


@pytest.mark.parametrize(
    "topology", [Complete(), Radius(0.7), Nearest(3), Skeleton()], ids=lambda topology: type(topology).__name__
)
def test_edges_are_counted_without_being_made(topology, tmp_path):
    dataset = random_dataset(tmp_path / "set", gaps=False)
    spec = WindowSpec(2, (1,))
    windows = dataset.windows(spec, dataset.anchors(spec, [5])[:1])
    found = topology.edges(windows, 1)[0].shape[1]
    assert found <= memory.edge_count(topology, windows) <= found + windows.edge_index.shape[1] + 3 * len(windows.node)


def test_what_an_edge_costs_is_what_tensors_take(package, tmp_path):
    dataset = build_dataset([crowd(60)], tmp_path / "crowd")
    cost = []
    for hidden in (16, 64):
        made, _ = package("egnn", {"hidden": hidden})
        one = Predictor(made)
        windows = dataset.windows(made.window, np.array([[0, 3]]))
        cost.append(memory.bytes_per_edge(windows, one.builder, one.model, torch.device("cpu")) / (4 * hidden))
    assert 1 < cost[1] <= cost[0] < 30


def test_free_memory_is_that_of_this_machine():
    assert 1 << 20 < memory.free_memory(torch.device("cpu")) < 1 << 50
