"""Training of several copies of a relaxed perceptron at once, as PER publishes it: Adam, cosine rate, no clipping."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from per.network import RelaxedPerceptron, Width
from per.prices import Leaning, Leanings, Method, Mixing, Projecting
from per.tasks import Sets, Task
from torch import Tensor


@dataclass(frozen=True)
class Recipe:
    """What the published program takes for a task.

    Attributes:
        epochs: published number; batch, rate, decay: of Adam (decay is the factor of Σ(|W|² + |b|²)/2).
        strength: first λ; tune_epoch: T_a; window: epochs before it that are watched; power: p; start: of the maps.
    """

    epochs: int
    batch: int
    rate: float
    decay: float
    strength: float
    tune_epoch: int
    power: float
    start: str = "plain"
    window: int = 100

    @property
    def tune_at(self) -> float:
        """Share of training after which λ is tuned."""
        return self.tune_epoch / self.epochs

    def shortened(self, epochs: int) -> "Recipe":
        """The recipe with fewer epochs; T_a and its window keep their share of training."""
        share = epochs / self.epochs
        return replace(self, epochs=epochs, tune_epoch=round(self.tune_epoch * share), window=max(1, round(self.window * share)))


RECIPES = {
    "inertia": Recipe(8000, 500, 1e-3, 2e-4, 100.0, 2000, 2.0),
    "cossim": Recipe(2000, 200, 1e-3, 2e-5, 0.01, 500, 2.0),
    "motion": Recipe(500, 128, 2e-4, 0.0, 0.3, 100, 5.0, "halfsoft"),
}
METHODS = ("free", "strict", "C∞v(z)", "per", "per, kept start", "projection", "mixed")


def method(name: str, recipe: Recipe) -> Method:
    """The method of this name with published settings; a group's name is the network projected on it.

    ``per, kept start`` differs from ``per`` in where the maps start: near equivariant ones of full size, as for ``mixed``.
    """

    def leaning(start: str) -> Leaning:
        return Leaning(recipe.strength, recipe.tune_at, recipe.window / recipe.epochs, recipe.power, start)

    made: dict[str, Callable[[], Method]] = {
        "free": lambda: Method(start=recipe.start),
        "strict": lambda: Method(("O(3)",), 0, "kept"),
        "C∞v(z)": lambda: Method(("C∞v(z)",), 0, "kept"),
        "per": lambda: leaning(recipe.start),
        "per, kept start": lambda: leaning("kept"),
        "projection": lambda: Projecting(start=recipe.start),
        "mixed": Mixing,
    }
    return made[name]()


@dataclass(frozen=True)
class Outcome:
    """Of one method on one task, S copies.

    Attributes:
        errors: set -> (S,) mean squared error; leanings: (S, G) r_G of the kept weights; shares: (G,).
        size: (S,) Σ |M|² over all maps; found: of `Method.summary`; epochs: trained; seconds: all copies together.
    """

    method: str
    errors: dict[str, Tensor]
    leanings: Tensor
    shares: Tensor
    size: Tensor
    found: dict[str, Tensor]
    network: RelaxedPerceptron
    epochs: int
    seconds: float


def train(
    task: Task, name: str, recipe: Recipe, copies: int, seed: int = 0, width: Width | None = None, every: int = 5
) -> Outcome:
    """Train copies that differ in their first weights and in the order of their batches; the best on validation are kept.

    Weights are kept from 2 T_a on, as published (mixed: from its refit on); there is no early stop. The validation loss is taken
    every `every` epochs.
    """
    torch.manual_seed(seed)
    chosen, begun = method(name, recipe), time.process_time()
    network = RelaxedPerceptron(task.irreps_in, task.irreps_out, copies, width, **chosen.options)
    chosen.attach(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.rate)
    inputs, targets = task.sets["train"]
    best, kept = torch.full((copies,), torch.inf), [value.detach().clone() for value in network.parameters()]
    steps = len(inputs) // recipe.batch
    first = max(2 * recipe.tune_epoch, round(chosen.keep_from * recipe.epochs))

    def validate() -> Tensor:
        return mean_squared(network, task.sets, "validation")

    for epoch in range(recipe.epochs):
        chosen.before_epoch(network, epoch / recipe.epochs, validate)
        cosine = torch.cos(torch.tensor(torch.pi * epoch / recipe.epochs))
        for group in optimizer.param_groups:
            group["lr"] = float(recipe.rate * (1 + cosine) / 2)
        order = torch.stack([torch.randperm(len(inputs))[: steps * recipe.batch] for _ in range(copies)])
        for step, rows in enumerate(order.split(recipe.batch, dim=1)):
            progress = (epoch + step / steps) / recipe.epochs
            loss = (network(inputs[rows]) - targets[rows]).square().mean((1, 2)) + chosen.penalty(network, progress)
            if recipe.decay:
                loss = loss + recipe.decay / 2 * sum(layer.matrix.square().sum((1, 2)) for layer in network.maps)
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            chosen.after_step(network, progress)
        if epoch + 1 == recipe.epochs or (epoch >= first and epoch % every == 0):
            found = validate()
            better = found < best
            best = torch.where(better, found, best)
            for old, new in zip(kept, network.parameters(), strict=True):
                old[better] = new.detach()[better]
    with torch.no_grad():
        for value, new in zip(network.parameters(), kept, strict=True):
            value.copy_(new)
        leanings = Leanings(network)
        found = leanings(network)
        size = torch.stack([layer.effective().square().sum((1, 2)) for layer in network.maps]).sum(0)
    errors = {part: mean_squared(network, task.sets, part) for part in task.sets if part != "train"}
    spent = time.process_time() - begun
    return Outcome(name, errors, found, leanings.shares, size, chosen.summary(), network, recipe.epochs, spent)


@torch.no_grad()
def predict(network: RelaxedPerceptron, inputs: Tensor) -> Tensor:
    """(S, rows, dim_out) of inputs (rows, dim_in), every copy."""
    copies = len(network.maps[0].matrix)
    return torch.cat([network(part.expand(copies, -1, -1)) for part in inputs.split(1000)], dim=1)


def mean_squared(network: RelaxedPerceptron, sets: Sets, part: str) -> Tensor:
    """(S,) mean squared error on one of the sets."""
    inputs, targets = sets[part]
    return (predict(network, inputs) - targets).square().mean((1, 2))
