"""Which groups a world keeps, worked out from the groups of the forces that make it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.symmetry.groups import GROUPS, LinearGroup

ABOUT_AXIS = ("D∞h", "C∞h", "C∞v", "SO(2)")


def group(name: str, axis: NDArray[np.float64] | None = None) -> LinearGroup:
    """The group called `name`, about `axis` (3,) where it has one."""
    return GROUPS[name]() if axis is None else GROUPS[name](direction=tuple(axis.tolist()))


def truth(
    forces: Sequence[LinearGroup], axis: NDArray[np.float64], *, along: bool, across: bool, reversal: bool, scale: bool
) -> dict[str, bool]:
    """Every group that worlds speak about, and whether the motion keeps it.

    Forces of different kinds (constant, linear, cubic, between bodies) cannot make up for each other, so an orthogonal
    transform about the origin is kept exactly where every force keeps it.

    Args:
        forces: the largest group of each force that acts.
        axis: (3,) n; any where the world has none.
        along, across: whether translations along and across n are kept.
        reversal: whether positions go back the way they came when velocities are reversed.
        scale: whether positions and velocities may be multiplied by a number at the same times.
    """
    groups = {"O(3)": group("O(3)"), "SO(3)": group("SO(3)")}
    groups |= {f"{name}(n)": group(name, axis) for name in ABOUT_AXIS}
    groups |= {"inversion": group("inversion"), "O_h": group("O_h")}
    kept = {name: all(force.contains(member) for force in forces) for name, member in groups.items()}
    return kept | {
        "translations": along and across,
        "translations along n": along,
        "translations across n": across,
        "time reversal": reversal,
        "scale": scale,
    }
