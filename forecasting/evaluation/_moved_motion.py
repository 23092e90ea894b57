"""Ways to move the motion of a block of moments: by elements of a group, to other places, backward in time, to another size."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation._motion import Motion
from forecasting.symmetry.groups import LinearGroup, parse_group
from forecasting.symmetry.groups._directions import format_direction
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
Draw = Callable[[Motion, Int, np.random.Generator], Motion]

SCALE = 2.0


@dataclass(frozen=True)
class Move:
    """One way of moving.

    Attributes:
        group: name in tables; meaning: what is done, for people; draw: moves a motion whose moments belong to the blocks (W,),
            every block as a whole and at random on its own, so that moved blocks are as independent as they were;
        caution: what the difference cannot say.
    """

    group: str
    meaning: str
    draw: Draw
    caution: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """Moving to other places: the data differ from copies at other places exactly where motion depends on the place."""

    group: str
    meaning: str = "put to the places of other pieces of the data"
    caution: str = "What starts at one place is later found where it went, so a difference is common."


def moves_for(motion: Motion) -> list[Move | Elsewhere]:
    """Everything that can be compared on data of this dimension and frame."""
    about = format_direction(tuple(motion.up))
    named = motion.dim == 3 and motion.frame.up != "none"
    axis = f"the up axis {motion.frame.up}" if named else "z"
    letters = "xyz"[: motion.dim].replace(about, "") if named else "xyz"[: motion.dim]
    found: list[Move | Elsewhere] = [
        Move(f"SO(2)({about})", f"turned about {axis}", _element(parse_group(f"SO(2)({about})", motion.dim)))
    ]
    for letter in letters:
        rest = " and ".join(other for other in "xyz"[: motion.dim] if other != letter)
        found.append(Move(f"mirror({letter})", f"mirrored along {letter}, {rest} kept", _fixed(parse_group(f"mirror({letter})"))))
    if motion.dim == 3:
        found.append(Move("SO(3)", "turned about any axis", _element(parse_group("SO(3)"))))
        found.append(Move("O(3)", "turned about any axis, or mirrored", _element(parse_group("O(3)"))))
    found.append(Elsewhere(f"T({motion.dim})"))
    found.append(Move("time reversal", "played backward", _backward))
    return [*found, Move("scale", f"{SCALE:g} times as large", _larger, caution=NO_SCALE)]


NO_SCALE = "Hardly any data are alike at every size, so a difference is the rule here."


def _element(group: LinearGroup) -> Draw:
    """Every block by one element of the group, uniform by Haar measure."""

    def draw(motion: Motion, block: Int, rng: np.random.Generator) -> Motion:
        return _turned(motion, group.sample(rng, int(block.max()) + 1)[block])

    return draw


def _fixed(group: LinearGroup) -> Draw:
    """Every block by the group's one generating element."""

    def draw(motion: Motion, block: Int, _: np.random.Generator) -> Motion:
        return _turned(motion, np.broadcast_to(group.discrete()[0], (len(block), 3, 3)))

    return draw


def _turned(motion: Motion, matrix: Float) -> Motion:
    """Moment w by matrix[w] about its own mean."""
    each = matrix[motion.window]
    position, velocity, acceleration = (
        np.einsum("mij,mj->mi", each, values) for values in (motion.position, motion.velocity, motion.acceleration)
    )
    return replace(motion, position=position, velocity=velocity, acceleration=acceleration)


def _backward(motion: Motion, _: Int, __: np.random.Generator) -> Motion:
    return replace(motion, velocity=-motion.velocity)


def _larger(motion: Motion, _: Int, __: np.random.Generator) -> Motion:
    position, velocity, acceleration = (SCALE * x for x in (motion.position, motion.velocity, motion.acceleration))
    return replace(motion, position=position, velocity=velocity, acceleration=acceleration)
