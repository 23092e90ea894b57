"""A refit: the task alone, the same steps for everybody, and no step into what is not a number."""

import copy

import pytest
import torch

from forecasting.errors import NumericalError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.objectives.losses import distance, mse
from forecasting.testing.runs import SMALLEST, assert_same
from forecasting.testing.scenes import random_dataset
from forecasting.training.refit import refit
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

CHAIN = ["translations", "O(3)", "SO(2)(z)"]


@pytest.fixture
def graphs(tmp_path):
    """(schema, three batches)."""
    dataset = random_dataset(tmp_path / "data", scenes=4)
    spec, topology = WindowSpec(2, (1, 2)), Complete()
    anchors = dataset.anchors(spec)
    windows = dataset.windows(spec, anchors)
    builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows))
    return builder.schema, [builder.build(dataset.windows(spec, part)) for part in (anchors[:15], anchors[15:30], anchors[30:])]


@pytest.fixture
def network(graphs):
    def make(name="egnn", chain=CHAIN):
        torch.manual_seed(1)
        return build_model(name, graphs[0], {**SMALLEST[name], "chain": chain})

    return make


def loss(model, batches, cost=mse):
    with torch.no_grad():
        return sum(float(cost(model(batch), batch, 3)) for batch in batches)


@pytest.mark.parametrize("cost", [mse, distance], ids=lambda cost: cost.__name__)
@pytest.mark.parametrize("name", SMALLEST)
def test_it_learns_and_is_exactly_repeatable(graphs, network, name, cost):
    model, batches = network(name), graphs[1]
    again, other = copy.deepcopy(model), copy.deepcopy(model)
    before, steps = loss(model, batches, cost), []
    how = {"epochs": 4, "learning_rate": 1e-2, "loss": cost.__name__}
    refit(model, batches, **how, done=lambda: steps.append(1))
    assert len(steps) == 12
    assert loss(model, batches, cost) < before
    assert not model.training
    torch.manual_seed(99)
    again.eval()
    refit(again, batches, **how)
    assert_same(dict(model.state_dict()), dict(again.state_dict()))
    refit(other, batches[::-1], **how)
    assert any(not torch.equal(value, other.state_dict()[key]) for key, value in model.state_dict().items())


def test_steps_by_hand(graphs, network):
    """Adam, the rate (1 + cos(π k / n)) / 2 of the first, gradients no longer than `clip_norm`, batches in order."""
    model, batches = network(), graphs[1]
    plain = copy.deepcopy(model)
    refit(model, batches[:2], epochs=2, learning_rate=1e-2, clip_norm=0.1)
    parameters = [value for value in plain.parameters() if value.requires_grad]
    optimizer = torch.optim.Adam(parameters)
    for batch, rate in zip(batches[:2] * 2, (1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5), strict=True):
        optimizer.param_groups[0]["lr"] = 1e-2 * rate
        gradients = torch.autograd.grad(mse(plain(batch), batch, 3), parameters, allow_unused=True, materialize_grads=False)
        size = torch.sqrt(sum(found.square().sum() for found in gradients if found is not None))
        for value, found in zip(parameters, gradients, strict=True):
            value.grad = None if found is None else found * min(1.0, 0.1 / float(size))
        optimizer.step()
    for value, expected in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)


def test_levels_stay_unless_a_method_learns_them(graphs, network):
    model = network()
    gammas = {key: value.clone() for key, value in model.state_dict().items() if key.endswith((".gamma", ".held", ".dial"))}
    assert gammas
    refit(model, graphs[1], epochs=1, learning_rate=1e-2)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in gammas.items())


@pytest.mark.parametrize("clip", [1.0, None])
def test_no_step_is_taken_where_the_loss_is_not_finite(graphs, network, clip):
    model, (first, second, _) = network(), graphs[1]
    broken = copy.copy(second)
    broken.target = torch.full_like(second.target, float("nan"))
    with pytest.raises(NumericalError, match="step 1 of a refit: the loss became nan; lower the learning rate"):
        refit(model, [first, broken], epochs=2, learning_rate=1e-3, clip_norm=clip)
    assert all(torch.isfinite(value).all() for value in model.parameters())


@pytest.mark.parametrize("clip", [1.0, None])
def test_no_step_is_taken_where_the_gradient_is_not_finite(graphs, network, clip):
    model, batch = network(), graphs[1][0]
    model.embedding.weight.register_hook(lambda grad: grad * float("inf"))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(NumericalError, match="step 0 of a refit: the gradient became"):
        refit(model, [batch], epochs=1, learning_rate=1e-3, clip_norm=clip)
    assert_same(dict(model.state_dict()), before)


def test_a_learning_rate_that_is_far_too_large_is_an_error_of_numbers(graphs, network):
    with pytest.raises(NumericalError, match="lower the learning rate"):
        refit(network(), graphs[1], epochs=20, learning_rate=1e30, clip_norm=None)
