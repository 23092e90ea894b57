"""Skeletons of rigid bones: from channels per frame (angles, translations) to joint positions, and the text they stand in."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._rotations import turn

CHUNK = 1 << 16
"""Joints times frames that are placed at a time, so that rotations of long recordings need little memory."""

JOINTS_PER_CHANNEL = 16
"""More joints than this for every channel are refused: a small file could ask for any amount of memory."""


@dataclass(frozen=True, eq=False)
class Joint:
    """A joint, its place in the tree and the channels that move it.

    Its rotation is that of its parent times ``basis · turns · basisᵀ``. It lies at its parent's place, plus `start` and the
    shifts in the parent's frame, plus `end` in its own.

    Attributes:
        name: unique in the skeleton.
        parent: index of an earlier joint, or -1.
        start: (3,) offset in the parent's frame.
        end: (3,) offset in its own frame, turned by its own channels.
        basis: (3, 3) the axes that its channels refer to.
        shifts: (axis, channel) of translations; along the axes of `basis`, for a root along those of the world.
        turns: (axis, channel) of rotations, in the order of the matrix product.
        stretch: channel added to the length along `direction`, or -1.
        direction: (3,) of the bone in its own frame.
    """

    name: str
    parent: int
    start: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    end: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    basis: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    shifts: tuple[tuple[int, int], ...] = ()
    turns: tuple[tuple[int, int], ...] = ()
    stretch: int = -1
    direction: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))


def place(joints: Sequence[Joint], channels: NDArray[np.float64], *, degrees: bool) -> NDArray[np.float64]:
    """Forward kinematics.

    Args:
        joints: N, parents before their children.
        channels: (T, K) as in the file.
        degrees: whether angles are degrees (else radians).

    Returns:
        (T, N, 3) positions in the unit of the offsets.
    """
    positions = np.empty((len(channels), len(joints), 3))
    step = max(1, CHUNK // len(joints))
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(channels), step):
            part = slice(first, first + step)
            _place(joints, channels[part], np.pi / 180 if degrees else 1.0, positions[part])
    return positions


def check_moves(path: Path, joints: Sequence[Joint], channels: int) -> None:
    """Refuse skeletons that hardly move.

    Raises:
        DataError: if there are many more joints than channels.
    """
    if len(joints) > JOINTS_PER_CHANNEL * (channels + 1):
        raise DataError(
            f"{path}: {len(joints)} joints have {channels} channels together, expected one channel for {JOINTS_PER_CHANNEL} "
            "joints at least; leave out joints that never move"
        )


def bones(joints: Sequence[Joint]) -> NDArray[np.int64]:
    """(E, 2) pairs (child, parent)."""
    pairs = [(index, joint.parent) for index, joint in enumerate(joints) if joint.parent >= 0]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _place(joints: Sequence[Joint], channels: NDArray[np.float64], scale: float, positions: NDArray[np.float64]) -> None:
    frames = len(channels)
    rotations: list[NDArray[np.float64]] = []
    for index, joint in enumerate(joints):
        root = joint.parent < 0
        rotation = np.broadcast_to(np.eye(3), (frames, 3, 3)) if root else rotations[joint.parent]
        shift = np.zeros((frames, 3))
        for axis, channel in joint.shifts:
            shift[:, axis] = channels[:, channel]
        start = joint.start + (shift if root else shift @ joint.basis.T)
        positions[:, index] = start if root else positions[:, joint.parent] + np.einsum("tij,tj->ti", rotation, start)
        if joint.turns:
            rotation = _times(rotation, joint.basis)
            for axis, channel in joint.turns:
                rotation = turn(rotation, axis, scale * channels[:, channel])
            rotation = _times(rotation, joint.basis.T)
        rotations.append(rotation)
        positions[:, index] += rotation @ joint.end
        if joint.stretch >= 0:
            positions[:, index] += (rotation @ joint.direction) * channels[:, joint.stretch, None]


def _times(rotations: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return (rotations.reshape(-1, 3) @ matrix).reshape(rotations.shape)


def words_per_line(text: bytes) -> NDArray[np.int64]:
    """How many words, parted by blanks, each line has."""
    letters = np.frombuffer(text, dtype=np.uint8)
    blank = (letters == 32) | ((letters >= 9) & (letters <= 13))
    begins = ~blank
    begins[1:] &= blank[:-1]
    ends = np.flatnonzero(letters == 10)
    total = np.concatenate([[0], np.searchsorted(np.flatnonzero(begins), ends), [np.count_nonzero(begins)]])
    return np.diff(total)


def parse_numbers(text: bytes, count: int) -> NDArray[np.float64] | None:
    """The `count` numbers between blanks that the text consists of, or None if it is anything else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            values = np.fromstring(text, dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return values if len(values) == count else None


def bad_number(words: Sequence[bytes]) -> int:
    """Index of the first word that is no finite number, or -1."""
    for index, word in enumerate(words):
        value = parse_numbers(word, 1)
        if value is None or not np.isfinite(value[0]):
            return index
    return -1
