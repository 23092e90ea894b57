"""Named checks of what a file says, and the three ways to go on: fail, mask, drop. Nothing is repaired silently.

| check | severity | what it finds | what ``drop`` removes |
|---|---|---|---|
| non_finite | error | infinite coordinates or field values of a valid entry; times not finite | nodes; frames |
| repeated_time | error | a frame at the latest time before it | frames |
| backward_time | error | a frame before the latest time before it | frames |
| duplicate_node | error | a node with several rows for one time, or a node id that stands twice | nodes |
| jump | error | a node leaps `JUMP_FACTOR` times farther per second than is usual for it and its scene | nodes |
| too_short | warning | a scene of fewer frames than needed | - |
| missing_field | warning | a field without a value where the node is valid | - |
| seldom_seen | warning | a node valid in fewer frames than needed | - |
| constant_node | warning | a node that never moves | - |

Warnings change nothing. A clock cannot be masked: for findings about time, ``mask`` removes the frames too.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, UsageError, did_you_mean
from forecasting.trajectories.trajectory import Field, Trajectory

JUMP_FACTOR = 50.0
"""How many times its usual speed (the larger of the median speeds of the node and of its scene) makes a step a jump.

In measured pedestrians, fish, joints and pendulums the fastest step is 2 to 25 times the usual one.
"""

FRAMES_NAMED = 10
ON_ERROR = ("fail", "mask", "drop")
TIME_CHECKS = ("repeated_time", "backward_time")
Flags = NDArray[np.bool_]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finding:
    """One thing that a check found: at most one per check and node, with every frame concerned.

    Attributes:
        check: name of the check.
        severity: ``error`` or ``warning``.
        path: file the scene came from.
        scene: its name.
        frames: indices of the frames concerned; empty where the whole scene or node is.
        node: id of the node, or None where it concerns all.
        message: what was found and what was expected.
        fix: what to do about it.
        place: where in the file, for instance ``line 12``, where known.
    """

    check: str
    severity: str
    path: str
    scene: str
    frames: tuple[int, ...]
    node: Any
    message: str
    fix: str
    place: str = ""

    @property
    def frame(self) -> int | None:
        """The first frame concerned, or None."""
        return self.frames[0] if self.frames else None

    def __str__(self) -> str:
        where = [f"scene '{self.scene}'"]
        if self.place:
            where.append(self.place)
        if self.frames:
            more = f" and {len(self.frames) - 1} more" if len(self.frames) > 1 else ""
            where.append(f"frame {self.frames[0]}{more}")
        if self.node is not None:
            where.append(f"node {self.node}")
        return f"{self.path or 'in memory'}: {', '.join(where)}: {self.check}: {self.message}; {self.fix}"

    def to_plain(self) -> dict[str, Any]:
        """As JSON values: the whole line as ``text``, the parts, and the first few frames of however many."""
        node = self.node.item() if isinstance(self.node, np.generic) else self.node
        return {
            "text": f"{self.severity}: {self}",
            "check": self.check,
            "severity": self.severity,
            "scene": self.scene,
            "node": node,
            "frames": [int(frame) for frame in self.frames[:FRAMES_NAMED]],
            "frame_count": len(self.frames),
        }


Check = Callable[[Trajectory, int], Iterator[Finding]]


def validate(trajectory: Trajectory, min_frames: int = 2) -> list[Finding]:
    """Run every check on one scene.

    Args:
        trajectory: as a format read it.
        min_frames: frames that a scene should have, and each node should be seen in.
    """
    checks = CHECKS if _unsuspicious(trajectory) else (*CHECKS, *ENTRY_CHECKS)
    return [finding for check in checks for finding in check(trajectory, min_frames)]


def apply(trajectory: Trajectory, findings: Sequence[Finding], on_error: str = "fail") -> Trajectory:
    """Act on the errors among the findings of one scene; warnings change nothing.

    Args:
        trajectory: the scene that was validated.
        findings: from `validate`.
        on_error: ``fail`` raises; ``mask`` marks the (frame, node) entries invalid; ``drop`` removes the nodes, or the
            frames where the clock is at fault.

    Raises:
        DataError: if `on_error` is ``fail`` and there is an error; lists the first and counts all.
        UsageError: if `on_error` is none of the three.
    """
    if on_error not in ON_ERROR:
        raise UsageError(f"--on-error {on_error}: {did_you_mean(on_error, ON_ERROR)}")
    errors = [finding for finding in findings if finding.severity == "error" and finding.scene == trajectory.scene]
    if not errors:
        return trajectory
    if on_error == "fail":
        counted = f" ({len(errors)} errors in this scene; the first three are shown)" if len(errors) > 3 else ""
        raise DataError("; ".join(map(str, errors[:3])) + counted + "; or go on with --on-error mask or drop")
    for finding in errors:
        logger.warning("%s: %s", on_error, finding)
    keep_frames, keep_entries = _kept(trajectory, errors)
    keep_nodes: Flags = np.all(keep_entries | (on_error == "mask"), axis=0)
    return _select(trajectory, keep_frames, keep_nodes, keep_entries)


def _kept(trajectory: Trajectory, errors: Sequence[Finding]) -> tuple[Flags, Flags]:
    """(T,) frames to keep and (T, N) entries to keep."""
    frames = np.ones(len(trajectory.time), dtype=bool)
    entries = np.ones(trajectory.valid.shape, dtype=bool)
    for finding in errors:
        chosen = list(finding.frames) or slice(None)
        if finding.node is None:
            frames[chosen] = False
        else:
            for node in np.flatnonzero(trajectory.node_ids == finding.node):
                entries[chosen, node] = False
    return frames, entries


def _select(trajectory: Trajectory, frames: Flags, nodes: Flags, entries: Flags) -> Trajectory:
    """The scene with these frames and nodes only, and with the entries that are not kept invalid."""
    valid = (trajectory.valid & entries)[frames][:, nodes]
    fields = {}
    for name, item in trajectory.fields.items():
        if item.per_frame:
            values = np.where(entries[..., None], item.values, np.nan)[frames][:, nodes]
        else:
            values = _finite(item)[nodes]
        fields[name] = replace(item, values=values)
    kept = nodes[trajectory.edges].all(axis=1)
    renumbered = np.cumsum(nodes) - 1
    options = {key: value for key, value in trajectory.source.options.items() if key != "duplicate_rows"}
    return replace(
        trajectory,
        time=trajectory.time[frames],
        positions=np.where(valid[..., None], trajectory.positions[frames][:, nodes], np.nan),
        valid=valid,
        node_ids=trajectory.node_ids[nodes],
        node_types=trajectory.node_types[nodes],
        edges=renumbered[trajectory.edges[kept]].reshape(-1, 2).astype(np.int64),
        edge_types=trajectory.edge_types[kept],
        fields=fields,
        source=replace(trajectory.source, options=options),
    )


def _finite(item: Field) -> NDArray[np.float64]:
    return np.where(np.isinf(item.values), np.nan, item.values)


def _finding(
    trajectory: Trajectory,
    check: str,
    message: str,
    fix: str,
    *,
    frames: Iterable[int] = (),
    node: Any = None,
    severity: str = "error",
) -> Finding:
    concerned = tuple(int(frame) for frame in frames)
    identity = node.item() if isinstance(node, np.generic) else node
    return Finding(check, severity, trajectory.source.path, trajectory.scene, concerned, identity, message, fix)


def _unsuspicious(trajectory: Trajectory) -> bool:
    """Whether one pass over the positions shows that there is nothing for `ENTRY_CHECKS` to find.

    Every entry is valid and the clock ticks forward; the fastest step is finite, and at least half of the steps are so
    fast that it is no jump.
    """
    steps = trajectory.time[1:] - trajectory.time[:-1]
    if not (len(steps) and trajectory.valid.all() and (steps > 0).all()):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        moved = trajectory.positions[1:] - trajectory.positions[:-1]
        squared = np.square(moved[..., 0])
        for axis in range(1, trajectory.dim):
            squared += np.square(moved[..., axis])
        squared /= steps[:, None] ** 2
    fastest = squared.max()
    return bool(np.isfinite(fastest) and np.count_nonzero(squared * JUMP_FACTOR**2 >= fastest) > squared.size // 2)


def _non_finite_positions(trajectory: Trajectory, _: int) -> Iterator[Finding]:
    wrong = trajectory.valid & ~_finite_entries(trajectory.positions)
    for node in np.flatnonzero(wrong.any(axis=0)):
        frames = np.flatnonzero(wrong[:, node])
        found = trajectory.positions[frames[0], node].tolist()
        message = f"the position is {found}, expected finite numbers, or NaN for a missing point"
        yield _finding(trajectory, "non_finite", message, "correct the entries", frames=frames, node=trajectory.node_ids[node])


def _non_finite(trajectory: Trajectory, _: int) -> Iterator[Finding]:
    finite = np.isfinite(trajectory.time)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        yield _finding(trajectory, "non_finite", "the time is not finite", "correct or remove the frames", frames=bad)
    for name, item in trajectory.fields.items():
        if not np.isinf(item.values).any():
            continue
        infinite: Flags = np.any(np.isinf(item.values), axis=-1)
        for node in np.flatnonzero(infinite.any(axis=0) if item.per_frame else infinite):
            frames = np.flatnonzero(infinite[:, node]) if item.per_frame else np.arange(0)
            message = f"field '{name}' is infinite"
            yield _finding(
                trajectory, "non_finite", message, "correct the entries", frames=frames, node=trajectory.node_ids[node]
            )


def _clock(trajectory: Trajectory, _: int) -> Iterator[Finding]:
    if (trajectory.time[1:] > trajectory.time[:-1]).all():
        return
    finite = np.where(np.isfinite(trajectory.time), trajectory.time, np.nan)
    latest = np.fmax.accumulate(finite)[:-1]
    later = trajectory.time[1:]
    fix = "correct the clock, or remove the frames"
    for check, wrong, word in (
        ("repeated_time", later == latest, "the same time as a frame before"),
        ("backward_time", later < latest, "a time earlier than a frame before"),
    ):
        frames = np.flatnonzero(wrong) + 1
        if len(frames):
            message = f"{trajectory.time[frames[0]]:.9g} s is {word}, expected increasing times"
            yield _finding(trajectory, check, message, fix, frames=frames)


def _duplicate_node(trajectory: Trajectory, _: int) -> Iterator[Finding]:
    names = trajectory.node_ids.tolist()
    counts = Counter(names) if len(set(names)) < len(names) else {}
    for node in sorted(name for name, count in counts.items() if count > 1):
        message = "the id stands more than once among the nodes"
        yield _finding(trajectory, "duplicate_node", message, "rename one of the nodes", node=node)
    rows: dict[int, list[tuple[int, str]]] = {}
    for frame, node, place in trajectory.source.options.get("duplicate_rows", ()):
        rows.setdefault(node, []).append((frame, place))
    for node, found in rows.items():
        message = "several rows for one time, none of which can be preferred"
        frames = sorted({frame for frame, _ in found})
        finding = _finding(
            trajectory, "duplicate_node", message, "remove the rows", frames=frames, node=trajectory.node_ids[node]
        )
        yield replace(finding, place=found[0][1])


def _jump(trajectory: Trajectory, _: int) -> Iterator[Finding]:
    speed, before = _speeds(trajectory)
    known = speed[~np.isnan(speed)]
    if not known.any():
        return
    scene = _median(known) or _median(known[known > 0])
    if known.max() <= JUMP_FACTOR * scene:
        return
    own = np.array([np.median(column[column >= 0]) if (column >= 0).any() else 0.0 for column in speed.T])
    limit = JUMP_FACTOR * np.maximum(own, scene)
    leaps = speed > limit
    for node in np.flatnonzero(leaps.any(axis=0)):
        arrivals = np.flatnonzero(leaps[:, node])
        departures = before[arrivals, node]
        alone = np.intersect1d(arrivals, departures)  # leapt to and away from: the entry itself is wrong
        rest = arrivals[~np.isin(arrivals, alone) & ~np.isin(departures, alone)]
        frames = np.union1d(alone, rest)
        usual = f"{JUMP_FACTOR:.0f} times the usual {limit[node] / JUMP_FACTOR:.3g}"
        message = f"it moves at {speed[arrivals[0], node]:.3g} {trajectory.unit.name}/s, more than {usual}"
        fix = "correct the entries, or give the node a new id after the leap"
        yield _finding(trajectory, "jump", message, fix, frames=frames, node=trajectory.node_ids[node])


def _speeds(trajectory: Trajectory) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(T, N) [unit/s] mean speed since the node was last seen, NaN where it was not, and (T, N) the frame of that."""
    good = trajectory.valid & _finite_entries(trajectory.positions) & np.isfinite(trajectory.time)[:, None]
    index = np.arange(len(trajectory.time))[:, None]
    last = np.maximum.accumulate(np.where(good, index, -1), axis=0)
    before = np.vstack([np.full((1, good.shape[1]), -1), last[:-1]])
    there = good & (before >= 0)
    frame, node = np.nonzero(there)
    start = before[frame, node]
    step = np.linalg.norm(trajectory.positions[frame, node] - trajectory.positions[start, node], axis=-1)
    elapsed = trajectory.time[frame] - trajectory.time[start]
    speed = np.full(good.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        speed[frame, node] = np.where(elapsed > 0, step / elapsed, np.nan)
    return speed, before


def _finite_entries(positions: NDArray[np.float64]) -> Flags:
    """(T, N) whether every coordinate of (T, N, D) is finite."""
    finite = np.isfinite(positions)
    return np.logical_and.reduce([finite[..., axis] for axis in range(positions.shape[2])])


def _median(values: NDArray[np.float64]) -> float:
    """Median of numbers that hold no NaN, without numpy's check for one."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    return float(np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1].mean())


def _too_short(trajectory: Trajectory, min_frames: int) -> Iterator[Finding]:
    frames = len(trajectory.time)
    if frames < min_frames:
        message = f"it has {frames} frames, fewer than {min_frames}"
        yield _finding(trajectory, "too_short", message, "nothing to do: it takes part in no window", severity="warning")
        return
    if trajectory.valid.all():
        return
    counts = np.count_nonzero(trajectory.valid, axis=0)
    for node in np.flatnonzero(counts < min_frames):
        message = f"it is seen in {counts[node]} frames, fewer than {min_frames}"
        fix = "nothing to do: it takes part in no window"
        yield _finding(trajectory, "seldom_seen", message, fix, severity="warning", node=trajectory.node_ids[node])


def _missing_field(trajectory: Trajectory, _: int) -> Iterator[Finding]:
    for name, item in trajectory.fields.items():
        if not np.isnan(item.values).any():
            continue
        missing: Flags = np.any(np.isnan(item.values), axis=-1)
        missing = (missing & trajectory.valid) if item.per_frame else missing
        for node in np.flatnonzero(missing.any(axis=0) if item.per_frame else missing):
            frames = np.flatnonzero(missing[:, node]) if item.per_frame else np.arange(0)
            message = f"field '{name}' has no value there"
            fix = "fill the column, or leave it out with --columns NAME=-"
            yield _finding(
                trajectory,
                "missing_field",
                message,
                fix,
                severity="warning",
                frames=frames,
                node=trajectory.node_ids[node],
            )


def _constant_node(trajectory: Trajectory, _: int) -> Iterator[Finding]:
    if trajectory.valid.all() and not (trajectory.positions[:1] == trajectory.positions[-1:]).all(axis=2).any():
        return
    low = np.where(trajectory.valid[..., None], trajectory.positions, np.inf).min(axis=0, initial=np.inf)
    high = np.where(trajectory.valid[..., None], trajectory.positions, -np.inf).max(axis=0, initial=-np.inf)
    seen = np.count_nonzero(trajectory.valid, axis=0)
    for node in np.flatnonzero((seen > 1) & (low == high).all(axis=1)):
        message = f"it stays at one place in all of its {seen[node]} frames"
        fix = "right for a fixed point; else a lost track"
        yield _finding(trajectory, "constant_node", message, fix, severity="warning", node=trajectory.node_ids[node])


CHECKS: tuple[Check, ...] = (_non_finite, _clock, _duplicate_node, _too_short, _missing_field, _constant_node)
ENTRY_CHECKS: tuple[Check, ...] = (_non_finite_positions, _jump)
"""Those that look at every position twice; skipped where `_unsuspicious` sees that they find nothing."""
