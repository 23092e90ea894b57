"""What the methods add to the loss, for several copies of a network side by side."""

from collections.abc import Callable, Sequence

import torch
from per.network import FREE, RelaxedPerceptron, StackedMap
from torch import Tensor, nn

from forecasting.relaxation.duals import Resilient
from forecasting.relaxation.operators import tuned_strengths
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import ProjectorBank

GROUPS = ("O(3)", "C∞v(z)", "C∞v(x)", "C∞v(y)")
"""PER's {O(3), O2_xy, O2_yz, O2_xz}: O2_xy turns about z and holds the mirrors that contain z."""

Validate = Callable[[], Tensor]
"""Gives (S,) validation losses of the network as it is."""


class Leanings(nn.Module):
    """r_G = Σ over maps |M − P_G M|²/2 of a network, bias included.

    Attributes:
        shares: (G,) share of all dimensions that G forbids, by which `normalized` divides.
    """

    def __init__(self, network: RelaxedPerceptron, groups: Sequence[str] = GROUPS) -> None:
        super().__init__()
        chosen = [parse_group(name) for name in groups]
        banks: dict[tuple[str, str], ProjectorBank] = {}
        for layer in network.maps:
            place = (layer.irreps_in, layer.irreps_out)
            banks[place] = banks.get(place) or ProjectorBank(chosen, *place, bias=True)
        self.banks = [banks[layer.irreps_in, layer.irreps_out] for layer in network.maps]
        sizes = torch.tensor([[*bank.dimensions] for bank in self.banks], dtype=torch.float64).sum(0)
        whole = sum(bank.shape[0] * bank.shape[1] for bank in self.banks)
        self.shares = (self.banks[0].members.double() @ sizes / whole).float()

    def forward(self, network: RelaxedPerceptron) -> Tensor:
        """(S, G) r_G of the present weights."""
        return self.of([layer.effective() for layer in network.maps])

    def of(self, matrices: Sequence[Tensor]) -> Tensor:
        """(S, G) r_G of effective maps."""
        found = [bank.squared_residuals(matrix) for bank, matrix in zip(self.banks, matrices, strict=True)]
        return torch.stack(found).sum(0) / 2


class Method:
    """How maps are made, and what they cost: nothing, for free maps and for those of a strict network.

    Args:
        chain, grades, start: of every `StackedMap`.
    """

    keep_from = 0.0

    def __init__(self, chain: Sequence[str] = FREE, grades: int = 0, start: str = "plain") -> None:
        self.options = {"chain": tuple(chain), "grades": grades, "start": start}

    def attach(self, network: RelaxedPerceptron) -> None:
        """Make what depends on the network."""

    def penalty(self, network: RelaxedPerceptron, progress: float) -> Tensor | float:
        """(S,) added to the loss of a batch; sees the maps that were used for it."""
        return 0.0

    def after_step(self, network: RelaxedPerceptron, progress: float) -> None:
        """Called when the weights have moved."""

    def before_epoch(self, network: RelaxedPerceptron, progress: float, validate: Validate) -> None:
        """Called before an epoch."""

    def summary(self) -> dict[str, Tensor]:
        """Name -> (S, …) what the method found."""
        return {}


class Leaning(Method):
    """Σ_G λ_G r_G, λ tuned once (PER): the rule of `forecasting.relaxation.operators.LeaningPrice` for every copy by itself.

    Args:
        strength: λ of all groups but O(3), whose λ is 0; tune_at, window: shares of training; power: p.
    """

    def __init__(self, strength: float, tune_at: float, window: float, power: float, start: str = "plain") -> None:
        super().__init__(start=start)
        self.strength, self.tune_at, self.window, self.power = strength, tune_at, window, power
        self.tuned = False

    def attach(self, network: RelaxedPerceptron) -> None:
        """See `Method.attach`."""
        self.leanings = Leanings(network)
        copies = len(network.maps[0].matrix)
        self.strengths = torch.tensor([0.0, *[self.strength] * (len(GROUPS) - 1)]).repeat(copies, 1)
        self.smallest = torch.full_like(self.strengths, torch.inf)

    def penalty(self, network: RelaxedPerceptron, progress: float) -> Tensor:
        """See `Method.penalty`."""
        return (self.strengths * self.leanings.of(_used(network))).sum(1)

    def before_epoch(self, network: RelaxedPerceptron, progress: float, validate: Validate) -> None:
        """See `Method.before_epoch`: r_G is looked at once an epoch, as published."""
        if self.tuned or progress < self.tune_at - self.window:
            return
        with torch.no_grad():
            self.smallest = torch.minimum(self.smallest, self.leanings(network) / self.leanings.shares)
        if progress >= self.tune_at:
            pairs = zip(self.strengths, self.smallest, strict=True)
            self.strengths = torch.stack([tuned_strengths(strength, least, self.power) for strength, least in pairs])
            self.tuned = True

    def summary(self) -> dict[str, Tensor]:
        """See `Method.summary`."""
        return {"strengths": self.strengths}


