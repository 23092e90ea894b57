"""Kept, broken, or cannot tell: ratios of paired errors, their intervals, and Holm's correction over several questions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.float32]
KEPT, BROKEN, UNKNOWN = "kept", "broken", "cannot tell"
LIMIT = 1.02
"""Ratio of errors from which a group counts as broken."""
RESAMPLES = 4_000
LEVEL = 0.025
"""Of each one-sided question, so that a verdict goes with a 95 % interval."""
BLOCK = 100
REMEMBERED = 20_000_000
"""Counts that are kept for the next question, in numbers."""


@dataclass(frozen=True)
class Ratio:
    """Error of a restricted network over that of the free one, on the same scenes.

    Attributes:
        value: ratio of the means; low, high: 95 % bootstrap interval by scene.
        kept, broken: p-values of "the ratio is at least `LIMIT`" and "at most `LIMIT`".
    """

    value: float
    low: float
    high: float
    kept: float
    broken: float

    def plain(self) -> dict[str, float]:
        """Value and interval, for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


def compare(errors: Mapping[str, Array], free: Array, seed: int) -> dict[str, Ratio]:
    """Ratios of the mean errors per scene (S,) of several networks to those of the free one, from common resamples of scenes."""
    stacked = np.stack([free, *errors.values()], axis=1)
    drawn = np.concatenate([counts @ stacked / len(free) for counts in _resamples(len(free), seed)])
    ratios = drawn[:, 1:] / np.maximum(drawn[:, :1], np.finfo(float).tiny)
    whole = stacked.mean(0)
    found = {}
    for index, name in enumerate(errors):
        ratio = ratios[:, index]
        low, high = np.quantile(ratio, [0.025, 0.975])
        kept, broken = (1 + (ratio >= LIMIT).sum()) / (1 + len(ratio)), (1 + (ratio <= LIMIT).sum()) / (1 + len(ratio))
        found[name] = Ratio(float(whole[index + 1] / max(whole[0], 1e-300)), float(low), float(high), float(kept), float(broken))
    return found


def _resamples(scenes: int, seed: int) -> Iterable[Counts]:
    """How often each resample takes each scene: `RESAMPLES` rows of (…, S) in all; remembered unless they are large."""
    return _remembered(scenes, seed) if scenes * RESAMPLES <= REMEMBERED else _drawn(scenes, seed)


@lru_cache(maxsize=1)
def _remembered(scenes: int, seed: int) -> tuple[Counts, ...]:
    return tuple(_drawn(scenes, seed))


def _drawn(scenes: int, seed: int) -> Iterator[Counts]:
    rng = np.random.default_rng(seed)
    for _ in range(0, RESAMPLES, BLOCK):
        taken = rng.integers(scenes, size=(BLOCK, scenes), dtype=np.int32)
        taken += scenes * np.arange(BLOCK, dtype=np.int32)[:, None]
        yield np.bincount(taken.ravel(), minlength=BLOCK * scenes).reshape(BLOCK, scenes).astype(np.float32)


def decide(ratios: Mapping[str, Ratio], questions: int) -> dict[str, str]:
    """Name -> verdict, by Holm's method: the clearest answer is held to the strictest level, then the next.

    Args:
        ratios: of the groups asked; questions: number of groups that would have been asked had none followed from another.
    """
    order = sorted(ratios, key=lambda name: min(ratios[name].kept, ratios[name].broken))
    found, stopped = {}, False
    for rank, name in enumerate(order):
        ratio = ratios[name]
        stopped = stopped or min(ratio.kept, ratio.broken) > LEVEL / max(questions - rank, 1)
        found[name] = UNKNOWN if stopped else KEPT if ratio.kept < ratio.broken else BROKEN
    return found
