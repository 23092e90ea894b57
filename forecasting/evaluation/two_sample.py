"""Whether the data and their moved copies could come from one distribution, without any model."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.evaluation._energy import dependence_test, energy_test, holm
from forecasting.evaluation._motion import Motion, observe
from forecasting.evaluation._moved_motion import Elsewhere, Move, moves_for
from forecasting.evaluation._window_features import Scales, window_features
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]

LEVEL = 0.05
ENOUGH_SCENES = 24
"""Fewer scenes are cut into pieces of time, to have that many blocks to permute."""
BLOCKS, ROWS = 512, 1024
"""The largest numbers of blocks, and of moments in all, that are compared."""


def two_sample(
    data: Dataset | Motion,
    anchors: Int | None = None,
    *,
    step: int = 1,
    seed: int = 0,
    permutations: int = 999,
    moves: list[Move | Elsewhere] | None = None,
) -> list[dict[str, Any]]:
    """Compare one half of the scenes as they are with moved copies of the other half, for every group.

    For translations: whether the motion depends on the place, of all scenes (the distance correlation of the two).

    Independent blocks are scenes, or pieces of time where there are fewer than 24 scenes. At most 512 blocks and 1024 moments
    in all are taken, evenly spaced; each block moves as a whole and blocks are permuted as a whole, so that the p-value is
    right however alike the moments of a block are.

    Args:
        data, anchors, step: see `coverage`.
        seed: of the halves, the moves and the permutations.
        permutations: p-values are multiples of 1/(permutations + 1).
        moves: what to compare; None takes all that fit the data.

    Returns:
        one row for each group: ``group``, ``meaning``, ``statistic`` (energy distance or distance
        correlation, 0 … 1), ``p_value``, ``p_adjusted`` (Holm,
        over the rows), ``different`` (at 5 %), ``because``, ``blocks``, ``block`` ("scenes" or "pieces of time").

    Raises:
        DataError: if the data have no motion, or are too short for two halves of four blocks.
    """
    motion = data if isinstance(data, Motion) else observe(data, anchors, step=step, seed=seed)
    block, what = _blocks(motion)
    rows = _evenly(block)
    motion, block = _only(motion, rows), np.unique(block[rows], return_inverse=True)[1]
    scales = Scales.of(motion)
    compared = moves_for(motion) if moves is None else moves
    tests = [_test(move, motion, block, scales, seed, permutations) for move in compared]
    adjusted = holm(np.array([p for _, p in tests]))
    found = []
    for move, (statistic, p_value), level in zip(compared, tests, adjusted, strict=True):
        found.append({
            "group": move.group,
            "meaning": move.meaning,
            "statistic": statistic,
            "p_value": p_value,
            "p_adjusted": float(level),
            "different": bool(level < LEVEL),
            "because": _sentence(move, bool(level < LEVEL), what),
            "blocks": int(block.max()) + 1,
            "block": what,
        })  # fmt: skip
    return found


def _test(
    move: Move | Elsewhere, motion: Motion, block: Int, scales: Scales, seed: int, permutations: int
) -> tuple[float, float]:
    """Statistic and p-value; the halves are the same for every move."""
    rng = np.random.default_rng(seed)
    features = window_features(motion, scales)
    if isinstance(move, Elsewhere):
        return dependence_test(motion.place, features, block, rng, permutations)
    blocks = int(block.max()) + 1
    second = rng.permutation(np.arange(blocks) < blocks // 2)
    moving = second[block]
    moved = move.draw(_only(motion, np.flatnonzero(moving)), block[moving], rng)
    features[moving] = window_features(moved, scales)
    return energy_test(features, block, second, rng, permutations)


def _blocks(motion: Motion) -> tuple[Int, str]:
    """(W,) number of each moment's block, and what blocks are."""
    scenes, of = np.unique(motion.scene, return_inverse=True)
    if len(scenes) >= ENOUGH_SCENES:
        return of, "scenes"
    pieces = -(-ENOUGH_SCENES // len(scenes))
    starts = np.searchsorted(of, np.arange(len(scenes) + 1))
    piece = np.zeros(len(of), dtype=np.int64)
    for first, last in pairwise(starts):
        piece[first:last] = np.arange(last - first) * pieces // (last - first)
    _, block = np.unique(of * pieces + piece, return_inverse=True)
    if block.max() + 1 < 8:
        raise DataError(
            f"{block.max() + 1} moments are too few to compare with moved copies, at least 8 are needed; give longer or more "
            "recordings"
        )
    return block, "pieces of time"


def _evenly(block: Int) -> Int:
    """Rows of at most `BLOCKS` blocks and `ROWS` moments, as many of each block."""
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    ends = np.append(starts[1:], len(block))
    some = np.unique(np.linspace(0, len(starts) - 1, min(len(starts), BLOCKS)).astype(int))
    each = ROWS // len(some)
    return np.concatenate([np.unique(np.linspace(starts[at], ends[at] - 1, each).astype(int)) for at in some])


def _only(motion: Motion, rows: Int) -> Motion:
    """The moments `rows` (increasing) alone."""
    number = np.full(len(motion.scene), -1)
    number[rows] = np.arange(len(rows))
    kept = number[motion.window] >= 0
    return replace(
        motion,
        scene=motion.scene[rows],
        anchor=motion.anchor[rows],
        place=motion.place[rows],
        window=number[motion.window[kept]],
        track=motion.track[kept],
        position=motion.position[kept],
        velocity=motion.velocity[kept],
        acceleration=motion.acceleration[kept],
    )


def _sentence(move: Move | Elsewhere, different: bool, what: str) -> str:
    if different:
        said = (
            f"The data and copies {move.meaning} differ: the distribution of the motion is not symmetric. That does not say that "
            "the law of motion is not: symmetric laws give one-sided data where they start from one-sided situations."
        )
    else:
        said = (
            f"No difference was found between the data and copies {move.meaning}. That does not prove that the distribution or "
            "the law of motion is symmetric: the difference may be smaller than these data can show."
        )
    dependent = " Neighbouring pieces of one recording are not independent, so the p-value may be too small."
    return " ".join(part for part in (said, move.caution) if part) + (dependent if what != "scenes" else "")
