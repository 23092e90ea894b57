"""Splits: which windows are for training, validation and testing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from forecasting.errors import DataError, UsageError, did_you_mean
from forecasting.plain import call, pick
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.rolling import RollingSplit
from forecasting.trajectories.windows import Int, WindowSpec

PARTITIONS = ("train", "validation", "test")
Anchors = dict[str, Int]


class Split(Protocol):
    """A rule that gives every partition its anchors."""

    def anchors(self, dataset: Dataset, spec: WindowSpec) -> Anchors:
        """Partition -> (W, 2) scene and grid frame of each window's anchor."""
        ...


@dataclass(frozen=True)
class SceneSplit:
    """Whole scenes, drawn at random by `seed`, in these fractions (test takes the rest)."""

    train: float = 0.7
    validation: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        _check_fractions(self.train, self.validation)

    def anchors(self, dataset: Dataset, spec: WindowSpec) -> Anchors:
        """See `Split.anchors`.

        Raises:
            DataError: if there are fewer than three scenes.
        """
        if len(dataset) < 3:
            raise DataError(f"{dataset.folder} has {len(dataset)} scenes, too few to split by scene; take split.kind=time")
        order = np.random.default_rng(self.seed).permutation(len(dataset))
        first = min(max(round(self.train * len(order)), 1), len(order) - 2)
        second = min(max(round((self.train + self.validation) * len(order)), first + 1), len(order) - 1)
        parts = np.split(order, [first, second])
        return {name: dataset.anchors(spec, np.sort(part).tolist()) for name, part in zip(PARTITIONS, parts, strict=True)}


@dataclass(frozen=True)
class TimeSplit:
    """Each scene cut in time: first train, then validation, then test; no window crosses a cut.

    Attributes:
        train, validation: fractions of the scene's duration.
        embargo: [s] left out after each cut, so that neighbouring windows do not tell of each other.
    """

    train: float = 0.7
    validation: float = 0.15
    embargo: float = 0.0

    def __post_init__(self) -> None:
        _check_fractions(self.train, self.validation)
        if self.embargo < 0:
            raise UsageError(f"split.embargo must not be negative, found {self.embargo}")

    def anchors(self, dataset: Dataset, spec: WindowSpec) -> Anchors:
        """See `Split.anchors`."""
        rows, anchors = dataset.rows, dataset.anchors(spec)
        length = np.diff(rows.grid_offsets)[anchors[:, 0]]
        gap = np.ceil(self.embargo / rows.dt).astype(np.int64)[anchors[:, 0]]
        cuts = [np.rint(part * length).astype(np.int64) for part in (0, self.train, self.train + self.validation, 1)]
        starts = [cuts[0], cuts[1] + gap, cuts[2] + gap]
        return {name: _within(anchors, spec, start, end) for name, start, end in zip(PARTITIONS, starts, cuts[1:], strict=True)}


@dataclass(frozen=True)
class PartitionSplit:
    """The partition that the files themselves give each scene.

    Attributes:
        limit: partition -> number of scenes to keep, from the first ("the first 3000 of 10000").
        anchor: the one grid frame of each scene to forecast from; None takes all.
    """

    limit: Mapping[str, int] = field(default_factory=dict)
    anchor: int | None = None

    def anchors(self, dataset: Dataset, spec: WindowSpec) -> Anchors:
        """See `Split.anchors`.

        Raises:
            DataError: if no scene is marked.
            UsageError: if the anchor leaves no room for the window.
        """
        marks = [info["partition"] for info in dataset.rows.scene_info]
        found = {}
        for name in PARTITIONS:
            scenes = [index for index, mark in enumerate(marks) if mark == name][: self.limit.get(name)]
            if not scenes:
                raise DataError(f"{dataset.folder} marks no scene as {name}; take split.kind=scene or time")
            found[name] = dataset.anchors(spec, scenes)
            if self.anchor is not None:
                lengths = np.diff(dataset.rows.grid_offsets)[scenes]
                if self.anchor < spec.past or (self.anchor + spec.future >= lengths).any():
                    raise UsageError(f"split.anchor={self.anchor}: the window does not fit into scenes of {lengths.min()} frames")
                found[name] = np.array([[scene, self.anchor] for scene in scenes])
        return found


