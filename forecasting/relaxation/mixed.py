"""Mixed symmetries, found while learning: levels and duals for every subgroup, the axis from the maps, and a refit."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from forecasting.errors import UsageError
from forecasting.models.base import Forecaster
from forecasting.models.place import TRANSLATIONS, rotations_of
from forecasting.models.relaxed import BRANCH, linear_layers, place_layers, split_layers
from forecasting.relaxation.base import Moment, Relaxation
from forecasting.relaxation.duals import Resilient
from forecasting.relaxation.levels import Learned
from forecasting.relaxation.operators import Distances
from forecasting.symmetry.preferred_axis import preferred_axis

logger = logging.getLogger(__name__)
SEARCH, LEAN, REFIT = range(3)
LOOKS = 5
"""Times that the axis is looked for: when the second stage begins, and evenly until it ends."""


class Mixed(Relaxation):
    """J = task + Σ_{l,k} λ_{l,k} c_{l,k} + s(t) λ Σ_G |M − P_G M|², in three stages.

    1. *Search*: along O(3) ⊃ SO(3) ⊃ {1}, every layer and step with its own γ and dual (`Resilient`); s falls as a cosine.
    2. *Lean*: the axis n is the one with the largest SO(2)(n) share of what breaks the rotations (`preferred_axis`); the maps are
       split anew along O(3) ⊃ C∞v(n) ⊃ SO(2)(n) ⊃ {1}, levels and duals begin again. As the maps settle, n is looked for again.
    3. *Refit*: of the networks that are blind to places, or to places along n or across n, and then of those that keep the
       first k parts, the most symmetric whose validation loss is within `tolerance` of the full one is kept; what it drops is
       dropped for good, prices end, and the rest learns on.

    Translations are relaxed by place maps, with levels and duals of their own (`models.place`).

    Without an axis to look for (planar data, or a chain the user names) the first two stages are one.

    Args:
        chain: groups of the search; empty takes O(3) ⊃ SO(3), in the plane C∞v(z) ⊃ SO(2)(z).
        about: groups of the second stage, with ``n`` for the axis; empty keeps the chain.
        lean_at, refit_at: shares of training at which the stages begin.
        rate, rho: of the duals, see `Resilient`; strength: λ.
        tolerance: see above; kept weights are those of the last stage.
        translation: whether translations are relaxed too.
    """

    stage: Tensor
    looks: Tensor
    axis: Tensor
    kept: Tensor
    translated: Tensor

    def __init__(
        self,
        chain: Sequence[str] = (),
        about: Sequence[str] = ("O(3)", "C∞v(n)", "SO(2)(n)"),
        lean_at: float = 0.45,
        refit_at: float = 0.75,
        rate: float = 2e-4,
        rho: float = 1.0,
        strength: float = 1e-3,
        tolerance: float = 1.1,
        translation: bool = True,
    ) -> None:
        if not 0 < lean_at <= refit_at < 1:
            raise UsageError(f"mixed: 0 < lean_at ≤ refit_at < 1 is expected, found {lean_at} and {refit_at}")
        if BRANCH in chain:
            raise UsageError("mixed relaxes linear maps; perceptron branches have no parts to keep, so name groups as the chain")
        super().__init__("mixed", Learned(), [Resilient(rho=rho, rate=rate)], chain)
        self.first, self.about = tuple(chain), tuple(about)
        self.lean_at, self.refit_at = lean_at, refit_at
        self.strength, self.tolerance, self.translation = strength, tolerance, translation
        self.register_buffer("stage", torch.zeros((), dtype=torch.long))
        self.register_buffer("looks", torch.zeros((), dtype=torch.long))
        self.register_buffer("axis", torch.zeros(3, dtype=torch.float64))
        self.register_buffer("kept", torch.zeros((), dtype=torch.long))
        self.register_buffer("translated", torch.zeros((), dtype=torch.long))

    def chain_for(self, dim: int) -> tuple[str, ...]:
        """See `Relaxation.chain_for`."""
        return self._with_translations(rotations_of(self.first) or (("O(3)", "SO(3)") if dim == 3 else ("C∞v(z)", "SO(2)(z)")))

    def attach(self, model: Forecaster) -> None:
        """See `Relaxation.attach`."""
        super().attach(model)
        self.dim = model.schema.dim
        self._measure(model)

    @property
    def groups(self) -> tuple[str, ...]:
        """The chain of the present stage."""
        if int(self.stage) == SEARCH or not self._searches:
            return tuple(rotations_of(self.chain_for(self.dim)))
        axis = ",".join(f"{value:.9f}" for value in self.axis.tolist())
        return tuple(name.replace("(n)", f"({axis})") for name in self.about)

    @property
    def _searches(self) -> bool:
        return self.dim == 3 and not self.first and bool(self.about)

    def before_step(self, model: Forecaster, progress: float, validate: Callable[[], float]) -> bool:
        """See `Relaxation.before_step`."""
        changed = self._look(model, progress)
        if int(self.stage) < REFIT and progress >= self.refit_at:
            self._refit(model, validate)
            changed = True
        return super().before_step(model, progress, validate) or changed

    def follow(self, model: Forecaster) -> None:
        """See `Relaxation.follow`."""
        if int(self.stage) == SEARCH:
            return
        for layer in split_layers(model).values():
            layer.split_along(self.groups)
        self._measure(model)

    def penalty(self, moment: Moment) -> Tensor:
        """See `Relaxation.penalty`."""
        if int(self.stage) == REFIT:
            return moment.forecast.displacement.new_zeros(())
        fade = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * moment.progress / self.refit_at)))
        return super().penalty(moment) + fade * self.strength * self.distances.left(moment.model).sum()

    def after_step(self, model: Forecaster, progress: float) -> None:
        """See `Relaxation.after_step`."""
        if int(self.stage) < REFIT:
            super().after_step(model, progress)

    def may_keep(self, progress: float) -> bool:
        """See `Relaxation.may_keep`."""
        return int(self.stage) == REFIT

    def final_chain(self) -> tuple[str, ...]:
        """See `Relaxation.final_chain`."""
        return self._with_translations(self.groups)

    def _with_translations(self, groups: Sequence[str]) -> tuple[str, ...]:
        return (TRANSLATIONS, *groups) if self.translation else tuple(groups)

    def trace(self, model: Forecaster) -> dict[str, float]:
        """See `Relaxation.trace`."""
        axis = {f"axis/{name}": value for name, value in zip("xyz", self.axis.tolist(), strict=True)}
        found = {"stage": float(self.stage), "kept": float(self.kept), "translated": float(self.translated)}
        return {**found, **axis, **super().trace(model)}

    def _look(self, model: Forecaster, progress: float) -> bool:
        """Find the axis when it is time, and split the maps about it; never again once parts were dropped."""
        due = self.lean_at + int(self.looks) * (self.refit_at - self.lean_at) / (LOOKS - 1)
        if not self._searches or int(self.stage) == REFIT or int(self.looks) == LOOKS or progress < due:
            return False
        found = preferred_axis(layer.typed for layer in split_layers(model).values())
        logger.info("mixed: axis %s holds %.3g of the breaking (|M|² %.3g)", found.axis.round(4), found.share, found.size)
        self.axis.copy_(torch.from_numpy(found.axis))
        self.looks += 1
        first = int(self.stage) == SEARCH
        self.stage.fill_(LEAN)
        self.follow(model)
        if first:
            for layer in split_layers(model).values():
                layer.gamma.data.fill_(1)
            self._duals().restart(model)
        return True

    @torch.no_grad()
    def _refit(self, model: Forecaster, validate: Callable[[], float]) -> None:
        limit = self.tolerance * validate()
        self._translate(model, limit, validate)
        count = len(next(iter(linear_layers(model).values())).gammas)
        losses = []
        for parts in range(count + 1):
            _keep(model, parts)
            losses.append(validate())
            if losses[-1] <= limit:
                break
        self.kept.fill_(len(losses) - 1)
        self.stage.fill_(REFIT)
        name = (*self.groups, "nothing")[int(self.kept)]
        logger.info("mixed: validation %s, at most %.4g; kept: %s", [f"{loss:.4g}" for loss in losses], limit, name)

    def _translate(self, model: Forecaster, limit: float, validate: Callable[[], float]) -> None:
        """Blind the network to places, as far as it does not need them."""
        places = place_layers(model).values()
        if not places:
            return
        along = torch.outer(self.axis, self.axis)
        whole = torch.eye(3, dtype=along.dtype)
        choices = [torch.zeros_like(whole), along, whole - along, whole] if self.axis.any() else [torch.zeros_like(whole), whole]
        for number, across in enumerate(choices):
            for place in places:
                place.across.copy_(across)
            self.translated.fill_(number)
            loss = validate()
            logger.info("mixed: validation %.4g, at most %.4g, reading of a place\n%s", loss, limit, across.numpy().round(3))
            if loss <= limit:
                break

    def _measure(self, model: Forecaster) -> None:
        self.distances = Distances(self.groups, model)

    def _duals(self) -> Resilient:
        (price,) = self._prices()
        if not isinstance(price, Resilient):
            raise TypeError(type(price))
        return price


def _keep(model: Forecaster, parts: int) -> None:
    """Keep the first `parts` parts of every map, and of the place maps the largest group's own besides."""
    for layer in split_layers(model).values():
        layer.held.fill_(1)
        layer.held[parts + 1 - layer.first :] = 0
