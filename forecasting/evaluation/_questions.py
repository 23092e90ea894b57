"""Which groups a verdict asks about, in which order, and what they mean in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation._decisions import BROKEN, KEPT
from forecasting.symmetry.groups import LinearGroup, parse_group

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """A group that may be kept or broken.

    Attributes:
        name: for people, the found axis written n; meaning: in plain words; group: itself.
    """

    name: str
    meaning: str
    group: LinearGroup

    @property
    def moves(self) -> bool:
        """Whether it is about translations."""
        return len(self.group.shifts()) > 0

    def across(self) -> Float:
        """(3, 3) projector onto what a network that keeps these translations may read of a place."""
        shifts = self.group.shifts()
        return np.eye(3) - shifts.T @ shifts


_SPACE = (
    ("O(3)", "O(3)", "turned about any axis, and mirrored"),
    ("C∞v(n)", "C∞v({n})", "turned about n, and mirrored in planes that hold n (as gravity along n allows)"),
    ("C∞h(n)", "C∞h({n})", "turned about n, and mirrored across n (as a magnetic field along n allows)"),
    ("SO(2)(n)", "SO(2)({n})", "turned about the axis n"),
    ("D∞h(n)", "D∞h({n})", "turned about n, mirrored across it and along it (as a line without direction allows)"),
    ("SO(3)", "SO(3)", "turned about any axis"),
    ("inversion", "inversion", "mirrored through a point"),
    ("O_h", "O_h", "turned and mirrored like a cube along x, y and z"),
)
_PLANE = (
    ("O(2)", "C∞v(z)", "turned in the plane, and mirrored in any line"),
    ("SO(2)", "SO(2)(z)", "turned in the plane"),
    ("mirror(n)", "mirror({m})", "mirrored in the line along n"),
    ("C_4", "C_4(z)", "turned by quarters"),
    ("C_2", "C_2(z)", "turned by a half"),
)
_SHIFTS = (
    ("translations", "T({d})", "shifted anywhere"),
    ("translations along n", "T∥({n})", "shifted along the axis n"),
    ("translations across n", "T⊥({n})", "shifted at right angles to n"),
)


def questions(dim: int, axis: Float | None) -> list[Question]:
    """All questions, the order being that in which answers save others.

    Args:
        dim: of the data; axis: (3,) the preferred direction n; without one, groups about it are left out.
    """
    found = []
    n = m = ""
    if axis is not None:
        n = ",".join(f"{value:.9f}" for value in axis)
        m = ",".join(f"{value:.9f}" for value in np.cross([0.0, 0.0, 1.0], axis))
    for name, group, meaning in (*(_SPACE if dim == 3 else _PLANE), *_SHIFTS):
        if axis is None and ("{n}" in group or "{m}" in group):
            continue
        text = group.replace("T⊥({n})", "T∥({m})") if dim == 2 else group
        found.append(Question(name, meaning, parse_group(text.format(n=n, m=m, d=dim), dim)))
    return found


def implied(question: Question, answers: Sequence[tuple[Question, str]]) -> tuple[Question, str] | None:
    """The answer to another question that this one follows from, with what follows; None if none does.

    A kept group keeps its subgroups; a group with a broken subgroup is broken.
    """
    for other, answer in answers:
        if other.moves != question.moves:
            continue
        if answer == KEPT and other.group.contains(question.group):
            return other, KEPT
        if answer == BROKEN and question.group.contains(other.group):
            return other, BROKEN
    return None
