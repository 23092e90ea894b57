"""The verdict: which groups the model keeps, and which the data keep, judged from a network that was free to break them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from forecasting.relaxation.restriction import blinded, restricted, strict_group
from forecasting.symmetry.preferred_axis import PreferredAxis, preferred_axis, preferred_line
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]
TOLD = "the model could not break it: train with relaxation=mixed"
SIZE = 1e-6
"""Σ |M|² below which relaxed maps have no preferred axis."""


@dataclass(frozen=True)
class Settings:
    """How a verdict is reached.

    Attributes:
        epochs: of each refit; rate: of its learning rate, as a share of that of training.
        learn, test: most windows to refit on and to compare on; residual: most windows, and draws, of the residuals.
        seed: of draws and resamples.
    """

    epochs: int = 5
    rate: float = 0.5
    learn: int = 1000
    test: int = 2000
    residual: int = 256
    draws: int = 8
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

    The free network of the package and its projections onto each group are refitted alike on `learn` and compared on `test`,
    scene by scene. *kept*: the upper end of the 95 % interval of error(projected) / error(free) is below 1.02, and the inputs
    overlap their moved copies (`coverage`); *broken*: the lower end is above 1.02; both after Holm's correction over the
    groups. What follows from another answer is not tried: subgroups of a kept group are kept, groups that hold a broken one
    are broken.

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
    free = package.freed.forecaster()
    found = _axis(free)
    asked = questions(package.schema.dim, None if found is None else found.axis)
    bench = _Judge(trial, free, asked, dataset)
    if _is_free(free):
        bench.ask()
    rows = [bench.row(question, package, settings) for question in asked]
    spectrum = layer_table(free)
    broken = [row["group"] for row in rows if row["data"] == BROKEN]
    axis = _about_axis(found, trial, bench, rows)
    layer = max(spectrum, key=lambda row: row["size"], default=None) if broken else None
    return {
        "groups": rows,
        "axis": axis,
        "errors": bench.errors,
        "layers": spectrum,
        "broken_by": layer["layer"] if layer else None,
        "windows": {"test": len(trial.test), "learn": len(trial.learn)},
        "seconds": time.perf_counter() - start,
        "reading": reading(rows, axis),
    }


class _Judge:
    """Asks one question after the other.

    Attributes:
        whole: the free network after its refit; errors: name -> mean squared error per coordinate [unit²].
    """

    def __init__(self, trial: Trial, free: Forecaster, asked: Sequence[Question], dataset: Dataset) -> None:
        self.trial, self.free, self.asked = trial, free, asked
        self.motion = observe(dataset, step=trial.window.step)
        self.ratios: dict[str, Ratio] = {}
        self.skipped: dict[str, str] = {}
        self.errors: dict[str, float] = {}
        self.whole: Forecaster | None = None

    def ask(self) -> None:
        """Refit and compare, until every question is answered or follows from an answer."""
        base = strict_group(self.free)
        tried = [question for question in self.asked if self._can_ask(question, base)]
        self.trial.expect(1 + len(tried))
        self.whole = restricted(self.free, None)
        per_scene = {"full": self.trial.run(self.whole)}
        answers: list[tuple[Question, str]] = []
        for question in tried:
            if implied(question, answers) is not None:
                self.trial.skip()
                continue
            held = blinded(self.free, question.across()) if question.moves else restricted(self.free, question.group)
            per_scene[question.name] = self.trial.run(held)
            others = {name: errors for name, errors in per_scene.items() if name != "full"}
            self.ratios = compare(others, per_scene["full"], self.trial.settings.seed)
            answer = decide({question.name: self.ratios[question.name]}, len(tried))[question.name]
            answers.append((question, answer))
        self.questions = len(tried)
        self.errors = {name: float(errors.mean()) for name, errors in per_scene.items()}
        first = self.asked[0].name
        if first in self.errors:
            self.errors["strict"] = self.errors[first]

    def _can_ask(self, question: Question, base: Any) -> bool:
        if question.moves and not place_layers(self.free):
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
            "error": self.errors.get(question.name),
            "error_turned": turned,
            "distance": distances(self.free, question.group) if self.errors and not question.moves else {},
        }
        blocked = self.skipped.get(question.name) or ("" if self.errors else TOLD)
        return row | {"because": reason(row, blocked, source, "" if covered else why)}


def _is_free(model: Forecaster) -> bool:
    layers = linear_layers(model)
    return bool(layers) and any(float(layer.dial) != 0 for layer in layers.values())


def _axis(model: Forecaster) -> PreferredAxis | None:
    """The preferred direction of what the relaxed maps break; None where they break nothing."""
    maps = [layer.typed for layer in split_layers(model).values()]
    if not maps:
        return None
    found = preferred_axis(maps) if model.schema.dim == 3 else preferred_line(maps)
    return found if found.size > SIZE else None


def _about_axis(
    found: PreferredAxis | None, trial: Trial, judge: _Judge, rows: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """The axis and how sure it is: half the angle between the axes of two networks, each refitted on one half of the windows."""
    said = {row["group"]: row["data"] for row in rows}
    whole = "O(3)" if trial.dim == 3 else "O(2)"
    shifts = said.get("translations")
    if found is None or judge.whole is None or (said[whole] != BROKEN and shifts != BROKEN):
        return None
    halves = [_axis(trial.refitted(restricted(judge.free, None), half)) for half in (0, 1)]
    axes = [half.axis for half in halves if half is not None]
    degrees = None
    if len(axes) == 2:
        cosine = min(abs(float(axes[0] @ axes[1])), 1.0)
        degrees = float(np.degrees(np.arccos(cosine))) / 2
    return {"vector": found.axis.tolist(), "degrees": degrees, "share": found.share, "size": found.size}


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
