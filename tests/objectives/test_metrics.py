"""Metrics and losses against hand-computed cases."""

import numpy as np
import pytest
import torch

from forecasting.graphs.batch import GraphBatch
from forecasting.models.base import Hypotheses
from forecasting.objectives.losses import LOSSES, gaussian_nll, laplace_nll
from forecasting.objectives.metrics import ErrorSums
from forecasting.objectives.several import LikelihoodSum, SeveralSums
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.cutting import cut_windows
from forecasting.trajectories.memory_map import rows_of
from forecasting.trajectories.windows import WindowSpec


@pytest.fixture
def windows():
    """Two windows of two nodes, two steps; the second node of the second window has no last step."""
    from dataclasses import replace

    scene = random_scene(np.random.default_rng(0), nodes=2, gaps=False, frames=8)
    cut = cut_windows(rows_of([scene], ("a", "b"), ("bone",)), {}, WindowSpec(1, (1, 2)), np.array([[0, 1], [0, 3]]))
    valid = np.array([[1, 1], [1, 1], [1, 1], [1, 0]], dtype=bool)
    return replace(cut, future=np.zeros_like(cut.future), future_valid=valid)


def test_known_errors(windows):
    off = np.zeros((4, 1, 2, 3))
    off[..., 0] = np.array([[3.0, 4], [0, 0], [1, 2], [5, 99]])[:, None]
    sums = ErrorSums(3)
    sums.add(off, windows)
    found = sums.summary()
    assert found["positions"] == 7
    assert found["mse"] == pytest.approx((9 + 16 + 1 + 4 + 25) / 7 / 3)
    assert found["ade"] == pytest.approx((3 + 4 + 1 + 2 + 5) / 7)
    assert found["fde"] == pytest.approx((4 + 0 + 2 + 5) / 4)
    assert found["mpjpe"] == pytest.approx((4 + 0 + 2) / 3)
    assert found["distance_per_step"] == pytest.approx([9 / 4, 6 / 3])
    assert found["mse_per_step"] == pytest.approx([35 / 4 / 3, 20 / 3 / 3])


def test_the_best_hypothesis_of_each_node_counts(windows):
    off = np.full((4, 2, 2, 3), 7.0)
    off[:2, 0], off[2:, 1] = 0, 0
    sums = ErrorSums(3)
    sums.add(off, windows)
    assert sums.summary()["ade"] == 0


def test_parts_add_up(windows):
    moved = np.random.default_rng(1).normal(size=(4, 1, 2, 3))
    one, two = ErrorSums(3), ErrorSums(3)
    one.add(moved, windows)
    one.add(moved, windows)
    two.add(moved, windows)
    for key in ("mse", "ade", "fde", "mpjpe"):
        assert one.summary()[key] == pytest.approx(two.summary()[key])


def batch_of(target, valid, batch):
    return GraphBatch(target=target, target_valid=valid, batch=batch, ptr=torch.tensor([0, 2, 3]))


