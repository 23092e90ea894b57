"""Evaluating a package: errors on plain and transformed copies of the test windows, baselines beside them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.evaluation.calibration import Coverage
from forecasting.evaluation.copies import Copy, copies_for
from forecasting.inference.answers import Answers
from forecasting.inference.intervals import Calibration
from forecasting.inference.predictor import Predictor
from forecasting.objectives.metrics import ErrorSums
from forecasting.objectives.several import LikelihoodSum, SeveralSums
from forecasting.packages.package import Package
from forecasting.symmetry.transforms import Transform
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.splits import PARTITIONS, build_split, scored_anchors
from forecasting.trajectories.windows import Int, WindowBatch

Float = NDArray[np.float64]
BASELINES = ("static", "constant_velocity", "mean_velocity")
CHUNK = 256
Progress = Callable[[int], None]


def evaluate(
    package: Package,
    dataset: Dataset,
    anchors: Int,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Errors of a package on the windows at `anchors`.

    Every copy transforms histories, futures and fields alike, by their declared irreps; the residual of a copy is
    Σ|f(g x) − g f(x)|² / Σ|f(x) − anchor|², square-rooted: how far the forecast itself is from turning with its input.

    Args:
        package: the trained model.
        dataset: the data, in the package's unit and frame.
        anchors: (W, 2) scene and frame.
        seed: of the transforms.
        device: where to compute.
        progress: called with the number of windows done.

    Returns:
        plain values: ``plain``, ``copies`` and ``baselines`` (see `ErrorSums.summary`), ``windows``, ``unit``; where the model
        says such things, ``hypotheses`` (see `SeveralSums`), ``nll`` [nats per coordinate] of its scales, and ``regions``, how
        often its regions hold the truth (see `Coverage`).

    Raises:
        DataError: if there is no window to score or the data are not in the package's unit, dimension and frame.
    """
    check(package, dataset, anchors)
    model = Predictor(package, device)
    simple = {name: Predictor(replace(package, model=name, arguments={}, weights={}), device) for name in BASELINES}
    plain, baselines = ErrorSums(dataset.manifest.dim), {name: ErrorSums(dataset.manifest.dim) for name in BASELINES}
    kinds = copies_for(dataset.manifest.dim, dataset.manifest.frame, package.normalization.length)
    copies = [_CopyErrors(kind, dataset.manifest.dim, seed + index) for index, kind in enumerate(kinds)]
    uncertain = _Uncertain(model.calibration)
    done = 0
    for windows in chunked(dataset, package, anchors):
        answers = model.answers(windows)
        positions = answers.positions
        plain.add(positions, windows)
        uncertain.add(answers, windows)
        for name, predictor in simple.items():
            baselines[name].add(predictor.windows(windows)[0], windows)
        for copy in copies:
            copy.add(model, windows, positions)
        done += len(windows)
        if progress:
            progress(done)
    return {
        "model": package.model,
        "unit": dataset.manifest.unit,
        "metric_protocol": "best of K per node (marginal); K = 1 is the plain error",
        "lead_times": [step * package.window.step * package.dt for step in package.window.horizon],
        "windows": len(anchors),
        "plain": plain.summary(),
        "copies": {copy.kind.name: copy.summary() for copy in copies},
        "baselines": {name: sums.summary() for name, sums in baselines.items()},
        **uncertain.summary(),
        "seed": seed,
    }


def partition_anchors(package: Package, dataset: Dataset, partition: str) -> Int:
    """(W, 2) the windows of `partition` under the split that the package was trained with.

    ``all`` takes every window. Other data than the package's own are all test data: ``test`` then means every window too.

    Raises:
        DataError: if the partition has no window to score.
    """
    split = package.card.get("split")
    own = package.card.get("data", {}).get("content") == dataset.manifest.content
    if partition in PARTITIONS and split and own:
        anchors = build_split(split["kind"], split["arguments"]).anchors(dataset, package.window)[partition]
    else:
        anchors = dataset.anchors(package.window)
    scored = scored_anchors(dataset, package.window, anchors)
    if not len(scored):
        raise DataError(f"{dataset.folder}: partition '{partition}' has no window with a future to score")
    return scored


class _Uncertain:
    """What there is to say of hypotheses, scales and regions."""

    def __init__(self, calibration: Calibration | None) -> None:
        self.several, self.likelihood = SeveralSums(), LikelihoodSum()
        self.coverage = None if calibration is None else Coverage(calibration)

    def add(self, answers: Answers, windows: WindowBatch) -> None:
        if answers.weights.shape[1] > 1:
            self.several.add(answers.positions, answers.weights, windows)
        if answers.scale is not None:
            self.likelihood.add(answers.positions, answers.scale, windows)
        if self.coverage is not None:
            self.coverage.add(answers, windows)

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {"hypotheses": self.several.summary()} if self.several.count else {}
        if self.likelihood.count:
            found["nll"] = self.likelihood.mean()
        return found if self.coverage is None else found | {"regions": self.coverage.summary()}


class _CopyErrors:
    """Errors and residual of one kind of copy."""

    def __init__(self, kind: Copy, dim: int, seed: int) -> None:
        self.kind = kind
        self.sums = ErrorSums(dim)
        self.rng = np.random.default_rng(seed)
        self.away = self.size = 0.0

    def add(self, model: Predictor, windows: WindowBatch, plain: Float) -> None:
        transform = self.kind.draw(self.rng)
        moved = windows.transformed(transform)
        positions, _ = model.windows(moved)
        self.sums.add(positions, moved)
        expected = _act(transform, plain)
        self.away += float(((positions - expected) ** 2).sum())
        self.size += float(((plain - windows.position[:, -1][:, None, None]) ** 2).sum())

    def summary(self) -> dict[str, Any]:
        residual = float(np.sqrt(self.away / self.size)) if self.size > 0 else 0.0
        return {"meaning": self.kind.meaning, "residual": residual, **self.sums.summary()}


def _act(transform: Transform, positions: Float) -> Float:
    return transform.act(positions, "1o", translates=True)


def chunked(dataset: Dataset, package: Package, anchors: Int) -> Iterator[WindowBatch]:
    """The windows at `anchors` (W, 2), some at a time."""
    for start in range(0, len(anchors), CHUNK):
        yield dataset.windows(package.window, anchors[start : start + CHUNK])


def check(package: Package, dataset: Dataset, anchors: Int) -> None:
    """Whether a package can be put to work on the windows at `anchors` (W, 2).

    Raises:
        DataError: if there is none, or the data are not in the package's unit, dimension and frame, or lack one of its fields.
    """
    manifest = dataset.manifest
    if not len(anchors):
        raise DataError(f"{dataset.folder} has no window to evaluate")
    missing = sorted(set(package.fields) - set(manifest.fields))
    if missing:
        raise DataError(f"{dataset.folder} lacks the field '{missing[0]}', which the model was trained with")
    pairs = {
        "dimension": (manifest.dim, package.schema.dim),
        "unit": (manifest.unit, package.unit),
        "frame": (manifest.frame, package.frame),
        "node types": (manifest.node_types, package.schema.node_types),
    }
    for what, (found, expected) in pairs.items():
        if found != expected:
            raise DataError(
                f"{dataset.folder}: {what} {found}, but the model was trained with {expected}; ingest the files with the "
                "same --unit and --up as the training data"
            )
