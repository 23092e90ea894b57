"""Kinds of plain values: what a file must hold where, checked before anything is made of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from forecasting.errors import PackageError, did_you_mean

Kind = Callable[[Any, str], None]
"""Called with a value and its place; raises PackageError where the value is of another kind."""

DEEPEST = 32


def refuse(value: Any, where: str, expected: str) -> PackageError:
    """The error for a value that is not what it should be."""
    return PackageError(f"{where} is {_short(value)}, expected {expected}")


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    def __call__(self, value: Any, where: str) -> None:
        if type(value) is not int or not self.low <= value <= self.high:
            raise refuse(value, where, f"a whole number from {self.low} to {self.high}")


@dataclass(frozen=True)
class Text:
    """Text of at most `longest` characters."""

    longest: int = 4096

    def __call__(self, value: Any, where: str) -> None:
        if not isinstance(value, str) or len(value) > self.longest:
            raise refuse(value, where, f"text of at most {self.longest} characters")


@dataclass(frozen=True)
class ListOf:
    """A list of at most `longest` values of one kind."""

    kind: Kind
    longest: int = 1 << 16

    def __call__(self, value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) > self.longest:
            raise refuse(value, where, f"a list of at most {self.longest} values")
        for index, item in enumerate(value):
            self.kind(item, f"{where}[{index}]")


@dataclass(frozen=True)
class MapOf:
    """Names with values of one kind."""

    kind: Kind
    longest: int = 1 << 12

    def __call__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict) or len(value) > self.longest:
            raise refuse(value, where, f"an object of at most {self.longest} names")
        for name, item in value.items():
            self.kind(item, f"{where}.{name:.80}")


@dataclass(frozen=True)
class Record:
    """Exactly these names, each with a value of its kind."""

    kinds: Mapping[str, Kind]

    def __call__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise refuse(value, where, "an object")
        for name in value:
            if name not in self.kinds:
                raise PackageError(f"{where} has the unknown name '{name:.80}'; {did_you_mean(name[:80], self.kinds)}")
        for name, kind in self.kinds.items():
            if name not in value:
                raise PackageError(f"{where} has no '{name}'")
            kind(value[name], f"{where}.{name}")


@dataclass(frozen=True)
class OrNull:
    """A value of a kind, or null."""

    kind: Kind

    def __call__(self, value: Any, where: str) -> None:
        if value is not None:
            self.kind(value, where)


def number(value: Any, where: str) -> None:
    """A finite number."""
    if type(value) not in (int, float) or not isfinite(value):
        raise refuse(value, where, "a finite number")


def truth(value: Any, where: str) -> None:
    """True or false."""
    if type(value) is not bool:
        raise refuse(value, where, "true or false")


def plain(value: Any, where: str) -> None:
    """Anything JSON can hold, nested at most `DEEPEST` deep."""
    level = [value]
    for _ in range(DEEPEST):
        nested = [each for each in level if isinstance(each, dict | list)]
        level = [item for each in nested for item in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return
    raise PackageError(f"{where} is nested more than {DEEPEST} deep")


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, str):
        return repr(value[:40])
    return str(value)[:40]
