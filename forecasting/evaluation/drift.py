"""How forecasts drift when they are fed back as input, beyond the horizon that the model was trained for."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, NumericalError
from forecasting.evaluation._ledger import NAMES, Ledger
from forecasting.evaluation.robustness import chunks, spread
from forecasting.inference.feedback import DIFFERENCES, MEAN_VELOCITIES, advance_of, fed_back, likeliest
from forecasting.inference.predictor import Predictor
from forecasting.packages.package import Package
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.simulators.conserved import Conserved
from forecasting.trajectories.simulators.provenance import conserved_of
from forecasting.trajectories.windows import Bool, Int, WindowBatch

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]
ROUNDS = 10
LIMIT = 64


def drift(
    package: Package,
    dataset: Dataset,
    anchors: Int,
    *,
    rounds: int = ROUNDS,
    limit: int = LIMIT,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Errors and lost energy of forecasts that go on from themselves, `rounds` times; of several hypotheses, the likeliest.

    See `fed_back` for what becomes of nodes and fields.

    Args:
        package: the model; dataset: in its unit and frame.
        anchors: (W, 2) scene and frame.
        rounds: forecasts one after the other.
        limit: at most so many windows, spread evenly.
        device: where to compute.
        progress: called with the number of forecasts of windows done, and of all.

    Returns:
        plain values, ``rollout``: ``time`` [s] after the anchor, ``error`` [unit²] (None where there is no truth),
        ``baseline`` of constant velocity, ``positions`` scored, and ``energy``, ``momentum``, ``angular_momentum``: relative
        changes (see `Ledger`; None where the world does not declare them or no velocities are known), the same with
        ``_of_truth`` for forecasts without error, whose velocities are differences as well; ``velocities``, ``ended`` and
        ``provided`` in words. Or ``failed``, in words, where forecasts cannot be fed back.

    Raises:
        DataError: if there is no window.
    """
    spec, chosen = package.window, spread(anchors, limit)
    if not len(chosen):
        raise DataError(f"{dataset.folder} has no window to forecast from")
    advance = advance_of(spec)
    if advance is None:
        return {
            "failed": f"the model sees {spec.history} frames but forecasts only the steps {', '.join(map(str, spec.horizon))}: "
            "its forecasts make no history to go on from"
        }
    model, measured = Predictor(package, device), "velocity" in package.fields
    moving = measured or spec.history > 1
    conserved = (conserved_of(dataset.manifest.provenance) if moving else None) or Conserved()
    found, ideal, errors = Ledger(conserved, rounds), Ledger(conserved, rounds), _Errors(rounds, package.schema.dim)
    reached, ended, done = rounds, "", 0
    for windows in chunks(dataset, package, chosen):
        state = perfect = windows
        every = whole = np.ones(len(windows), dtype=bool)
        found.start(windows)
        ideal.start(windows)
        for number, truth in enumerate(_truths(dataset, package, windows, advance, rounds)):
            try:
                positions = likeliest(model.answers(state), state)
            except NumericalError as error:
                if number < reached:
                    reached, ended = number, str(error)
                break
            state = fed_back(state, spec, advance, positions, measured)
            perfect = fed_back(perfect, spec, advance, truth.future, measured)
            errors.add(number, windows, state, truth.future[:, spec.horizon.index(advance)], _valid(truth, package, advance))
            whole = whole & _whole(truth)
            found.add(number, state, every)
            ideal.add(number, perfect, whole)
            done += len(windows)
            if progress:
                progress(done, rounds * len(chosen))
    step = advance * spec.step * package.dt
    return {
        "rollout": {
            "time": [(number + 1) * step for number in range(reached)],
            **errors.summary(reached),
            **{name: found.summary(name, reached) for name in NAMES},
            **{f"{name}_of_truth": ideal.summary(name, reached) for name in NAMES},
        },
        "velocities": MEAN_VELOCITIES if measured else DIFFERENCES,
        "ended": ended,
        "provided": conserved.provided,
        "windows": len(chosen),
    }


class _Errors:
    """Sums of squared distances from the truth, per round."""

    def __init__(self, rounds: int, dim: int) -> None:
        self.dim = dim
        self.model, self.simple, self.count = np.zeros((3, rounds))

    def add(self, number: int, start: WindowBatch, now: WindowBatch, truth: Float, valid: Bool) -> None:
        time = (now.anchor_time - start.anchor_time)[start.window_of_node]
        simple = start.position[:, -1] + start.velocity[:, -1] * time[:, None]
        self.model[number] += ((now.position[:, -1] - truth) ** 2)[valid].sum()
        self.simple[number] += ((simple - truth) ** 2)[valid].sum()
        self.count[number] += valid.sum()

    def summary(self, rounds: int) -> dict[str, list[Any]]:
        def mean(sums: Float) -> list[float | None]:
            pairs = zip(sums[:rounds], self.count[:rounds], strict=True)
            return [float(value / count / self.dim) if count else None for value, count in pairs]

        return {
            "error": mean(self.model),
            "baseline": mean(self.simple),
            "positions": [int(count) for count in self.count[:rounds]],
        }


def _truths(dataset: Dataset, package: Package, windows: WindowBatch, advance: int, rounds: int) -> Iterator[WindowBatch]:
    """The windows with the true future that each round is about."""
    spec, at = package.window, np.stack([windows.scene, windows.anchor], axis=1)
    for number in range(rounds):
        ahead = tuple(number * advance + step for step in spec.horizon)
        yield dataset.windows(replace(spec, history=1, horizon=ahead, score="any"), at)


def _valid(truth: WindowBatch, package: Package, advance: int) -> Bool:
    return truth.future_valid[:, package.window.horizon.index(advance)]


def _whole(truth: WindowBatch) -> Bool:
    """(W,) whether the future of every node is known."""
    missing = np.bincount(truth.window_of_node, (~truth.future_valid).any(axis=1), minlength=len(truth))
    return missing == 0