class Projecting(Method):
    """λ_G |P M| + λ_⊥ |M − P M| for every map M, Frobenius (Berndt & Stuehmer, arXiv 2601.05028)."""

    def __init__(self, group: str = "O(3)", keep: float = 1e-5, leave: float = 1e-2, start: str = "plain") -> None:
        super().__init__(start=start)
        self.group, self.keep, self.leave = group, keep, leave

    def attach(self, network: RelaxedPerceptron) -> None:
        """See `Method.attach`."""
        self.leanings = Leanings(network, (self.group,))

    def penalty(self, network: RelaxedPerceptron, progress: float) -> Tensor:
        """See `Method.penalty`."""
        costs = []
        for bank, matrix in zip(self.leanings.banks, _used(network), strict=True):
            left = bank.squared_residuals(matrix)[:, 0]
            kept = (matrix.square().sum((1, 2)) - left).clamp(min=0)
            costs.append(self.keep * (kept + 1e-12).sqrt() + self.leave * (left + 1e-12).sqrt())
        return torch.stack(costs).sum(0)


class Mixing(Method):
    """γ per map and step of O(3) ⊃ C∞v(z) ⊃ {1}, a resilient dual for each, s(t) λ Σ_G |M − P_G M|², then a refit.

    As in `forecasting.relaxation.mixed.Mixed` where the user names the chain: at `refit_at` of training, of the networks that
    keep the first k parts the most symmetric is kept that errs at most `tolerance` times the full one on validation data, for
    every copy by itself; what it drops is dropped for good, γ and prices end. Defaults are those of `Mixed`. With levels c_1 and
    c_2, the distances |M − P_G M|² of the two groups are c_1² + c_2² and c_2².
    """

    def __init__(
        self, rate: float = 2e-4, rho: float = 1.0, strength: float = 1e-3, refit_at: float = 0.75, tolerance: float = 1.1
    ) -> None:
        super().__init__(("O(3)", "C∞v(z)"), 2, "kept")
        self.dual = Resilient(rho=rho, rate=rate)
        self.strength, self.keep_from, self.tolerance = strength, refit_at, tolerance
        self.refitted = False

    def attach(self, network: RelaxedPerceptron) -> None:
        """See `Method.attach`."""
        self.dual.register_buffer("duals", torch.zeros(_levels(network).shape))
        self.kept = torch.full((len(network.maps[0].matrix),), 2)
        self.reached = _levels(network).detach()

    def penalty(self, network: RelaxedPerceptron, progress: float) -> Tensor | float:
        """See `Method.penalty`."""
        if self.refitted:
            return 0.0
        fade = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * progress / self.keep_from)))
        levels = _levels(network)
        cost = (self.dual.duals * self.dual.cost(levels)).sum((1, 2))
        return cost + fade * self.strength * (levels.square() * torch.tensor([1.0, 2.0])).sum((1, 2))

    @torch.no_grad()
    def after_step(self, network: RelaxedPerceptron, progress: float) -> None:
        """See `Method.after_step`."""
        if not self.refitted:
            slack = self.dual.slack(_levels(network))
            self.dual.duals = self.dual.project(self.dual.duals + self.dual.optimizer(self.dual, slack))

    @torch.no_grad()
    def before_epoch(self, network: RelaxedPerceptron, progress: float, validate: Validate) -> None:
        """See `Method.before_epoch`: the refit."""
        if self.refitted or progress < self.keep_from:
            return
        self.refitted, self.reached = True, _levels(network)
        before = [layer.gamma.clone() for layer in network.maps]
        full = validate()
        for parts in (1, 0):
            for layer in network.maps:
                layer.gamma[:, parts:] = 0
            good = validate() <= self.tolerance * full
            self.kept = torch.where(good, parts, self.kept)
        allowed = torch.arange(2) < self.kept[:, None]
        for layer, gamma in zip(network.maps, before, strict=True):
            layer.gamma.copy_(gamma * allowed)
            layer.gamma.requires_grad_(False)
            layer.gamma.grad = None

    def summary(self) -> dict[str, Tensor]:
        """See `Method.summary`: parts kept (0 is O(3), 1 C∞v(z), 2 nothing) and the levels |γ_k W_k| before the refit."""
        return {"kept": self.kept, "levels": self.reached.abs().square().sum(1).sqrt()}


def _used(network: RelaxedPerceptron) -> list[Tensor]:
    return [layer.used for layer in network.maps]


def _levels(network: RelaxedPerceptron) -> Tensor:
    """(S, maps, grades)."""
    layers = [layer for layer in network.maps if isinstance(layer, StackedMap)]
    return torch.stack([layer.levels() for layer in layers], dim=1)