def test_losses():
    target = torch.zeros(3, 2, 3)
    valid = torch.tensor([[True, True], [True, False], [True, True]])
    batch = batch_of(target, valid, torch.tensor([0, 0, 1]))
    moved = torch.zeros(3, 1, 2, 3)
    moved[0, 0, 0, 0], moved[1, 0, 0, 1], moved[1, 0, 1, 0] = 3.0, 4.0, 1000.0
    forecast = Hypotheses(moved, torch.ones(2, 1))
    assert float(LOSSES["mse"](forecast, batch, 3)) == pytest.approx((9 + 16) / 5 / 3)
    assert float(LOSSES["distance"](forecast, batch, 3)) == pytest.approx((3 + 4) / 5, abs=1e-5)
    both = Hypotheses(torch.cat([moved, torch.ones_like(moved)], 1), torch.full((2, 2), 0.5))
    # graph 0: hypothesis 0 costs 25, hypothesis 1 costs 9; graph 1: 0 against 6; the loser of each counts a twentieth
    learned = 0.95 * (9 + 0) + 0.05 * (25 + 6)
    assert float(LOSSES["mse"](both, batch, 3)) == pytest.approx(learned * (1 + np.log(2)) / 5 / 3)
    sure = both._replace(weights=torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    surprise = (3 * np.log(4 / 3) + 2 * np.log(2)) / 5
    assert float(LOSSES["mse"](sure, batch, 3)) == pytest.approx(learned * (1 + surprise) / 5 / 3)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("name", ["mse", "distance"])
def test_likelihoods_are_those_of_densities(name, dim):
    """exp(−D · cost), taken as a density of one error, integrates to 1 and has variance σ² in each coordinate."""
    radius, scale = torch.linspace(0, 40, 4001, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    cost = gaussian_nll(radius**2 / dim, scale) if name == "mse" else laplace_nll(radius, scale, dim)
    density = torch.exp(-dim * cost) * {2: 2 * np.pi, 3: 4 * np.pi}[dim] * radius ** (dim - 1)
    assert float(torch.trapezoid(density, radius)) == pytest.approx(1, rel=1e-4)
    assert float(torch.trapezoid(density * radius**2, radius)) / dim == pytest.approx(float(scale) ** 2, rel=1e-3)


@pytest.mark.parametrize("name", ["mse", "distance"])
def test_scales_learn_the_size_of_errors(name):
    """Of some scales, the true one costs least."""
    torch.manual_seed(0)
    noise = 0.3 * torch.randn(2000, 1, 1, 3)
    batch = GraphBatch(
        target=torch.zeros(2000, 1, 3),
        target_valid=torch.ones(2000, 1, dtype=torch.bool),
        batch=torch.zeros(2000, dtype=torch.long),
        ptr=torch.tensor([0, 2000]),
    )
    costs = [
        float(LOSSES[name](Hypotheses(noise, torch.ones(1, 1), torch.full((2000, 1, 1), value)), batch, 3))
        for value in (0.2, 0.25, 0.3, 0.36, 0.45)
    ]
    assert int(np.argmin(costs)) == 2


def test_every_hypothesis_learns_and_weights_learn_who_was_best():
    moved = torch.tensor([0.1, 1.0])[None, :, None, None].repeat(3, 1, 2, 3).requires_grad_(True)
    logits = torch.zeros(2, 2, requires_grad=True)
    batch = batch_of(torch.zeros(3, 2, 3), torch.ones(3, 2, dtype=torch.bool), torch.tensor([0, 0, 1]))
    LOSSES["mse"](Hypotheses(moved, logits.softmax(-1)), batch, 3).backward()
    assert (moved.grad.abs() > 0).all()
    assert (logits.grad[:, 0] < 0).all()


def test_the_gradient_of_a_distance_is_finite_at_zero():
    moved = torch.zeros(3, 1, 2, 3, requires_grad=True)
    batch = batch_of(torch.zeros(3, 2, 3), torch.ones(3, 2, dtype=torch.bool), torch.tensor([0, 0, 1]))
    LOSSES["distance"](Hypotheses(moved, torch.ones(2, 1)), batch, 3).backward()
    assert torch.isfinite(moved.grad).all()


def test_hypotheses_under_each_protocol(windows):
    """Best of each node, best of each window for all its nodes, and the likeliest, by hand."""
    off = np.zeros((4, 2, 2, 3))
    off[..., 0] = np.array([[[1.0, 1], [4, 4]], [[6, 6], [2, 2]], [[3, 5], [1, 9]], [[1, 99], [7, 99]]])
    sums, several = ErrorSums(3), SeveralSums()
    sums.add(off, windows)
    several.add(off, np.array([[0.4, 0.6], [0.7, 0.3]]), windows)
    assert sums.summary()["ade"] == pytest.approx((2 + 4 + 8 + 1) / 7)
    found = several.summary()
    # window 0: 14 against 12; window 1 (its second node has one step): 9 against 17
    assert found["count"] == 2
    assert found["joint"] == {"ade": pytest.approx((12 + 9) / 7), "fde": pytest.approx((4 + 2 + 5 + 1) / 4)}
    assert found["likeliest"] == {"ade": pytest.approx((12 + 9) / 7), "fde": pytest.approx((4 + 2 + 5 + 1) / 4)}
    several.add(off, np.array([[0.6, 0.4], [0.3, 0.7]]), windows)
    assert several.summary()["likeliest"]["ade"] == pytest.approx((12 + 9 + 14 + 17) / 14)


def test_the_likelihood_is_that_of_the_loss(windows):
    rng = np.random.default_rng(0)
    off, scale = rng.normal(size=(4, 1, 2, 3)), rng.uniform(0.5, 2, (4, 1, 2))
    total = LikelihoodSum()
    for part in (slice(0, 2), slice(2, 4)):
        of = replace_nodes(windows, part)
        total.add(off[part], scale[part], of)
    nll = gaussian_nll(torch.from_numpy((off**2).mean(-1)), torch.from_numpy(scale))[:, 0].numpy()
    assert total.mean() == pytest.approx(nll[windows.future_valid].mean())
    assert LikelihoodSum().mean() is None


def replace_nodes(windows, part):
    from dataclasses import replace

    return replace(windows, future=windows.future[part], future_valid=windows.future_valid[part])
