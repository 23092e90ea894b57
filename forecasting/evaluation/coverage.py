"""Which directions the data take, and whether turned copies overlap them enough to judge a symmetry from the data at all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation._directions import (
    ENOUGH,
    Cells,
    Directions,
    angles_about,
    cells_for,
    covered_share,
    directions,
)
from forecasting.evaluation._motion import Motion, observe
from forecasting.symmetry.groups import LinearGroup, parse_group
from forecasting.symmetry.groups._directions import format_direction
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]

PLACES = 0.2
"""Places must spread over this share of the size of a moment."""
BINS = 36
DRAWS = 1000


def coverage(data: Dataset | Motion, anchors: Int | None = None, *, step: int = 1, seed: int = 0) -> dict[str, Any]:
    """Headings, directions in space, moments, and whether they are enough to judge turns about the up axis and in space.

    Args:
        data: a data set, or what `observe` saw of it.
        anchors: (W, 2) scene and grid frame of the windows to look at; None takes all. Only of a data set.
        step: [frames] between the positions whose differences are velocities. Only of a data set.
        seed: of the nodes looked at and of the bootstrap.

    Returns:
        plain values: ``heading`` (see `_heading`), ``sphere`` (see `_sphere`; None in the plane), ``moments`` (rows of what,
        unit, mean, second moments), ``overlap`` (share of turned copies that look like data, of headings and of relative
        positions), ``covers_yaw``, ``covers_space`` (None in the plane), ``because`` (and its ``sentences``), ``windows``
        (moments looked at), ``scenes``, ``unit``.

    Raises:
        DataError: if the data have no motion.
    """
    motion = _seen(data, anchors, step, seed)
    about = f"SO(2)({format_direction(tuple(motion.up))})"
    yaw, why_yaw, overlap = _judge(parse_group(about, motion.dim), motion, seed)
    result: dict[str, Any] = {
        "unit": motion.unit,
        "scenes": motion.scenes,
        "windows": len(motion.scene),
        "heading": _heading(motion, seed),
        "sphere": None,
        "moments": _moments(motion),
        "overlap": {"yaw": overlap},
        "covers_yaw": yaw,
        "covers_space": None,
        "because": why_yaw,
        "sentences": [why_yaw],
    }
    if motion.dim == 3:
        space, why_space, overlap = _judge(parse_group("SO(3)"), motion, seed)
        result |= {
            "sphere": _sphere(motion, seed),
            "covers_space": space,
            "because": f"{why_yaw} {why_space}",
            "sentences": [why_yaw, why_space],
        }
        result["overlap"]["space"] = overlap
    return result


def covers(
    group: LinearGroup | str, data: Dataset | Motion, anchors: Int | None = None, *, step: int = 1, seed: int = 0
) -> tuple[bool, str]:
    """Whether copies of the data moved by the group overlap the data enough to judge the group from them, and why.

    The rule: at least 95 % of the moved copies must fall into cells of direction (20° about an axis that the group keeps, else
    48 equal cells of the sphere) that the data take at least a fifth as often as the copies do, with three nodes and, where
    there are as many, three scenes. It must hold of the velocities and, where there are several nodes, of the positions
    relative to their mean. Of translations: along each of them, the places of moments must spread over a fifth of the size of a
    moment (root mean squares).

    Args:
        group: or its name, such as ``C∞v(y)``; data, anchors, step, seed: see `coverage`.
    """
    motion = _seen(data, anchors, step, seed)
    parsed = parse_group(group, motion.dim) if isinstance(group, str) else group.for_dimension(motion.dim)
    return _judge(parsed, motion, seed)[:2]


def _seen(data: Dataset | Motion, anchors: Int | None, step: int, seed: int) -> Motion:
    return data if isinstance(data, Motion) else observe(data, anchors, step=step, seed=seed)


def _judge(group: LinearGroup, motion: Motion, seed: int) -> tuple[bool, str, dict[str, float | None]]:
    """Verdict, sentence, and the covered shares."""
    shifts = group.shifts()
    if len(shifts) and not len(group.generators()) and len(group.components()) == 1:
        return *_judge_places(group, motion, shifts), {}
    cells = cells_for(group, motion.up)
    heading = covered_share(group, directions(motion, motion.velocity, cells.axis), cells, seed)
    shares: dict[str, float | None] = {"headings": heading, "relative positions": None}
    if not motion.lonely:
        shares["relative positions"] = covered_share(group, directions(motion, motion.position, cells.axis), cells, seed)
    known = {what: share for what, share in shares.items() if share is not None}
    poor = [f"{100 * share:.0f} % of the moved {what}" for what, share in known.items() if share < ENOUGH]
    if poor:
        text = (
            f"{group.name}: cannot tell from these data. Only {' and '.join(poor)} fall into directions that the data take often "
            f"enough ({100 * ENOUGH:.0f} % should); of what happens in the others they say little or nothing."
        )
        return False, text, shares
    alone = "" if len(known) > 1 else " (single nodes: there are no relative positions to compare)"
    seen = " and ".join(f"{100 * share:.0f} % of the moved {what}" for what, share in known.items())
    text = f"{group.name}: covered. {seen} fall into directions that the data take often enough{alone}."
    return (*_judge_places(group, motion, shifts), shares) if len(shifts) else (True, text, shares)


def _judge_places(group: LinearGroup, motion: Motion, shifts: Float) -> tuple[bool, str]:
    """Whether moments lie at places different enough, along every shift (k, 3), to tell whether the place matters."""
    spread = float(np.std(motion.place @ shifts.T, axis=0).min())
    size = float(np.sqrt((motion.position**2).sum(axis=1).mean()))
    said = f"the places of moments spread over {spread:.3g} {motion.unit}, nodes lie {size:.3g} {motion.unit} from their mean"
    if spread > 0 and spread >= PLACES * size:
        return True, f"{group.name}: covered. Along every shift {said}."
    return (
        False,
        f"{group.name}: cannot tell from these data. Along one shift {said}: too little to see whether the place matters.",
    )


def _heading(motion: Motion, seed: int) -> dict[str, Any]:
    """Resultants of the headings about the up axis, with 95 % bootstrap intervals by scene (None with one scene)."""
    found = directions(motion, motion.velocity, motion.up)
    angle = angles_about(found.unit, motion.up)
    one, two = _resultant(found, np.exp(1j * angle)[:, None], seed), _resultant(found, np.exp(2j * angle)[:, None], seed)
    return {
        "about": motion.frame.up if motion.dim == 3 and motion.frame.up != "none" else "z",
        "R1": one["length"],
        "R1_interval": one["interval"],
        "R2": two["length"],
        "R2_interval": two["interval"],
        "mean_degrees": _degrees(one["mean"][0], 1),
        "line_degrees": _degrees(two["mean"][0], 2),
        "n": len(angle),
        "slow": 1 - len(angle) / len(motion.window),
        "slowest": found.shortest,
        "scenes": len(np.unique(found.scene)),
        "tracks": len(np.unique(found.track)),
        "bins": np.histogram(angle, bins=BINS, range=(-np.pi, np.pi))[0].tolist(),
        "intervals_because": "" if one["interval"] else "one scene: nothing to draw scenes from, so there are no intervals",
    }


def _sphere(motion: Motion, seed: int) -> dict[str, Any]:
    """Resultant vector of the directions of motion in space, and their second moments: 1/3 each if all directions are alike."""
    found = directions(motion, motion.velocity)
    mean = _resultant(found, found.unit.astype(complex), seed)
    values, vectors = np.linalg.eigh(np.einsum("m,mi,mj->ij", found.weight, found.unit, found.unit))
    counts = np.bincount(Cells(None).of(found.unit), minlength=Cells(None).count)
    return {
        "mean": mean["mean"].real.tolist(),
        "R": mean["length"],
        "R_interval": mean["interval"],
        "second_moments": values[::-1].tolist(),
        "principal_directions": vectors.T[::-1].tolist(),
        "n": len(found.unit),
        "cells": counts.tolist(),
    }


def _resultant(found: Directions, phases: NDArray[np.complex128], seed: int) -> dict[str, Any]:
    """Weighted mean of the phases (M, C), its length, and the 95 % interval of that over draws of whole scenes."""
    if not len(phases):
        return {"mean": np.zeros(phases.shape[1], dtype=complex), "length": None, "interval": None}
    scenes, of = np.unique(found.scene, return_inverse=True)
    sums = np.zeros((len(scenes), phases.shape[1]), dtype=complex)
    np.add.at(sums, of, found.weight[:, None] * phases)
    interval = None
    if len(scenes) > 1:
        drawn = np.random.default_rng(seed).multinomial(len(scenes), np.full(len(scenes), 1 / len(scenes)), size=DRAWS)
        lengths = np.linalg.norm(drawn @ sums, axis=1) / (drawn @ np.bincount(of, found.weight))
        interval = np.quantile(lengths, [0.025, 0.975]).tolist()
    mean = sums.sum(axis=0)
    return {"mean": mean, "length": float(np.linalg.norm(mean)), "interval": interval}


def _moments(motion: Motion) -> list[dict[str, Any]]:
    """Mean and second moments of velocities and relative positions, over the D axes."""
    rows = []
    for what, unit, values in (
        ("velocity", f"{motion.unit}/s", motion.velocity),
        ("relative position", motion.unit, motion.position),
    ):
        kept = values[:, : motion.dim]
        second = kept.T @ kept / len(kept)
        rows.append({"what": what, "unit": unit, "mean": kept.mean(axis=0).tolist(), "second_moments": second.tolist()})
    return rows


def _degrees(phase: complex, fold: int) -> float | None:
    return float(np.degrees(np.angle(phase)) / fold) if abs(phase) > 0 else None
