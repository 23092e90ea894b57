"""Forecasts beyond the horizon that a model was trained for: each is fed back as the history of the next."""

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.inference.answers import Answers
from forecasting.inference.feedback import advance_of, fed_back
from forecasting.inference.predictor import Predictor
from forecasting.inference.regions import Interval, Regions
from forecasting.trajectories.windows import WindowBatch, WindowSpec

Float = NDArray[np.float64]
_NAMED = 4


class Rollout(Predictor):
    """Goes on from its own forecasts until a step that may lie far behind the horizon.

    The anchor moves on by the furthest horizon step whose whole history is seen or forecast. Where two rounds forecast one step,
    the earlier counts. Each hypothesis has a way of its own, on which the likeliest forecast is followed. Regions are those of
    the horizon; behind it there are none, since nothing was calibrated there.

    Args:
        inner: what forecasts; steps: the last step, one that can be reached.

    Attributes:
        steps: (H',) steps of the answers, in order.

    Raises:
        UsageError: if its forecasts make no history to go on from, or the step is not reached; names those that are.
    """

    def __init__(self, inner: Predictor, steps: int) -> None:
        self.inner = inner
        self.package, self.device, self.limits = inner.package, inner.device, inner.limits
        self.model, self.builder, self.calibration = inner.model, inner.builder, inner.calibration
        spec = inner.package.window
        self.advance = _advance(spec)
        self._source = _sources(spec, self.advance, steps)
        self.steps = tuple(self._source)
        self._trained = [self.steps.index(step) for step in spec.horizon]

    def answers(self, windows: WindowBatch) -> Answers:
        """See `Predictor.answers`; H' steps, scales only where the model gives them."""
        first = self.inner.answers(windows)
        nodes, hypotheses, _, dim = first.positions.shape
        positions = np.empty((nodes, hypotheses, len(self.steps), dim))
        rounds = 1 + max(number for number, _ in self._source.values())
        for hypothesis in range(hypotheses):
            now, found = windows, first.positions[:, hypothesis]
            for number in range(rounds):
                if number:
                    now = fed_back(now, self.package.window, self.advance, found, "velocity" in self.package.fields)
                    found = self.inner.followed(now, hypothesis)
                for place, (source, index) in enumerate(self._source.values()):
                    if source == number:
                        positions[:, hypothesis, place] = found[:, index]
        return Answers(positions, first.weights, None if first.scale is None else self._widened(first.scale))

    def leads(self, windows: WindowBatch) -> Float:
        """(W, H') [s]."""
        leads = windows.lead[:, :1] / self.package.window.horizon[0] * np.array(self.steps)
        leads[:, self._trained] = windows.lead
        return leads

    def regions(self, answers: Answers, windows: WindowBatch, interval: Interval) -> dict[float, Regions]:
        """See `Predictor.regions`; none behind the horizon."""
        scale = None if answers.scale is None else answers.scale[:, :, self._trained]
        within = Answers(answers.positions[:, :, self._trained], answers.weights, scale)
        found = self.inner.regions(within, windows, interval)
        return {level: each.spread(self._trained, len(self.steps)) for level, each in found.items()}

    def _widened(self, scale: Float) -> Float:
        wide = np.full((*scale.shape[:2], len(self.steps)), np.nan)
        wide[:, :, self._trained] = scale
        return wide


def _advance(spec: WindowSpec) -> int:
    advance = advance_of(spec)
    if advance is None:
        raise UsageError(
            f"the model sees {spec.history} frames but forecasts only the steps {', '.join(map(str, spec.horizon))}: its "
            "forecasts make no history to go on from; leave --steps out"
        )
    return advance


def _sources(spec: WindowSpec, advance: int, last: int) -> dict[int, tuple[int, int]]:
    """Step -> the round that forecasts it, and where in the horizon, for every step that is reached up to `last`.

    Raises:
        UsageError: if `last` is not behind the horizon's end, or is not reached.
    """
    if last <= spec.horizon[-1]:
        raise UsageError(f"--steps {last}: the model forecasts to step {spec.horizon[-1]} by itself; leave --steps out")
    found: dict[int, tuple[int, int]] = {}
    for number in range(last // advance + 1):
        for index, step in enumerate(spec.horizon):
            found.setdefault(number * advance + step, (number, index))
    if last not in found:
        near = sorted(sorted(found, key=lambda step: abs(step - last))[:_NAMED])
        raise UsageError(
            f"--steps {last} is not reached: the model forecasts the steps {', '.join(map(str, spec.horizon))} from an anchor "
            f"that moves on by {advance}; take for instance {', '.join(map(str, near))}"
        )
    return {step: found[step] for step in sorted(found) if step <= last}
