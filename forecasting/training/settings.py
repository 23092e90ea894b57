"""How to train, as plain values; `configs/training/default.yaml` documents each."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from forecasting.errors import UsageError
from forecasting.objectives.losses import LOSSES
from forecasting.plain import call, pick

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
SCHEDULES = ("none", "cosine")
LOGGERS = ("csv", "tensorboard", "wandb", "mlflow", "none")
PRECISIONS = ("32", "64", "bf16-mixed")
STRATEGIES = ("auto", "ddp")
WHOLE = {
    **dict.fromkeys(("epochs", "batch_size", "accumulate", "validate_every", "checkpoint_every_steps", "devices", "nodes"), 1),
    "warmup_steps": 0,
}
"""Settings that are whole numbers, and the least that each may be."""
MAY_CHANGE = ("epochs", "patience", "max_time_s", "logger", "checkpoint_every_steps", "accelerator")


@dataclass(frozen=True)
class ExtraOptimizer:
    """A second optimiser for the parameters whose name matches a regular expression (γ by SGD, for instance)."""

    pattern: str
    optimizer: str = "sgd"
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        pick(OPTIMIZERS, self.optimizer, "training.extra_optimizers optimizer")
        _positive("training.extra_optimizers learning_rate", self.learning_rate)


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; see `configs/training/default.yaml`."""

    epochs: int = 100
    batch_size: int = 64
    accumulate: int = 1
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_steps: int = 0
    clip_norm: float | None = 1.0
    ema_decay: float | None = None
    loss: str = "mse"
    validate_every: int = 1
    patience: int | None = None
    precision: str = "32"
    accelerator: str = "cpu"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    max_time_s: float | None = None
    checkpoint_every_steps: int = 200
    extra_optimizers: Mapping[str, ExtraOptimizer] = field(default_factory=dict)
    logger: str = "csv"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in WHOLE.items():
            _whole(f"training.{name}", getattr(self, name), least)
        for name in ("learning_rate", "clip_norm", "max_time_s"):
            _positive(f"training.{name}", getattr(self, name), null=name != "learning_rate")
        if self.patience is not None:
            _whole("training.patience", self.patience, 1)
        if not (_is_number(self.weight_decay) and self.weight_decay >= 0):
            raise UsageError(f"training.weight_decay must be a number of at least 0, found {self.weight_decay!r}")
        pick(OPTIMIZERS, self.optimizer, "training.optimizer")
        pick(LOSSES, self.loss, "training.loss")
        names = {"schedule": SCHEDULES, "logger": LOGGERS, "precision": PRECISIONS, "strategy": STRATEGIES}
        for name, known in names.items():
            pick(dict.fromkeys(known), getattr(self, name), f"training.{name}")
        if self.ema_decay is not None and not (_is_number(self.ema_decay) and 0 < self.ema_decay < 1):
            raise UsageError(f"training.ema_decay lies between 0 and 1, or is null, found {self.ema_decay!r}")

    @classmethod
    def of(cls, plain: Mapping[str, Any], seed: int = 0) -> "TrainingSettings":
        """Settings from what a user wrote.

        Raises:
            UsageError: if a key is unknown (names the nearest) or a value is out of range.
        """
        extra = {
            name: call(ExtraOptimizer, about, f"training.extra_optimizers.{name}")
            for name, about in (plain.get("extra_optimizers") or {}).items()
        }
        values = {**plain, "precision": str(plain.get("precision", cls.precision)), "extra_optimizers": extra, "seed": seed}
        return call(cls, values, "training")

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.devices * self.nodes

    def rate(self, step: int, steps: int) -> float:
        """Factor on the learning rate at a step of `steps` in all."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return warm * (0.5 * (1 + math.cos(math.pi * step / steps)) if self.schedule == "cosine" else 1.0)

    def fixed(self) -> dict[str, Any]:
        """What must not change when a run is continued: of devices and nodes, the number of processes in all.

        Under a cosine schedule the number of epochs shapes every step.
        """
        free = {*MAY_CHANGE, "nodes"} - ({"epochs"} if self.schedule == "cosine" else set())
        kept = {key: value for key, value in asdict(self).items() if key not in free}
        return {**kept, "devices": self.world}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, found {value!r}")


def _positive(name: str, value: Any, *, null: bool = False) -> None:
    if not (null and value is None) and not (_is_number(value) and value > 0):
        raise UsageError(f"{name} must be a positive number{' or null' if null else ''}, found {value!r}")
