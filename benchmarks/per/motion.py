"""PER's motion protocol on aircraft: six points of one track to the next six (Kim et al., ICML 2023; there cars, Waymo).

As published: one track at a time, x, y and z, six past and six future points, one scale for all axes ("symm_aware"). Not as
published: points are 5 s apart, not 0.2 s; the origin is the mean of the six *past* points, where the published program takes the
future into it; training, validation and test are cut in time within every aircraft. What should be kept are the turns about z and
the mirrors that hold z.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from per.network import RelaxedPerceptron
from per.tasks import Task
from per.training import predict
from torch import Tensor

from forecasting.trajectories.formats.base import ReadOptions
from forecasting.trajectories.reading import read_trajectories
from forecasting.trajectories.resampling import resample
from forecasting.trajectories.trajectory import Trajectory

Array = NDArray[np.float64]

STEP = 5.0
PAST = FUTURE = 6
STRIDE = 3
LONGEST_GAP = 5.0
EMBARGO = 60.0
CUTS = (0.70, 0.85)
FASTEST, STEEPEST, SLOWEST = 350.0, 60.0, 10.0
SKIPPED = ("noisy_time_issue", "franconia")
"""Files whose time stamps are wrong on purpose, or 10 s apart so that most points would be made up."""


@dataclass(frozen=True)
class Flights:
    """The task and its yardsticks.

    Attributes:
        task: 6x1o -> 6x1o, past points about their mean -> future points about that mean (less `drift`), over `scale`.
        scale: [m] standard deviation of the training windows' coordinates.
        notes: what was read, and the errors of moving on evenly.
    """

    task: Task
    scale: float
    notes: tuple[str, ...]

    def distances(self, network: RelaxedPerceptron) -> Tensor:
        """(S,) [m] ADE on the test windows: mean distance over windows and the six steps."""
        inputs, targets = self.task.sets["test"]
        return mean_distance(predict(network, inputs) - targets) * self.scale


def flights(folder: Path, residual: bool = False) -> Flights:
    """Read every ADS-B file of a folder.

    Args:
        folder: with JSON files.
        residual: targets are what moving on at the velocity of the last two points leaves, instead of the points themselves.
    """
    parts: dict[str, list[Array]] = {"train": [], "validation": [], "test": []}
    dropped = 0
    for path in sorted(folder.glob("*.json*")):
        if path.name.startswith(SKIPPED):
            continue
        for scene in read_trajectories(path, ReadOptions(on_error="mask")):
            for node in range(len(scene.node_ids)):
                for name, found in _partitioned(_tracks(scene, node)).items():
                    kept = found[_plausible(found)]
                    dropped += len(found) - len(kept)
                    parts[name].append(kept)
    windows = {name: np.concatenate(found) for name, found in parts.items()}
    centred = {name: found - found[:, :PAST].mean(1, keepdims=True) for name, found in windows.items()}
    scale = float(centred["train"].std())
    sets = {name: _rows(torch.from_numpy(found / scale).float(), residual) for name, found in centred.items()}
    sets["turned"] = _rows(torch.from_numpy(_turned(centred["test"]) / scale).float(), residual)
    counts = ", ".join(f"{len(found)} {name}" for name, found in windows.items())
    test = torch.from_numpy(centred["test"])
    last, mean = (float(mean_distance((test[:, PAST:] - drift(test, back)).flatten(1))) for back in (1, PAST - 1))
    notes = (
        f"scale {scale:.1f} m",
        f"{counts} windows of {PAST + FUTURE} points, {STEP:g} s apart; {dropped} left out as impossible or slow",
        f"constant velocity, test ADE: {last:.1f} m from the last two points, {mean:.1f} m from the first and the last of six",
    )
    return Flights(Task("motion", f"{PAST}x1o", f"{FUTURE}x1o", None, sets, "C∞v(z)"), scale, notes)


def drift(windows: Tensor, back: int = 1) -> Tensor:
    """(rows, 6, 3) future points at the mean velocity of the last `back` steps of the past, of windows (rows, 12, 3)."""
    last = windows[:, PAST - 1 : PAST]
    steps = torch.arange(1, FUTURE + 1).to(windows)[:, None]
    return last + steps * (last - windows[:, PAST - 1 - back : PAST - back]) / back


def mean_distance(errors: Tensor) -> Tensor:
    """(…) mean over rows and steps of the length of errors (…, rows, 18)."""
    return errors.unflatten(-1, (FUTURE, 3)).norm(dim=-1).mean((-2, -1))


def _rows(windows: Tensor, residual: bool) -> tuple[Tensor, Tensor]:
    future = windows[:, PAST:] - drift(windows) if residual else windows[:, PAST:]
    return windows[:, :PAST].flatten(1), future.flatten(1)


def _tracks(scene: Trajectory, node: int) -> list[tuple[Array, Array]]:
    """(time (T,) [s], positions (T, 3) [m]) at even steps, of each stretch of one aircraft without a long gap."""
    seen = scene.valid[:, node]
    time, found = scene.time[seen], []
    for rows in np.split(np.flatnonzero(seen), np.flatnonzero(np.diff(time) > LONGEST_GAP) + 1):
        if len(rows) and scene.time[rows[-1]] - scene.time[rows[0]] >= (PAST + FUTURE) * STEP:
            cut = replace(
                scene,
                time=scene.time[rows],
                positions=scene.positions[rows, node : node + 1],
                valid=scene.valid[rows, node : node + 1],
                node_ids=scene.node_ids[node : node + 1],
                node_types=scene.node_types[node : node + 1],
                fields={},
            )
            even = resample(cut, STEP)
            found.append((even.time, even.positions[:, 0]))
    return found


def _partitioned(tracks: list[tuple[Array, Array]]) -> dict[str, Array]:
    """Partition -> windows (n, 12, 3) that lie within it; after each cut `EMBARGO` is left out."""
    empty = np.zeros((0, PAST + FUTURE, 3))
    if not tracks:
        return {"train": empty, "validation": empty, "test": empty}
    times = np.sort(np.concatenate([time for time, _ in tracks]))
    first, second = (times[int(cut * (len(times) - 1))] for cut in CUTS)
    spans = {"train": (-np.inf, first), "validation": (first + EMBARGO, second), "test": (second + EMBARGO, np.inf)}
    found: dict[str, list[Array]] = {name: [empty] for name in spans}
    for time, positions in tracks:
        for start in range(0, len(time) - PAST - FUTURE + 1, STRIDE):
            rows = slice(start, start + PAST + FUTURE)
            for name, (begin, end) in spans.items():
                if time[rows][0] >= begin and time[rows][-1] < end:
                    found[name].append(positions[None, rows])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _plausible(windows: Array) -> NDArray[np.bool_]:
    """(n,) complete, nowhere faster or steeper than aircraft fly, and not standing or taxiing in the past."""
    velocity = np.diff(windows, axis=1) / STEP
    fast = np.linalg.norm(velocity, axis=2).max(axis=1, initial=0.0) if len(windows) else np.zeros(0)
    steep = np.abs(velocity[..., 2]).max(axis=1, initial=0.0) if len(windows) else np.zeros(0)
    moved = np.linalg.norm(windows[:, PAST - 1] - windows[:, 0], axis=1) / (STEP * (PAST - 1))
    complete = np.isfinite(windows).all(axis=(1, 2))
    return complete & (fast < FASTEST) & (steep < STEEPEST) & (moved > SLOWEST)


def _turned(windows: Array) -> Array:
    """The windows, each turned about z by an angle of its own, every other one mirrored."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, len(windows))
    cosine, sine, zero = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    flip = np.where(np.arange(len(windows)) % 2, -1.0, 1.0)
    rows = [[cosine, -sine * flip, zero], [sine, cosine * flip, zero], [zero, zero, zero + 1]]
    return np.einsum("ijn,ntj->nti", np.array(rows), windows)
