"""The curves of robustness: along each, inputs are moved further and further."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation._moved_windows import Moved, by_dropout, by_noise, by_order, by_rate, by_scale, by_transform
from forecasting.packages.package import Package
from forecasting.symmetry.transforms import Orthogonal, Transform, Translation, mirror, rotation_about
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int, WindowBatch

Float = NDArray[np.float64]
ANGLES = tuple(range(-150, 181, 30))
SHIFTS = (0.0, 0.1, 1.0, 10.0, 100.0, 1000.0)
SCALES = (0.5, 0.7, 0.9, 1.0, 1.1, 1.4, 2.0)
DROPPED = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)
NOISES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)
RATES = (1, 2, 3)
ORDERS = 3
MIRRORS = 3

Move = Callable[[WindowBatch, float, np.random.Generator], Moved]


@dataclass(frozen=True, eq=False)
class Curve:
    """A way of moving windows further and further.

    Attributes:
        name: of the plot; unit: of x; meaning: one sentence for people.
        x: how far; move: makes a copy that is moved so far. Its generator starts alike for every x, so that a curve follows one
            draw of axes, noise and nodes.
        labels: what each x is, where it is only a number of a kind.
    """

    name: str
    unit: str
    meaning: str
    x: tuple[float, ...]
    move: Move
    labels: tuple[str, ...] = ()


def curves_for(package: Package, dataset: Dataset, anchors: Int) -> tuple[list[Curve], list[dict[str, str]]]:
    """The curves that make sense for a package and data, and why the others do not.

    Args:
        package: of the model; dataset: in its unit and frame.
        anchors: (W, 2) of the windows.
    """
    found = [*_turns(package), _shift(package), *_mirrors(package), _scale(package)]
    found += [_order(), _dropout(), _noise(package)]
    rates, why = _rates(package, dataset, anchors)
    return found + rates, [{"name": "time step", "because": why}] if why else []


def _turns(package: Package) -> list[Curve]:
    x = tuple(float(angle) for angle in ANGLES)
    curves = []
    for axis in "xyz" if package.schema.dim == 3 else "z":
        direction = np.eye(3)["xyz".index(axis)]
        up = package.schema.dim == 3 and package.frame.up[-1] == axis
        name = f"rotation about {axis}{' (up)' if up else ''}"

        def move(windows: WindowBatch, angle: float, _: np.random.Generator, direction: Float = direction) -> Moved:
            return by_transform(windows, _turned(direction, angle))

        curves.append(Curve(name, "°", f"scenes turned about {axis}; counterclockwise seen against the axis", x, move))
    if package.schema.dim == 3:

        def spin(windows: WindowBatch, angle: float, rng: np.random.Generator) -> Moved:
            return by_transform(windows, _turned(rng.normal(size=3), angle))

        curves.append(Curve("rotation about a random axis", "°", "scenes turned about axes drawn from all directions", x, spin))
    return curves


def _shift(package: Package) -> Curve:
    def move(windows: WindowBatch, away: float, rng: np.random.Generator) -> Moved:
        direction = rng.normal(size=3) * (np.arange(3) < package.schema.dim)
        return by_transform(windows, Translation(away * direction / np.linalg.norm(direction)))

    x = tuple(package.normalization.length * share for share in SHIFTS)
    return Curve("translation", package.unit, "scenes shifted in random directions, up to a thousand times their size", x, move)


def _mirrors(package: Package) -> list[Curve]:
    dim = package.schema.dim
    labels = [f"{axis} to −{axis}" for axis in "xyz"[:dim]] + ["random plane" if dim == 3 else "random line"] * MIRRORS

    def move(windows: WindowBatch, number: float, rng: np.random.Generator) -> Moved:
        drawn = rng.normal(size=(MIRRORS, 3)) * (np.arange(3) < dim)
        return by_transform(windows, Orthogonal(mirror(np.concatenate([np.eye(3)[:dim], drawn])[int(number)]), "mirror"))

    x = tuple(float(number) for number in range(len(labels)))
    return [Curve("reflection", "", "scenes mirrored", x, move, tuple(labels))]


def _scale(package: Package) -> Curve:
    lengths = {name for name, about in package.fields.items() if _is_length(str(about["unit"]), package.unit)}
    return Curve(
        "scale",
        "×",
        "positions, velocities and futures made larger or smaller, times left alone; errors are divided by the factor squared. "
        "Most data have no such symmetry",
        SCALES,
        lambda windows, factor, _: by_scale(windows, factor, lengths),
    )


def _order() -> Curve:
    x = tuple(float(number) for number in range(ORDERS))

    def move(windows: WindowBatch, number: float, rng: np.random.Generator) -> Moved:
        return by_order(windows, rng.spawn(ORDERS)[int(number)])

    return Curve("order of nodes", "", "the same nodes in a random order", x, move, ("random order",) * ORDERS)


def _dropout() -> Curve:
    meaning = "a share of the nodes never seen; error and residual of those that are left"
    return Curve("dropout", "share of nodes", meaning, DROPPED, by_dropout)


def _noise(package: Package) -> Curve:
    length, time, measured = package.normalization.length, package.normalization.time, "velocity" in package.fields

    def move(windows: WindowBatch, size: float, rng: np.random.Generator) -> Moved:
        return by_noise(windows, package.window, size, size / time if measured else None, rng)

    said = f"measured velocities are off by as much per {time:.3g} s" if measured else "velocities follow from the positions"
    return Curve(
        "noise",
        package.unit,
        f"seen positions off by normal noise, {said}; the error is that of the true future",
        tuple(length * share for share in NOISES),
        move,
    )


def _rates(package: Package, dataset: Dataset, anchors: Int) -> tuple[list[Curve], str]:
    spec = package.window
    if spec.history == 1:
        return [], "the model sees one frame: there is no step between the frames that it sees"
    furthest = next((rate for rate in reversed(RATES) if rate > 1 and (anchors[:, 1] >= rate * spec.past).any()), 1)
    if furthest == 1:
        return [], f"no window reaches back {2 * spec.past} frames before its anchor, which twice the time step needs"
    own = "stay as measured" if "velocity" in package.fields else "follow from the positions seen"
    meaning = (
        f"history of as many frames, each so many times the model's step before the next; velocities {own}; the same future, "
        f"of windows whose anchor has at least {furthest * spec.past} frames before it"
    )

    def move(windows: WindowBatch, every: float, _: np.random.Generator) -> Moved:
        return by_rate(windows, dataset, spec, int(every), furthest)

    return [Curve("time step", "× the model's", meaning, tuple(float(rate) for rate in RATES if rate <= furthest), move)], ""


def _turned(axis: Float, degrees: float) -> Transform:
    return Orthogonal(rotation_about(axis, np.deg2rad(degrees)), "rotation")


def _is_length(unit: str, length: str) -> bool:
    """Whether a field in `unit` grows with lengths: m, m/s, m/s² … for m; of unitless ones only those per time."""
    head, *rest = re.split(r"[/·*]", unit.replace(" ", ""))
    return head == length and (bool(rest) or length != "unitless")