@dataclass(frozen=True)
class PublishedSplit:
    """A published list of windows: an npz with ``{train,val,test}_case_ids`` (n,) and ``{…}_starts`` (n, k).

    Attributes:
        file: the npz.
        limit: partition -> number of windows, divided evenly over its scenes and taken from the first (as GMN and EGNO do).
        shift: frames from a start to the anchor (1 where the published input is x[start], x[start + 1]).
    """

    file: str
    limit: Mapping[str, int] = field(default_factory=dict)
    shift: int = 0

    def anchors(self, dataset: Dataset, spec: WindowSpec) -> Anchors:
        """See `Split.anchors`.

        Raises:
            DataError: if the file is not such a list or names scenes that the data lack.
        """
        path = Path(self.file)
        try:
            with np.load(path, allow_pickle=False) as archive:
                lists = {
                    name: (archive[f"{short}_case_ids"], archive[f"{short}_starts"])
                    for name, short in zip(PARTITIONS, ("train", "val", "test"), strict=True)
                }
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} is not a published split (npz with train_case_ids, train_starts …): {error}") from None
        found = {}
        for name, (cases, starts) in lists.items():
            if cases.max() >= len(dataset):
                raise DataError(f"{path} names scene {cases.max()}, but {dataset.folder} has {len(dataset)} scenes")
            each = self.limit.get(name, starts.size) // len(cases)
            taken = starts[:, :each]
            scene = np.repeat(cases, taken.shape[1])
            found[name] = np.stack([scene, taken.reshape(-1) + self.shift], axis=1).astype(np.int64)
        return found


@dataclass(frozen=True)
class LeaveOneOut:
    """One scene (or several) for testing; the others are cut in time into training and validation.

    Attributes:
        test: names of the test scenes.
        unused: names of scenes to leave out altogether.
        validation_from: scene -> time [s] at which validation begins; where a scene is not named, its last `fraction`.
        fraction: of a scene's duration.
    """

    test: Sequence[str]
    unused: Sequence[str] = ()
    validation_from: Mapping[str, float] = field(default_factory=dict)
    fraction: float = 0.2

    def anchors(self, dataset: Dataset, spec: WindowSpec) -> Anchors:
        """See `Split.anchors`.

        Raises:
            UsageError: if a scene is named that the data lack; names the nearest.
        """
        rows, names = dataset.rows, dataset.scenes
        for name in (*self.test, *self.unused, *self.validation_from):
            if name not in names:
                raise UsageError(f"split: no scene is called '{name}'; {did_you_mean(name, names)}")
        rest = [index for index, name in enumerate(names) if name not in (*self.test, *self.unused)]
        anchors = dataset.anchors(spec, rest)
        lengths = np.diff(rows.grid_offsets)
        cut = np.rint(lengths * (1 - self.fraction)).astype(np.int64)
        for name, time in self.validation_from.items():
            scene = names.index(name)
            start = rows.grid_time[rows.grid_offsets[scene]]
            cut[scene] = int(np.clip(np.ceil((time - start) / rows.dt[scene] - 1e-6), 0, lengths[scene]))
        of = anchors[:, 0]
        return {
            "train": _within(anchors, spec, np.zeros_like(of), cut[of]),
            "validation": _within(anchors, spec, cut[of], lengths[of]),
            "test": dataset.anchors(spec, [names.index(name) for name in self.test]),
        }


SPLITS: dict[str, type[Any]] = {
    "scene": SceneSplit,
    "time": TimeSplit,
    "partition": PartitionSplit,
    "published": PublishedSplit,
    "leave_one_out": LeaveOneOut,
    "rolling": RollingSplit,
}


def build_split(kind: str, arguments: Mapping[str, Any]) -> Split:
    """Make the split called `kind`.

    Raises:
        UsageError: if there is none or its arguments are wrong.
    """
    split: Split = call(pick(SPLITS, kind, "split.kind"), arguments, f"split.kind={kind}")
    return split


def scored_anchors(dataset: Dataset, spec: WindowSpec, anchors: Int, chunk: int = 4096) -> Int:
    """(W', 2) the anchors whose window has at least one node and one position to score."""
    kept = []
    for start in range(0, len(anchors), chunk):
        part = anchors[start : start + chunk]
        windows = dataset.windows(spec, part)
        scored = np.zeros(len(part), dtype=bool)
        scored[windows.window_of_node[windows.future_valid.any(axis=1)]] = True
        kept.append(part[scored])
    return np.concatenate(kept) if kept else anchors


def _within(anchors: Int, spec: WindowSpec, start: Int, end: Int) -> Int:
    inside = (anchors[:, 1] - spec.past >= start) & (anchors[:, 1] + spec.future < end)
    return anchors[inside]


def _check_fractions(train: float, validation: float) -> None:
    if not (train > 0 and validation > 0 and train + validation < 1):
        raise UsageError(f"split: train={train} and validation={validation} must be positive and leave a rest for the test")
