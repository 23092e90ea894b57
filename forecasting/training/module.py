"""The Lightning module: one step of learning, exact validation, and all state that a continued run needs."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from forecasting.errors import NumericalError, UsageError
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.models.base import Forecaster, Hypotheses
from forecasting.models.relaxed import dialled
from forecasting.objectives.losses import LOSSES, mean_cost
from forecasting.plain import call
from forecasting.relaxation.base import Moment
from forecasting.training.problem import Problem
from forecasting.training.ranks import Alone
from forecasting.training.settings import OPTIMIZERS, ExtraOptimizer, TrainingSettings


class TrainingModule(lightning.LightningModule):
    """Learns a forecaster.

    The random state of part p of step k is a function of (seed, p, k); the learning rate is a function of k. A batch consists of
    `accumulate` parts in each process, numbered through all processes, so that P processes with one part each do what one process
    with P parts does. What is saved: weights, their average, every optimiser, the state of the relaxation, the step, the best
    validation loss and its weights.

    Args:
        problem: what to learn; settings: how; steps: in all; ranks: the processes that learn together.
    """

    step: Tensor

    def __init__(self, problem: Problem, settings: TrainingSettings, steps: int, ranks: Alone | None = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.problem, self.settings, self.steps = problem, settings, steps
        self.ranks = ranks or Alone()
        self.model = problem.model
        self.relaxation = problem.relaxation
        self.average = AveragedModel(self.model, multi_avg_fn=_warm_average(settings.ema_decay)) if settings.ema_decay else None
        if self.average is not None:
            self.average.requires_grad_(False)
        self.loss = LOSSES[settings.loss]
        self.register_buffer("step", torch.zeros((), dtype=torch.long))
        self.best_weights: dict[str, Tensor] = {}
        self.train_loss = float("nan")

    @property
    def deployed(self) -> Forecaster:
        """The model that is validated and packaged: the average where one is kept, else the model itself."""
        average: Any = self.average
        return self.model if average is None or not int(average.n_averaged) else average.module

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The main optimiser, then the extra ones; every parameter belongs to exactly one."""
        left = dict(self.model.named_parameters())
        left |= {f"relaxation.{name}": value for name, value in self.relaxation.named_parameters()}
        extra = []
        wanted = dict(self.settings.extra_optimizers)
        if self.relaxation.gamma:
            wanted["gamma"] = call(ExtraOptimizer, {"pattern": r"\.gamma$", **self.relaxation.gamma}, "relaxation.gamma")
        for name, about in wanted.items():
            taken = [key for key in left if re.search(about.pattern, key)]
            if not taken:
                raise UsageError(f"training.extra_optimizers.{name}: no parameter matches '{about.pattern}'")
            kind = getattr(torch.optim, OPTIMIZERS[about.optimizer])
            extra.append(kind([left.pop(key) for key in taken], lr=about.learning_rate))
        kind = getattr(torch.optim, OPTIMIZERS[self.settings.optimizer])
        main = kind(list(left.values()), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay)
        return [main, *extra]

    def on_train_start(self) -> None:
        """A run that goes on may have split its maps anew before."""
        self._follow()

    def training_step(self, batch: GraphBatch, index: int) -> None:
        """One step; see the class."""
        step = int(self.step)
        self._seed(0, step)
        wrapped: Any = self.optimizers()
        optimizers = wrapped if isinstance(wrapped, list) else [wrapped]
        rate = self.settings.rate(step, self.steps)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * rate
            optimizer.zero_grad()
        progress = step / self.steps
        if self.relaxation.before_step(self.model, progress, self._validate_model):
            self._begin_again()
        batch = self.relaxation.prepared(batch, self.problem.builder.schema)
        loss, fault = self._backward(batch, step, progress)
        loss = self.ranks.join_gradients(self._moved(), loss, fault, lambda value: self._blame(batch, step, value))
        self._clip(batch, step)
        optimizers[0].step()
        for optimizer in optimizers[1:]:
            optimizer.optimizer.step()  # the bare optimiser, so that Lightning counts one step per batch
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.relaxation.after_step(self.model, (step + 1) / self.steps)
        self.step += 1
        self.train_loss = loss

    def _backward(self, batch: GraphBatch, step: int, progress: float) -> tuple[float, float | None]:
        """Add the gradient of loss and penalty to the parameters, part by part where `accumulate` says so.

        Each part has the share of scored positions that it holds of the step's, over all processes; so has its penalty.

        Returns:
            the loss of this process's share, and what a loss became that left the finite numbers.
        """
        (whole,) = self.ranks.total(float(batch.target_valid.sum()))
        parts = list(self._parts(batch))
        worth = self._worth(parts, whole)
        loss = 0.0

        def cost(forecast: Hypotheses, of: GraphBatch) -> Tensor:
            return self.loss(forecast, of, self.problem.builder.schema.dim, worth)

        for number, part, scored in parts:
            index = self.ranks.rank * self.settings.accumulate + number
            if index:
                self._seed(index, step)
            forecast = self.model(part)
            moment = Moment(self.model, part, self.problem.builder.schema, forecast, cost, progress)
            of_part = cost(forecast, part)
            total = scored / whole * (of_part + self.relaxation.penalty(moment))
            if not torch.isfinite(total):
                return loss, float(total.detach())
            self.manual_backward(total)
            loss += scored / whole * float(of_part.detach())
        return loss, None

    def _worth(self, parts: Sequence[tuple[int, GraphBatch, float]], whole: float) -> float | None:
        """Mean cost of a position in the whole step, where it has several parts and its hypotheses' weights learn by that.

        It is known when all parts have been forecast, and each forecast is forgotten before the next part comes, so this
        forecasts them once more.
        """
        if self.model.ending.count == 1 or self.settings.accumulate * self.ranks.world == 1:
            return None
        cost = 0.0
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for _, part, scored in parts:
                forecast = self.model(part)
                cost += scored * float(mean_cost(self.loss, forecast, part, self.problem.builder.schema.dim))
        return self.ranks.total(cost)[0] / max(whole, 1.0)

    def _parts(self, batch: GraphBatch) -> Iterator[tuple[int, GraphBatch, float]]:
        """Number, graphs and scored positions of each part that has any."""
        for number, part in enumerate(_parts(batch, self.settings.accumulate, self.problem.builder.schema)):
            scored = float(part.target_valid.sum())
            if scored:
                yield number, part, scored

    def _seed(self, part: int, step: int) -> None:
        torch.manual_seed((self.settings.seed * 1_000_003 + part) * 1_000_003 + step)

    def _moved(self) -> list[nn.Parameter]:
        return [value for value in self.parameters() if value.requires_grad]

    def _begin_again(self) -> None:
        """Forget averages."""
        self._follow()
        if self.average is not None:
            self.average.n_averaged.zero_()

    def _follow(self) -> None:
        average: Any = self.average
        for model in [self.model] if average is None else [self.model, average.module]:
            self.relaxation.follow(model)

    def _validate_model(self) -> float:
        return self._validated(self.model)

    def validation_loss(self) -> float:
        """Loss of the deployed model over the whole validation set, each scored position counting once."""
        with dialled(self.deployed, self.relaxation.deployed):
            return self._validated(self.deployed)

    @torch.no_grad()
    def _validated(self, model: Forecaster) -> float:
        problem = self.problem
        was_training = model.training
        model.eval()
        total = count = 0.0
        windows = len(problem.anchors["validation"])
        size = max(self.settings.batch_size, 64)
        for first in range(self.ranks.rank * size, windows, self.ranks.world * size):
            batch = problem.batch("validation", list(range(first, min(first + size, windows)))).to(self.device)
            scored = float(batch.target_valid.sum())
            total += float(self.loss(model(batch), batch, problem.builder.schema.dim)) * scored
            count += scored
        model.train(was_training)
        total, count = self.ranks.total(total, count)
        return total / max(count, 1.0)

    def keep_best(self) -> None:
        """Remember the deployed weights as the best so far."""
        with dialled(self.deployed, self.relaxation.deployed):
            self.best_weights = {name: value.detach().cpu().clone() for name, value in self.deployed.state_dict().items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the best weights."""
        checkpoint["best_weights"] = self.best_weights

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Take the best weights back."""
        self.best_weights = dict(checkpoint["best_weights"])

    def _clip(self, batch: GraphBatch, step: int) -> None:
        parameters = [value for value in self._moved() if value.grad is not None]
        limit = self.settings.clip_norm if self.settings.clip_norm is not None else float("inf")
        norm = nn.utils.clip_grad_norm_(parameters, limit)
        if not torch.isfinite(norm):
            raise NumericalError(self._blame(batch, step, float(norm)))

    def _blame(self, batch: GraphBatch, step: int, value: float) -> str:
        names = self.problem.dataset.scenes
        windows = [f"{names[scene]}@{anchor}" for scene, anchor in batch.window[:5].tolist()]
        more = f" and {batch.num_graphs - 5} more" if batch.num_graphs > 5 else ""
        return (
            f"step {step}: the loss or its gradient became {value} on the batch of scene@frame {', '.join(windows)}{more}; the "
            "weights were left as they were. Lower training.learning_rate, set training.clip_norm, or look at these scenes with "
            "`forecast inspect`"
        )


def _parts(batch: GraphBatch, count: int, schema: GraphSchema) -> Iterator[GraphBatch]:
    """The batch, or `count` parts of about as many graphs each."""
    if count == 1:
        yield batch
        return
    for graphs in torch.arange(batch.num_graphs, device=batch.ptr.device).tensor_split(min(count, batch.num_graphs)):
        yield batch.select(graphs, schema)


def _warm_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential average whose decay starts small, min(decay, (1 + n) / (10 + n)), so that first weights are soon forgotten."""

    def update(averaged: Any, current: Any, count: Any) -> None:
        weight = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(averaged, current, weight)

    return update
