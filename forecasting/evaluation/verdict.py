"""The verdict: which groups the model keeps, and which the data keep, judged from a network that was free to break them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.evaluation._decisions import BROKEN, KEPT, UNKNOWN, Ratio, compare, decide
from forecasting.evaluation._layer_evidence import distances, layer_table
from forecasting.evaluation._motion import observe
from forecasting.evaluation._questions import Question, implied, questions
from forecasting.evaluation._trial import Trial
from forecasting.evaluation._verdict_words import reading, reason
from forecasting.evaluation.coverage import covers
from forecasting.evaluation.residuals import model_residual
from forecasting.evaluation.robustness import spread
from forecasting.models.base import Forecaster
from forecasting.models.relaxed import linear_layers, place_layers, split_layers
from forecasting.packages.package import Package
from forecasting.relaxation.alignment import align, turned
from forecasting.relaxation.restriction import blinded, restricted, strict_group
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.preferred_axis import preferred_axis, preferred_line
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]
TOLD = "the model could not break it: train with relaxation=mixed"
SIZE = 1e-6
"""Σ |M|² below which relaxed maps have no preferred axis."""
ALIGNED = 4
"""Batches of windows on which a network is turned to where it forecasts best."""
PURE = 0.999
"""Share of |M|² about one axis from which a network has no other."""
GROSS, PATIENCE = 1.3, 2
"""Ratio from which a break is plain at once, and how many times as long the second refit is of what is not plain."""
ROUNDS, STILL = 3, 0.2
"""Refits to find the axis of a network that has others, and the change [°] that ends them."""


@dataclass(frozen=True)
class Settings:
    """How a verdict is reached.

    Attributes:
        epochs: of each refit; rate: of its learning rate, as a share of that of training.
        learn, test: most windows to refit on and to compare on; residual: most windows, and draws, of the residuals.
        seed: of draws and resamples.
    """

    epochs: int = 3
    rate: float = 0.3
    learn: int = 2000
    test: int = 2000
    residual: int = 256
    draws: int = 4
    seed: int = 0


def judge(
    package: Package,
    dataset: Dataset,
    test: Int,
    learn: Int,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """A verdict on every group, with its evidence.

    The package's network, free to break every group from here on, and its projections onto each group are refitted alike on
    `learn` and compared on `test`, scene by scene. *kept*: the upper end of the 95 % interval of error(projected) / error(free)
    is below 1.02, and the inputs overlap their moved copies (`coverage`); *broken*: the lower end is above 1.02, and so is that
    of error(free, on moved copies) / error(free); all after Holm's correction over the groups. What follows from another answer
    is not tried: subgroups of a kept group are kept, groups that hold a broken one are broken.

    Args:
        package: the model; dataset: in its unit and frame.
        test, learn: (W, 2) anchors of scenes that must not be the same.
        progress: called with the number of steps done, and of all.

    Returns:
        plain values: ``groups``, ``axis``, ``errors``, ``layers``, ``broken_by``, ``seconds``, ``reading``; see `docs/report.md`.

    Raises:
        DataError: if there are too few scenes to compare.
    """
    start, settings = time.perf_counter(), settings or Settings()
    trial = Trial(package, dataset, spread(test, settings.test), spread(learn, settings.learn), settings, progress)
    bench = _Judge(trial, package.forecaster(), dataset)
    if linear_layers(bench.model):
        bench.ask()
    rows = [bench.row(question, package, settings) for question in bench.asked]
    layers = layer_table(bench.model, package.card.get("duals", {}))
    broken = [row["group"] for row in rows if row["data"] == BROKEN]
    axis = bench.axis.plain() if bench.axis is not None and broken else None
    layer = max(layers, key=lambda row: row["size"], default=None) if broken else None
    return {
        "groups": rows,
        "axis": axis,
        "errors": bench.errors,
        "layers": layers,
        "broken_by": layer["layer"] if layer else None,
        "windows": {"test": len(trial.test), "learn": len(trial.learn)},
        "seconds": time.perf_counter() - start,
        "reading": reading(rows, axis),
    }


@dataclass(frozen=True)
class _Axis:
    """The preferred direction of what a network breaks.

    Attributes:
        vector: (3,) n; degrees: half width of its 95 % interval; share: see `PreferredAxis`; size: Σ |M|².
    """

    vector: Float
    degrees: float | None
    share: float
    size: float

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"vector": self.vector.tolist(), "degrees": self.degrees, "share": self.share, "size": self.size}


class _Judge:
    """Asks one question after the other.

    Attributes:
        model: the package's, turned so that it forecasts best; whole: the same, free, after its refit.
        axis: n, if there is one; asked: the questions; errors: name -> mean squared error per coordinate [unit²].
    """

    def __init__(self, trial: Trial, model: Forecaster, dataset: Dataset) -> None:
        self.trial, self.model = trial, model
        self.motion = observe(dataset, step=trial.window.step)
        self.ratios: dict[str, Ratio] = {}
        self.moved: dict[str, Ratio] = {}
        self.skipped: dict[str, str] = {}
        self.errors: dict[str, float] = {}
        self.axis: _Axis | None = None
        self.asked = questions(trial.dim, None)
        self.questions = 0
        self.whole = model
        self.patient: Float | None = None

    def ask(self) -> None:
        """Refit and compare, until every question is answered or follows from an answer."""
        base = strict_group(self.model)
        self.trial.expect(1 + len(questions(self.trial.dim, np.array([1.0, 0.0, 0.0]))))
        self._align()
        self.whole = restricted(self.model, None)
        free = self.trial.run(self.whole)
        if self.axis is None:
            self.axis = _axis(self.whole)
        self.asked = questions(self.trial.dim, None if self.axis is None else self.axis.vector)
        tried = [question for question in self.asked if self._can_ask(question, base)]
        self.questions = len(tried)
        errors: dict[str, Float] = {}
        answers: list[tuple[Question, str]] = []
        for question in tried:
            if implied(question, answers) is not None:
                self.trial.skip()
                continue
            held = blinded(self.model, question.across()) if question.moves else restricted(self.model, question.group)
            answer, errors[question.name] = self._answer(question, held, free)
            answers.append((question, answer))
        self.errors = {"full": float(free.mean())} | {name: float(found.mean()) for name, found in errors.items()}
        if self.asked[0].name in self.errors:
            self.errors["strict"] = self.errors[self.asked[0].name]

    def _answer(self, question: Question, held: Forecaster, free: Float) -> tuple[str, Float]:
        """The answer and the errors per scene; a break that is not gross must outlast a longer refit of both networks.

        Freedom may help a network that is too small, whatever the direction. So a group counts as broken only if the free network
        also errs more on moved copies of the test windows than on the windows themselves.
        """

        def judged(errors: Float, baseline: Float) -> str:
            (ratio,) = compare({question.name: errors}, baseline, self.trial.settings.seed).values()
            if ratio.broken < ratio.kept:
                moved = self.trial.moved_errors(self.whole, question.group)
                (self.moved[question.name],) = compare({"": moved}, baseline, self.trial.settings.seed).values()
                ratio = replace(ratio, broken=max(ratio.broken, self.moved[question.name].broken))
            self.ratios[question.name] = ratio
            return decide({question.name: ratio}, self.questions)[question.name]

        errors = self.trial.run(held)
        answer = judged(errors, free)
        if answer == KEPT or self.ratios[question.name].value > GROSS:
            return answer, errors
        if self.patient is None:
            self.patient = self.trial.run(self.whole, times=PATIENCE)
        errors = self.trial.run(held, times=PATIENCE)
        return judged(errors, self.patient), errors

    def _align(self) -> None:
        """Take the preferred axis from the network's maps, and turn it to where the network forecasts best.

        A network that breaks nothing else than what SO(2)(n) keeps is turned itself. In another the axis of the maps is rough:
        there the part that SO(2)(n) keeps is refitted and turned, until n stays.
        """
        found = _axis(self.model)
        if found is None or self.trial.dim == 2:
            self.axis = found
            return
        if found.share > PURE:
            alignment = align(self.model, self.trial.learn_graphs[:ALIGNED])
            self.model = turned(self.model, alignment.rotation)
            vector = alignment.rotation @ found.vector
            self.axis = _Axis(vector, alignment.degrees(vector), found.share, found.size)
            return
        vector, degrees = found.vector, None
        for _ in range(ROUNDS):
            group = parse_group(f"SO(2)({','.join(f'{value:.9f}' for value in vector)})")
            alignment = align(self.trial.refitted(restricted(self.model, group), quiet=True), self.trial.learn_graphs[:ALIGNED])
            before, vector = vector, alignment.rotation @ vector
            degrees = alignment.degrees(vector)
            if abs(before @ vector) > np.cos(np.radians(STILL)):
                break
        self.axis = _Axis(vector, degrees, found.share, found.size)

    def _can_ask(self, question: Question, base: Any) -> bool:
        if question.moves and not place_layers(self.model):
            self.skipped[question.name] = "the model could not know places: train with relaxation=mixed"
        elif not question.moves and (base is None or not base.contains(question.group)):
            self.skipped[question.name] = f"the strict part of the network keeps {base} whatever it learns, and no more"
        return question.name not in self.skipped

    def verdicts(self) -> dict[str, tuple[str, str | None]]:
        """Name -> answer, and the name of the answer that it follows from."""
        direct = decide(self.ratios, self.questions) if self.ratios else {}
        tested = [(question, direct[question.name]) for question in self.asked if question.name in direct]
        found: dict[str, tuple[str, str | None]] = {}
        for question in self.asked:
            if question.name in direct:
                found[question.name] = (direct[question.name], None)
                if direct[question.name] != UNKNOWN:
                    continue
            other = implied(question, [answer for answer in tested if answer[0] is not question])
            if other is not None and question.name not in self.skipped:
                found[question.name] = (other[1], other[0].name)
        return found

    def row(self, question: Question, package: Package, settings: Settings) -> dict[str, Any]:
        """What the table says of one group."""
        answer, source = self.verdicts().get(question.name, (UNKNOWN, None))
        ratio = self.ratios.get(question.name)
        covered, why = (True, "")
        if answer == KEPT:
            covered, why = covers(question.group, self.motion)
        residual, turned = model_residual(self.trial, package, question.group, settings)
        row = {
            "group": question.name,
            "meaning": question.meaning,
            "definition": question.group.name,
            "model": residual,
            "data": answer if covered else UNKNOWN,
            "ratio": None if ratio is None else ratio.plain(),
            "moved_ratio": self.moved[question.name].plain() if question.name in self.moved else None,
            "error": self.errors.get(question.name),
            "error_turned": turned,
            "distance": distances(self.model, question.group) if self.errors and not question.moves else {},
        }
        blocked = self.skipped.get(question.name) or ("" if self.errors else TOLD)
        return row | {"because": reason(row, blocked, source, "" if covered else why)}


def _axis(model: Forecaster) -> _Axis | None:
    """The preferred direction of what the relaxed maps break; None where they break nothing."""
    maps = [layer.typed for layer in split_layers(model).values()]
    found = preferred_axis(maps) if model.schema.dim == 3 else preferred_line(maps)
    return _Axis(found.axis, None, found.share, found.size) if found.size > SIZE else None


def split_for_verdict(dataset: Dataset, own: dict[str, Int] | None, anchors: Int) -> tuple[Int, Int]:
    """(test, learn): the package's own test and training windows, or other data cut in two by scene.

    Raises:
        DataError: if there are not two scenes.
    """
    if own is not None and len(own["train"]):
        return anchors, own["train"]
    scenes = np.unique(anchors[:, 0])
    if len(scenes) < 2:
        raise DataError(f"{dataset.folder}: a verdict compares scenes, and there is only one; cut the recording into several")
    first = np.isin(anchors[:, 0], scenes[::2])
    return anchors[first], anchors[~first]
