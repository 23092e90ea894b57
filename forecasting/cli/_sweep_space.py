"""What a sweep may vary, and whether the program knows it."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from forecasting.errors import UsageError, did_you_mean
from forecasting.plain import call


class Drawn(Protocol):
    """What draws values: an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """From low to high, both included."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """From low to high."""


@dataclass(frozen=True)
class Choices:
    """One of several values, each as KEY=VALUE."""

    texts: tuple[str, ...]

    def draw(self, trial: Drawn, key: str) -> str:
        """One as KEY=VALUE."""
        return str(trial.suggest_categorical(key, self.texts))

    @property
    def ends(self) -> tuple[str, ...]:
        """All of them."""
        return self.texts


@dataclass(frozen=True)
class Range:
    """A number between two others; whole where both are.

    Args:
        key: of the configuration; low, high: both included; log: spread over orders of magnitude; step: between numbers.
    """

    key: str
    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (self.low, self.high)):
            raise UsageError(f"sweep.space: {self.key} has low {self.low!r} and high {self.high!r}; both are numbers")
        if not self.low < self.high:
            raise UsageError(f"sweep.space: {self.key} goes from low {self.low} to high {self.high}; low must be less than high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise UsageError(f"sweep.space: {self.key} has log: true, so low must be positive (found {self.low}), without a step")

    def draw(self, trial: Drawn, key: str) -> str:
        """One as KEY=VALUE."""
        if isinstance(self.low, int) and isinstance(self.high, int) and (self.step is None or isinstance(self.step, int)):
            return f"{key}={trial.suggest_int(key, self.low, self.high, step=self.step or 1, log=self.log)}"
        return f"{key}={trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log):.6g}"

    @property
    def ends(self) -> tuple[str, ...]:
        """The smallest and the largest."""
        return f"{self.key}={self.low!r}", f"{self.key}={self.high!r}"


Space = Mapping[str, Choices | Range]


def parse_space(plain: Any) -> Space:
    """A space from what a user wrote.

    Raises:
        UsageError: if nothing may vary, or something is neither a list of choices nor a range.
    """
    from forecasting.cli.configuration import as_overrides

    if not isinstance(plain, Mapping) or not plain:
        raise UsageError(
            "sweep.space must say what may vary, for instance "
            "'sweep.space={training.learning_rate: {low: 1e-4, high: 1e-2, log: true}, model.arguments.hidden: [32, 64]}'"
        )
    space: dict[str, Choices | Range] = {}
    for key, about in plain.items():
        if isinstance(about, Mapping):
            space[key] = call(Range, {"key": key, **about}, f"sweep.space: {key}")
        elif isinstance(about, list) and about:
            space[key] = Choices(tuple(as_overrides({key: value})[0] for value in about))
        else:
            raise UsageError(f"sweep.space: {key} is a list of choices or {{low: …, high: …}}, found {about!r}")
    return space


def check_space(space: Space, overrides: Sequence[str]) -> None:
    """Compose every choice, and both ends of every range, before anything is trained.

    Raises:
        UsageError: names a key or a choice that nobody knows, and the nearest that somebody does, or a setting of the training
            that is out of range.
    """
    from forecasting.cli.configuration import compose
    from forecasting.training.settings import TrainingSettings

    given = {item.partition("=")[0] for item in overrides}
    twice = sorted(given & space.keys())
    if twice:
        raise UsageError(f"{twice[0]} is given and in sweep.space; leave it to one of them")
    for combination in _combinations(space):
        try:
            config = compose([*overrides, *combination])
            _check_arguments(config)
            TrainingSettings.of(config["training"], config["seed"])
        except UsageError as error:
            raise UsageError(f"a trial with {' '.join(combination)} cannot be: {error}") from None


def _combinations(space: Space) -> Iterator[list[str]]:
    """All choices of groups with each other; of the other keys, each value once, beside the first ones of the rest."""
    groups = [key for key in space if "." not in key]
    rest = [key for key in space if key not in groups]
    for chosen in itertools.product(*(space[key].ends for key in groups)):
        first = [space[key].ends[0] for key in rest]
        yield [*chosen, *first]
        for index, key in enumerate(rest):
            for text in space[key].ends[1:]:
                yield [*chosen, *first[:index], text, *first[index + 1 :]]


def _check_arguments(config: Mapping[str, Any]) -> None:
    """Arguments that the configuration leaves open and their takers refuse."""
    import inspect

    from forecasting.graphs.topology import TOPOLOGIES
    from forecasting.models.base import MODELS

    tables: dict[str, Any] = {"model": MODELS, "graph": TOPOLOGIES}
    for room, table in tables.items():
        known = set(inspect.signature(table[config[room]["name"]]).parameters) - {"schema"}
        for key in config[room]["arguments"]:
            if key not in known:
                name = config[room]["name"]
                raise UsageError(f"{room} '{name}' has no argument {room}.arguments.{key}; {did_you_mean(key, known)}")
