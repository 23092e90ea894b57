"""Duals on a problem whose solution is known: minimise (g − a)²/2 over one level g, under the constraints of ACE."""

import pytest
import torch
from torch import nn

from forecasting.errors import UsageError
from forecasting.models.relaxed import RelaxedBranch
from forecasting.relaxation.duals import Equality, Inequality, Resilient

AIM = 0.8


class OneLevel(nn.Module):
    """A model of one relaxed layer, whose level is γ itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = RelaxedBranch(1, 1, 1)
        self.layer.gamma.requires_grad_(True)


def settled(price, start=1.0, steps=4000, primal=0.05):
    """γ and λ after gradient descent on the task and ascent on the dual."""
    model = OneLevel()
    model.layer.gamma.data.fill_(start)
    price.attach(model)
    for step in range(steps):
        signed = price.signed(model)
        cost = 0.5 * (model.layer.gamma - AIM).square().sum() + (price.duals * price.cost(signed)).sum()
        (slope,) = torch.autograd.grad(cost, [model.layer.gamma])
        with torch.no_grad():
            model.layer.gamma -= primal * slope
            price.after_step(model, step / steps)
    return model.layer.gamma.item(), price.duals.item()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_equality_ends_at_zero_with_the_price_that_holds_it_there(optimizer):
    gamma, dual = settled(Equality(0.01 if optimizer == "sgd" else 1e-3, optimizer=optimizer))
    swing = 2e-3 if optimizer == "sgd" else 0.05  # Adam steps by its rate however small the slack
    assert gamma == pytest.approx(0, abs=swing)
    assert dual == pytest.approx(AIM, abs=5 * swing)


@pytest.mark.parametrize(("epsilon", "gamma", "dual"), [(0.3, 0.3, 0.5), (1.5, AIM, 0.0)])
def test_inequality_meets_its_bound_and_is_free_where_nothing_presses(epsilon, gamma, dual):
    found = settled(Inequality(epsilon, rate=0.01))
    assert found == (pytest.approx(gamma, abs=2e-3), pytest.approx(dual, abs=1e-2))


@pytest.mark.parametrize("rho", [0.5, 1.0, 4.0])
def test_resilient_is_stationary_where_the_eliminated_problem_is(rho):
    gamma, dual = settled(Resilient(rho, rate=0.01))
    assert gamma == pytest.approx(AIM / (1 + rho), abs=2e-3)
    assert dual == pytest.approx(rho * gamma, abs=1e-2)


def test_duals_move_only_every_so_many_steps():
    price, model = Resilient(1.0, rate=1.0, every=3), OneLevel()
    price.attach(model)
    found = []
    for _ in range(6):
        price.after_step(model, 0.0)
        found.append(float(price.duals))
    assert found == [0, 0, 1, 1, 1, 1]


def test_a_signed_price_follows_the_sign_of_a_level():
    price, model = Equality(1.0), OneLevel()
    model.layer.gamma.data.fill_(-0.5)
    price.attach(model)
    price.after_step(model, 0.0)
    assert float(price.duals) == -0.5
    bound, model2 = Inequality(0.1, rate=1.0), OneLevel()
    model2.layer.gamma.data.fill_(-0.5)
    bound.attach(model2)
    bound.after_step(model2, 0.0)
    assert float(bound.duals) == pytest.approx(0.4)


def test_unknown_optimizers_are_refused():
    with pytest.raises(UsageError, match="dual optimizer"):
        Equality(optimizer="lbfgs")
