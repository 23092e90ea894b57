"""Transformed copies of test windows: one random transform for every chunk of windows, from a fixed seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from forecasting.symmetry.transforms import (
    Orthogonal,
    Transform,
    Translation,
    mirror,
    random_rotation,
    rotation_about,
)
from forecasting.trajectories.trajectory import Frame

Draw = Callable[[np.random.Generator], Transform]


@dataclass(frozen=True)
class Copy:
    """A way of copying the test set.

    Attributes:
        name: in tables; meaning: one sentence for people; draw: makes a transform.
    """

    name: str
    meaning: str
    draw: Draw


def copies_for(dim: int, frame: Frame, length: float) -> list[Copy]:
    """The copies that make sense for data of this dimension and frame.

    Args:
        dim: planar data turn about z and mirror in lines only.
        frame: its up axis is the axis of "yaw"; without one, z stands in.
        length: [unit] size of a scene; translations go ten times as far.
    """
    up = frame.up_vector if dim == 3 and frame.up_vector is not None else np.array([0.0, 0.0, 1.0])
    named = dim == 3 and frame.up_vector is not None

    def yaw(rng: np.random.Generator) -> Transform:
        return Orthogonal(rotation_about(up, rng.uniform(0, 2 * np.pi)), "yaw")

    def turn(rng: np.random.Generator) -> Transform:
        return Orthogonal(random_rotation(rng), "so3")

    def shift(rng: np.random.Generator) -> Transform:
        direction = rng.normal(size=3) * (np.arange(3) < dim)
        return Translation(10 * length * direction / np.linalg.norm(direction))

    def reflect(rng: np.random.Generator) -> Transform:
        normal = rng.normal(size=3)
        if dim == 2 or named:
            normal -= up * (normal @ up)
        return Orthogonal(mirror(normal), "mirror")

    about = f"the up axis {frame.up}" if named else "z"
    found = [Copy("yaw", f"turned about {about} by a uniform angle", yaw)]
    if dim == 3:
        found.append(Copy("so3", "turned by a uniform rotation in space", turn))
    across = f"a random plane that holds {about}" if dim == 2 or named else "a random plane"
    found += [
        Copy("translated", "shifted in a random direction by ten times the size of a scene", shift),
        Copy("mirrored", f"mirrored in {across}", reflect),
    ]
    return found
