"""The methods by name: who sets γ, and what it costs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forecasting.errors import UsageError
from forecasting.models.relaxed import BRANCH
from forecasting.plain import call
from forecasting.registry import Registry
from forecasting.relaxation.activation import ActivationPrice
from forecasting.relaxation.augmentation import Augmentation
from forecasting.relaxation.base import Relaxation
from forecasting.relaxation.duals import Equality, Inequality, Resilient
from forecasting.relaxation.levels import Fixed, Learned, Triangle
from forecasting.relaxation.mixed import Mixed
from forecasting.relaxation.operators import LeaningPrice, PriorPrice, ProjectionPrice
from forecasting.relaxation.sampled import AnchoredPrice, SampledPrice

RELAXATIONS: Registry[Callable[..., Relaxation]] = Registry("relaxation", "forecasting.relaxation", "forecasting.methods")
Chain = Sequence[str]


def build_relaxation(name: str, arguments: Mapping[str, Any]) -> Relaxation:
    """Make the method called `name`.

    Raises:
        UsageError: if there is none, or it has no such argument; names the nearest.
    """
    return call(RELAXATIONS[name], arguments, f"relaxation '{name}'")


def _of_maps(name: str, chain: Chain) -> Chain:
    """The chain of a method whose price looks at linear maps.

    Raises:
        UsageError: if it makes perceptron branches.
    """
    if BRANCH in chain:
        raise UsageError(
            f"{name} prices linear maps, and relaxation.arguments.chain=[{BRANCH}] makes perceptrons; take a chain of groups, or "
            "a method that prices levels or outputs (ace_equality, ace_inequality, ace_resilient, sampled, remul)"
        )
    return chain


@RELAXATIONS.register("strict")
def strict() -> Relaxation:
    """No relaxed maps: exactly the architecture's symmetry."""
    return Relaxation("strict", None)


@RELAXATIONS.register("free")
def free(chain: Chain = ()) -> Relaxation:
    """Relaxed maps without a price."""
    return Relaxation("free", Fixed(), chain=chain)


@RELAXATIONS.register("augmentation")
def augmentation(chain: Chain = (), group: str = "O(3)") -> Relaxation:
    """Relaxed maps without a price, and every batch turned at random."""
    return Augmentation(chain, group)


@RELAXATIONS.register("annealed")
def annealed(chain: Chain = (), strength: float = 0.01, group: str = "SO(3)") -> Relaxation:
    """γ a triangle over training, back to the strict network at its end (Pertigkiozoglou et al., NeurIPS 2024)."""
    return Relaxation("annealed", Triangle(), [ActivationPrice(strength, group)], chain)


@RELAXATIONS.register("ace_equality")
def ace_equality(
    chain: Chain = (), gamma: Mapping[str, Any] | None = None, rate: float = 8e-4, every: int = 1, optimizer: str = "sgd",
    normalized: bool = True,
) -> Relaxation:  # fmt: skip
    """γ learned under γ W = 0 with signed duals; deployed at γ = 0 (ACE, algorithm 1)."""
    price = Equality(rate, every, optimizer, normalized)
    return Relaxation("ace_equality", Learned(strict=True), [price], chain, gamma)


@RELAXATIONS.register("ace_inequality")
def ace_inequality(
    chain: Chain = (), gamma: Mapping[str, Any] | None = None, epsilon: float = 0.1, rate: float = 8e-4, every: int = 1,
    optimizer: str = "sgd", normalized: bool = True,
) -> Relaxation:  # fmt: skip
    """γ learned under |γ W| ≤ ε (ACE)."""
    price = Inequality(epsilon, rate=rate, every=every, optimizer=optimizer, normalized=normalized)
    return Relaxation("ace_inequality", Learned(), [price], chain, gamma)


@RELAXATIONS.register("ace_resilient")
def ace_resilient(
    chain: Chain = (), gamma: Mapping[str, Any] | None = None, rho: float = 1.0, rate: float = 8e-4, every: int = 1,
    optimizer: str = "sgd", normalized: bool = True,
) -> Relaxation:  # fmt: skip
    """γ learned under |γ W| ≤ u with the price ρ u²/2 (ACE, algorithm 2)."""
    price = Resilient(rho, rate=rate, every=every, optimizer=optimizer, normalized=normalized)
    return Relaxation("ace_resilient", Learned(), [price], chain, gamma)


@RELAXATIONS.register("per")
def per(
    chain: Chain = (), groups: Sequence[str] = ("O(3)", "C∞v(x)", "C∞v(y)", "C∞v(z)"), strength: float = 0.3, first: float = 0.0,
    tune_at: float = 0.25, window: float = 0.05, power: float = 2.0, normalized: bool = True,
) -> Relaxation:  # fmt: skip
    """Free maps that lean towards several groups, their strengths tuned once (PER, ICML 2023)."""
    price = LeaningPrice(groups, strength, first, tune_at, window, power, normalized)
    return Relaxation("per", Fixed(), [price], _of_maps("per", chain))


@RELAXATIONS.register("projection")
def projection(
    chain: Chain = (), group: str = "SO(3)", keep: float = 1e-5, leave: float = 1e-2, norm: str = "squared"
) -> Relaxation:
    """Free maps, their equivariant and other parts priced apart (Berndt & Stuehmer 2026)."""
    price = ProjectionPrice(group, keep, leave, norm)
    return Relaxation("projection", Fixed(), [price], _of_maps("projection", chain))


@RELAXATIONS.register("rpp")
def rpp(chain: Chain = (), strength: float = 1.0) -> Relaxation:
    """Free maps with a Gaussian prior on what is not equivariant (Finzi et al., NeurIPS 2021)."""
    return Relaxation("rpp", Fixed(), [PriorPrice(strength)], _of_maps("rpp", chain))


@RELAXATIONS.register("sampled")
def sampled(chain: Chain = (), strength: float = 1.0, group: str = "SO(3)") -> Relaxation:
    """Free maps or branches, the residual of the network priced by one random element a step."""
    return Relaxation("sampled", Fixed(), [SampledPrice(strength, group)], chain)


@RELAXATIONS.register("remul")
def remul(chain: Chain = (), strength: float = 1.0, group: str = "SO(3)") -> Relaxation:
    """Free maps or branches, with the loss of a turned batch beside that of the batch (REMUL)."""
    return Relaxation("remul", Fixed(), [AnchoredPrice(strength, group)], chain)


RELAXATIONS.register("mixed")(Mixed)
