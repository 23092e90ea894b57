"""Forecasts fed back as the next history."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forecasting.inference.answers import Answers
from forecasting.trajectories.kinematics import backward_velocity
from forecasting.trajectories.windows import WindowBatch, WindowSpec

Float = NDArray[np.float64]
MEAN_VELOCITIES = (
    "velocities are measured in the data but not forecast: those fed back are mean velocities between forecast positions"
)
DIFFERENCES = "velocities are differences of positions, before and after"


def advance_of(spec: WindowSpec) -> int | None:
    """Steps by which the anchor can move on, the most there are: a horizon step whose whole history is seen or forecast."""
    known = {*range(1 - spec.history, 1), *spec.horizon}
    return next((step for step in reversed(spec.horizon) if set(range(step + 1 - spec.history, step + 1)) <= known), None)


def fed_back(windows: WindowBatch, spec: WindowSpec, advance: int, positions: Float, measured: bool) -> WindowBatch:
    """The windows `advance` steps later, their history partly forecast; the future is not kept.

    Nodes stay those of the anchor; fields stay as they were there, but for declared ones, which follow the positions.

    Args:
        windows: cut with `spec`, or fed back before.
        spec: which frames; advance: of `advance_of`.
        positions: (M, H, D) forecast.
        measured: whether velocities are; if so, forecast frames get the mean velocity since the frame known before them.
    """
    of_step = dict(zip(spec.horizon, np.moveaxis(positions, 1, 0), strict=True))
    seen = list(range(advance + 1 - spec.history, advance + 1))
    last = spec.history - 1
    position = np.stack([of_step[step] if step > 0 else windows.position[:, last + step] for step in seen], axis=1)
    valid = np.stack([_known(windows, last, step) for step in seen], axis=1)
    step_time = (windows.lead[:, 0] / spec.horizon[0])[windows.window_of_node]
    if measured:
        of_step[0] = windows.position[:, -1]
        before = {step: max(other for other in of_step if other < step) for step in spec.horizon}
        mean = {step: (of_step[step] - of_step[at]) / (step_time[:, None] * (step - at)) for step, at in before.items()}
        velocity = np.stack([mean[step] if step > 0 else windows.velocity[:, last + step] for step in seen], axis=1)
        velocity_valid = valid
    else:
        velocity, velocity_valid = backward_velocity(position, valid, step_time)
    return replace(
        windows,
        anchor=windows.anchor + advance * spec.step,
        anchor_time=windows.anchor_time + advance * windows.lead[:, 0] / spec.horizon[0],
        position=position,
        position_valid=valid,
        velocity=velocity,
        velocity_valid=velocity_valid,
        fields={**windows.fields, **{one.name: one.at(position[:, -1]) for one in spec.declared}},
        future=np.zeros_like(windows.future),
        future_valid=np.zeros_like(windows.future_valid),
    )


def likeliest(answers: Answers, windows: WindowBatch) -> Float:
    """(M, H, D) of the hypotheses of each window the one of largest weight."""
    best = answers.weights.argmax(axis=1)[windows.window_of_node]
    chosen: Float = answers.positions[np.arange(len(best)), best]
    return chosen


def _known(windows: WindowBatch, last: int, step: int) -> NDArray[np.bool_]:
    return np.ones(len(windows.node), dtype=bool) if step > 0 else windows.position_valid[:, last + step]
