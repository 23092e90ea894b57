"""What every method of relaxation is made of: levels, prices, and the two together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from forecasting.errors import UsageError
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.base import Forecaster, Hypotheses
from forecasting.models.relaxed import relaxed_layers


@dataclass(frozen=True)
class Moment:
    """What a price may look at in a training step.

    Attributes:
        model: being trained; batch: of this step; schema: of its graphs.
        forecast: of the batch; loss: of a forecast and a batch.
        progress: share of training done, from 0 to 1.
    """

    model: Forecaster
    batch: GraphBatch
    schema: GraphSchema
    forecast: Hypotheses
    loss: Callable[[Hypotheses, GraphBatch], Tensor]
    progress: float


class Levels(nn.Module, ABC):
    """Who sets γ.

    Attributes:
        learns: whether the optimiser moves γ.
        deployed: dial of the model that is validated and packaged: 1 is the full network, 0 the strict one.
    """

    learns: bool = False
    deployed: float = 1.0

    @abstractmethod
    def dial(self, progress: float) -> float:
        """Factor on every γ of the model at this share of training."""


class Price(nn.Module, ABC):
    """What a level costs; its buffers (duals, strengths) are saved with the run and continued."""

    def attach(self, model: Forecaster) -> None:
        """Make buffers that depend on the model's layers; called once, before training."""

    @abstractmethod
    def forward(self, moment: Moment) -> Tensor:
        """() added to the loss."""

    def after_step(self, model: Forecaster, progress: float) -> None:
        """Called when the weights have moved."""

    def trace(self, model: Forecaster) -> dict[str, float]:
        """What to log, by name."""
        return {}


class Relaxation(nn.Module):
    """A method: levels and prices, and perhaps what it does to batches.

    Args:
        name: of the method.
        levels: who sets γ; None for a strict network, which has none.
        prices: what they cost.
        chain: of groups along which maps are split.
        gamma: optimiser of γ, ``optimizer`` and ``learning_rate``; None leaves γ to the main one.
    """

    def __init__(
        self,
        name: str,
        levels: Levels | None,
        prices: Sequence[Price] = (),
        chain: Sequence[str] = (),
        gamma: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.name, self.chain, self.gamma = name, tuple(chain), gamma
        self.levels = levels
        self.prices = nn.ModuleList(prices)

    def attach(self, model: Forecaster) -> None:
        """Make ready for a model.

        Raises:
            UsageError: if the method relaxes and the model has nothing to relax.
        """
        layers = relaxed_layers(model)
        if self.levels is not None and not layers:
            raise UsageError(f"relaxation '{self.name}' needs relaxed layers, and {type(model).__name__} has none")
        for layer in layers.values():
            layer.gamma.requires_grad_(self.levels is not None and self.levels.learns)
        for price in self._prices():
            price.attach(model)

    def chain_for(self, dim: int) -> tuple[str, ...]:
        """Groups along which the maps of a model for data of this dimension are split; none for a strict network."""
        if self.levels is None:
            return ()
        return self.chain or (("O(3)",) if dim == 3 else ("C∞v(z)",))

    def final_chain(self) -> tuple[str, ...] | None:
        """The chain of the trained model, where it is not that of the beginning."""
        return None

    def before_step(self, model: Forecaster, progress: float, validate: Callable[[], float]) -> bool:
        """Set the levels of this step.

        Args:
            model: being trained; progress: share of training done; validate: loss of the model as it is on validation data.

        Returns:
            whether the parameters changed their meaning, so that averages begin again.
        """
        if self.levels is not None:
            for layer in relaxed_layers(model).values():
                layer.dial.fill_(self.levels.dial(progress))
        return False

    def follow(self, model: Forecaster) -> None:
        """Give a model the split of this moment: one that was just loaded, or an average."""

    def prepared(self, batch: GraphBatch, schema: GraphSchema) -> GraphBatch:
        """The batch to learn from."""
        return batch

    def penalty(self, moment: Moment) -> Tensor:
        """() added to the loss."""
        costs = [price(moment) for price in self._prices()]
        return torch.stack(costs).sum() if costs else moment.forecast.displacement.new_zeros(())

    def after_step(self, model: Forecaster, progress: float) -> None:
        """Move the duals."""
        with torch.no_grad():
            for price in self._prices():
                price.after_step(model, progress)

    @property
    def deployed(self) -> float:
        """Dial of the model that is validated and packaged."""
        return 1.0 if self.levels is None else self.levels.deployed

    def may_keep(self, progress: float) -> bool:
        """Whether weights of this moment may become the best: not before the method has done its work."""
        return True

    @torch.no_grad()
    def trace(self, model: Forecaster) -> dict[str, float]:
        """Levels, sizes and the state of the prices, by name."""
        found: dict[str, float] = {}
        for name, layer in relaxed_layers(model).items():
            for step, (gamma, size) in enumerate(zip(layer.gammas.tolist(), layer.sizes().tolist(), strict=True), start=1):
                found |= {f"gamma/{name}/{step}": gamma * float(layer.dial), f"c/{name}/{step}": abs(gamma) * size}
        for price in self._prices():
            found |= price.trace(model)
        return found

    def duals(self, model: Forecaster) -> dict[str, list[float]]:
        """Name of a layer -> λ of each of its steps, as they were moved last; empty for methods without duals."""
        found: dict[str, list[float]] = {}
        for name, value in self.trace(model).items():
            kind, _, layer = name.partition("/")
            if kind == "dual":
                found.setdefault(layer.rpartition("/")[0], []).append(value)
        return found

    def _prices(self) -> list[Price]:
        return [price for price in self.prices if isinstance(price, Price)]
