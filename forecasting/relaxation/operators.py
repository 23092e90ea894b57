"""Prices on the maps themselves: exact distances from the maps that a group keeps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from forecasting.errors import UsageError
from forecasting.models.base import Forecaster
from forecasting.models.relaxed import RelaxedMap, linear_layers
from forecasting.relaxation._distances import Distances, Parts, Spectra
from forecasting.relaxation.base import Moment, Price

__all__ = ["Distances", "LeaningPrice", "PriorPrice", "ProjectionPrice", "tuned_strengths"]

NORMS = ("frobenius", "squared", "spectral")


class ProjectionPrice(Price):
    """λ_G |P M| + λ_⊥ |M − P M| over all maps M, for one group (Berndt & Stuehmer, arXiv 2601.05028).

    Args:
        group: G; keep: λ_G; leave: λ_⊥.
        norm: ``frobenius`` as in the paper's text, ``squared`` as in its program, or ``spectral`` (dearer).

    Raises:
        UsageError: if the norm is none of these.
    """

    def __init__(self, group: str = "SO(3)", keep: float = 1e-5, leave: float = 1e-2, norm: str = "squared") -> None:
        super().__init__()
        if norm not in NORMS:
            raise UsageError(f"unknown norm '{norm}' of the projection price; choose from {', '.join(NORMS)}")
        self.group, self.keep, self.leave, self.norm = group, keep, leave, norm

    def attach(self, model: Forecaster) -> None:
        """See `Price.attach`."""
        self.parts = Spectra(self.group, model) if self.norm == "spectral" else Parts(self.group, model)

    def forward(self, moment: Moment) -> Tensor:
        """See `Price.forward`."""
        sizes = self.parts.sizes(moment.model)
        kept, left = ((sizes + 1e-24).sqrt() if self.norm == "frobenius" else sizes).sum(0)
        return self.keep * kept + self.leave * left


class LeaningPrice(Price):
    """Σ_G λ_G |M − P_G M|²/2 over several groups, the λ_G tuned once during training (Kim et al., PER, ICML 2023).

    At `tune_at`, λ_G ← λ_G (min_{G'} r_{G'} / r_G)^p, where r_G is the smallest Σ_M |M − P_G M|²/2 met in the `window` of
    training before it: what the data let the network lean towards keeps its strength, the rest loses it. r_G is divided by the
    share of dimensions that G forbids, since a group that forbids little is near to everything (`normalized=False`: as
    published). The published program takes the whole vector of r_G whenever one of them falls; each is taken by itself here.

    Args:
        groups: names, the largest first; strength: λ of all but the first, whose λ is 0 because its subgroups imply it
            (`first`: another value for it).
        tune_at: share of training after which λ is set, once; window: share of training before it that is watched.
        power: p; normalized: see above.
    """

    strengths: Tensor
    smallest: Tensor
    tuned: Tensor

    def __init__(
        self,
        groups: Sequence[str] = ("O(3)", "C∞v(x)", "C∞v(y)", "C∞v(z)"),
        strength: float = 0.3,
        first: float = 0.0,
        tune_at: float = 0.25,
        window: float = 0.05,
        power: float = 2.0,
        normalized: bool = True,
    ) -> None:
        super().__init__()
        self.groups, self.tune_at, self.window, self.power = tuple(groups), tune_at, window, power
        self.normalized = normalized
        self.register_buffer("strengths", torch.tensor([first, *[strength] * (len(groups) - 1)]))
        self.register_buffer("smallest", torch.full((len(groups),), torch.inf))
        self.register_buffer("tuned", torch.zeros((), dtype=torch.bool))

    def attach(self, model: Forecaster) -> None:
        """See `Price.attach`."""
        self.distances = Distances(self.groups, model)
        shares = [self.distances.codimension(index) if self.normalized else 1.0 for index in range(len(self.groups))]
        self.shares = torch.tensor(shares)

    def residuals(self, model: Forecaster) -> Tensor:
        """(G,) Σ_M |M − P_G M|²/2."""
        return self.distances.left(model) / 2

    def forward(self, moment: Moment) -> Tensor:
        """See `Price.forward`."""
        return (self.strengths * self.residuals(moment.model)).sum()

    def after_step(self, model: Forecaster, progress: float) -> None:
        """Watch r_G, and set λ when it is time."""
        if bool(self.tuned) or progress < self.tune_at - self.window:
            return
        found = (self.residuals(model) / self.shares.to(self.strengths)).to(self.smallest)
        self.smallest = torch.minimum(self.smallest, found)
        if progress >= self.tune_at:
            self.strengths = tuned_strengths(self.strengths, self.smallest, self.power)
            self.tuned.fill_(True)

    def trace(self, model: Forecaster) -> dict[str, float]:
        """λ_G and r_G."""
        leaning = self.residuals(model) / self.shares.to(self.strengths)
        strengths = {f"lambda/{group}": value for group, value in zip(self.groups, self.strengths.tolist(), strict=True)}
        return strengths | {f"r/{group}": value for group, value in zip(self.groups, leaning.tolist(), strict=True)}


def tuned_strengths(strengths: Tensor, residuals: Tensor, power: float) -> Tensor:
    """(G,) λ_G (min r / r_G)^p, the minimum over groups with λ > 0."""
    least = residuals[strengths > 0].min()
    return torch.where(strengths > 0, strengths * (least / residuals.clamp(min=1e-30)).clamp(max=1.0) ** power, strengths)


class PriorPrice(Price):
    """λ Σ_k |W_k|², a Gaussian prior on what the architecture's group does not keep (Finzi et al., RPP, NeurIPS 2021).

    RPP has a second prior, on the part that the group keeps; a relaxed map has no such part.

    Args:
        strength: λ.
    """

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, moment: Moment) -> Tensor:
        """See `Price.forward`."""
        sizes = [_squared(layer) for layer in linear_layers(moment.model).values()]
        return self.strength * torch.stack(sizes).sum()


def _squared(layer: RelaxedMap) -> Tensor:
    return layer.chain.squared_norms(layer.matrix)[1:].sum()
