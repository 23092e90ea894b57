"""Prices that a constraint sets for itself: dual variables (Manolache & Niepert, ACE, NeurIPS 2025)."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from forecasting.models.base import Forecaster
from forecasting.models.relaxed import part_sizes, relaxed_layers
from forecasting.plain import pick
from forecasting.relaxation.base import Moment, Price


class Dual(Price):
    """Σ λ_{l,k} s_{l,k} over layers l and steps k of their chains, with dual ascent on λ after every `every` steps.

    The constraint is on c = |γ_k| |(W_k, b_k)| and not on γ alone, because γ W has one free scale (`normalized=False` gives the
    paper's own s = γ). λ moves with the weights it saw: the price of a step is of λ before it.

    Args:
        rate: η of the ascent; every: steps between ascents; optimizer: ``sgd`` as in the paper's algorithms, or ``adam`` as in
            its program, where λ moves by about `rate` a step whatever the slack.
        normalized: whether the constraint is on c, else on γ.
    """

    duals: Tensor
    steps: Tensor

    def __init__(self, rate: float = 8e-4, every: int = 1, optimizer: str = "sgd", normalized: bool = True) -> None:
        super().__init__()
        self.rate, self.every, self.normalized = rate, every, normalized
        self.optimizer = pick({"sgd": _ascend, "adam": _ascend_adam}, optimizer, "dual optimizer")
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def attach(self, model: Forecaster) -> None:
        """See `Price.attach`."""
        self.restart(model)

    def restart(self, model: Forecaster) -> None:
        """Begin with λ = 0 for the steps that the model's maps have now."""
        count = sum(len(layer.gammas) for layer in relaxed_layers(model).values())
        self.register_buffer("duals", torch.zeros(count))
        self.register_buffer("moments", torch.zeros(2, count))

    @abstractmethod
    def slack(self, signed: Tensor) -> Tensor:
        """(n,) how far each constraint is from being met, given γ_k |W_k| with its sign."""

    def cost(self, signed: Tensor) -> Tensor:
        """(n,) what λ multiplies; the absolute value unless the constraint is signed."""
        return signed.abs()

    def project(self, duals: Tensor) -> Tensor:
        """(n,) the duals that are allowed."""
        return duals.clamp(min=0)

    def forward(self, moment: Moment) -> Tensor:
        """See `Price.forward`."""
        return (self.duals * self.cost(self.signed(moment.model))).sum()

    def signed(self, model: Forecaster) -> Tensor:
        """(n,) γ_k |(W_k, b_k)|, or γ_k, of every layer and step."""
        layers = list(relaxed_layers(model).values())
        gammas = torch.cat([layer.gammas for layer in layers])
        return gammas * torch.cat(part_sizes(layers)) if self.normalized else gammas

    def after_step(self, model: Forecaster, progress: float) -> None:
        """Ascend."""
        self.steps += 1
        if int(self.steps) % self.every == 0:
            found = self.signed(model).to(self.duals)
            self.duals = self.project(self.duals + self.optimizer(self, self.slack(found)))

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take over duals of another number of steps: a run may split its maps anew."""
        for name in ("duals", "moments"):
            saved = state.get(f"{prefix}{name}")
            if saved is not None:
                self.register_buffer(name, torch.zeros_like(saved))
        super()._load_from_state_dict(state, prefix, *rest)

    def trace(self, model: Forecaster) -> dict[str, float]:
        """The duals."""
        names = [f"dual/{name}/{step + 1}" for name, layer in relaxed_layers(model).items() for step in range(len(layer.gammas))]
        return dict(zip(names, self.duals.tolist(), strict=False))


class Equality(Dual):
    """γ |W| = 0, signed, λ of any sign: λ ← λ + η s."""

    def slack(self, signed: Tensor) -> Tensor:
        """See `Dual.slack`."""
        return signed

    def cost(self, signed: Tensor) -> Tensor:
        """See `Dual.cost`."""
        return signed

    def project(self, duals: Tensor) -> Tensor:
        """See `Dual.project`."""
        return duals


class Inequality(Dual):
    """c ≤ ε: λ ← [λ + η (c − ε)]₊.

    Args:
        epsilon: ε; options: see `Dual`.
    """

    def __init__(self, epsilon: float = 0.1, **options: float | str | bool) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.epsilon = epsilon

    def slack(self, signed: Tensor) -> Tensor:
        """See `Dual.slack`."""
        return signed.abs() - self.epsilon


class Resilient(Dual):
    """c ≤ u with the price ρ u²/2, u = λ/ρ eliminated exactly: λ ← [λ + η (c − λ/ρ)]₊; stationary where J + ρ c²/2 is.

    The paper's program steps u by gradient and, for particles, counts it twice; this is the paper's problem itself.

    Args:
        rho: ρ; options: see `Dual`.
    """

    def __init__(self, rho: float = 1.0, **options: float | str | bool) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.rho = rho

    def slack(self, signed: Tensor) -> Tensor:
        """See `Dual.slack`."""
        return signed.abs() - self.duals / self.rho


def _ascend(dual: Dual, slack: Tensor) -> Tensor:
    return dual.rate * slack


def _ascend_adam(dual: Dual, slack: Tensor, decays: tuple[float, float] = (0.9, 0.999)) -> Tensor:
    count = int(dual.steps) // dual.every
    moments: Tensor = dual.get_buffer("moments")
    for row, (decay, value) in enumerate(zip(decays, (slack, slack.square()), strict=True)):
        moments[row] = decay * moments[row] + (1 - decay) * value
    first, second = (moments[row] / (1 - decay**count) for row, decay in enumerate(decays))
    return dual.rate * first / (second.sqrt() + 1e-8)
