"""Calibrating a package: sizes of regions from windows whose future is known."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.inference._scores import SHAPED_BY, Errors, conformal_quantiles, needed
from forecasting.inference.intervals import Axes, Calibration
from forecasting.inference.predictor import Predictor
from forecasting.inference.regions import checked_levels
from forecasting.plain import pick
from forecasting.trajectories.windows import Bool, Int, WindowBatch, WindowSpec

Float = NDArray[np.float64]
Progress = Callable[[int], None]
ALIKE = {"scenes": "scenes", "blocks": "blocks of time as long as a window", "windows": "windows"}
AUTO = "auto"
SHAPES = ("ball", "ellipsoid")
LEVELS = (0.8, 0.9, 0.95)
_FEWEST = 5
_TINY = 1e-9
_SLOW = 0.1
_FAR = 1 << 32


def calibrate(
    predictor: Predictor,
    parts: Iterable[WindowBatch],
    levels: tuple[float, ...] = LEVELS,
    *,
    alike: str = "auto",
    shape: str = "ball",
    progress: Progress | None = None,
) -> Calibration:
    """Split-conformal sizes of regions, for each step and for the whole way, for each node type.

    What is exchangeable with what will be forecast is a scene as a whole, or, of recordings that are few and long, a block of
    time as long as a window (`alike`). All windows and nodes of one count together as one, so that neither the nodes of a scene,
    which move together, nor windows that overlap make the sample look larger than it is; see `conformal_quantiles`. ``windows``
    takes each window for itself, as the only way for few short recordings: overlapping ones tell much the same, so that sizes
    vary more than their number suggests, and nothing is promised.

    A score is the distance from the truth to the nearest hypothesis, divided by the predicted scale where there is one; of a
    whole way, the largest over the steps, each in units of its own typical size, of the hypothesis for which that is least.
    Typical sizes and the axes of ellipsoids come from every fifth scene, block or window, quantiles from the others. A type with
    too few of its own has the sizes of all types together.

    Args:
        predictor: of the package; parts: windows that it has not learned from.
        levels: shares of truths to be held.
        alike: ``scenes``, ``blocks``, ``windows``, or ``auto``: scenes where there are enough, else blocks.
        shape: ``ball``, or ``ellipsoid`` along and across a node's velocity.
        progress: called with the number of windows done.

    Raises:
        DataError: if there are too few for the highest level; says how many it takes.
        UsageError: if a level or a choice is not one.
    """
    levels = checked_levels(levels)
    pick({**ALIKE, AUTO: ""}, alike, "alike")
    pick(dict.fromkeys(SHAPES), shape, "shape")
    errors, choices, scaled = _gathered(predictor, parts, progress)
    enough = _enough(max(levels))
    if alike == AUTO:
        alike = "scenes" if len(np.unique(choices["scenes"])) >= enough else "blocks"
    known = replace(errors, group=choices[alike]).of(np.any(errors.valid, axis=1))
    groups = len(np.unique(known.group))
    if groups < enough:
        raise _too_few(groups, alike, max(levels))
    types = predictor.package.schema.node_types
    shaping, sizing = known.parted()
    axes = _axes(shaping, len(types)) if shape == "ellipsoid" else None
    by_step = known if axes is None else sizing
    steps, own = _steps(by_step, by_step.sizes(axes).min(axis=1), len(types), levels, alike)
    profile = _typical(shaping, shaping.sizes(axes).min(axis=1), len(types))
    return Calibration(
        levels=levels,
        node_types=types,
        steps=steps,
        joint=_joint(sizing, sizing.sizes(axes), profile, levels),
        profile=profile,
        scaled=scaled,
        axes=axes,
        about={
            "alike": alike,
            "groups": groups,
            "nodes": len(known.kind),
            "pooled": [name for name, alone in zip(types, own, strict=True) if not alone],
        },
    )


def _gathered(
    predictor: Predictor, parts: Iterable[WindowBatch], progress: Progress | None
) -> tuple[Errors, dict[str, Int], bool]:
    """The errors, each node's scene, block and window, and whether errors are in units of predicted scales."""
    span = _span(predictor.package.window)
    found: list[tuple[Any, ...]] = []
    done, scaled = 0, False
    for windows in parts:
        answers = predictor.answers(windows)
        away = windows.future[:, None] - answers.positions
        if answers.scale is not None:
            scaled, away = True, away / answers.scale[..., None]
        where = windows.window_of_node
        scene = windows.scene[where]
        anchor = scene * _FAR + windows.anchor[where]
        found.append((away, windows.future_valid, windows.velocity[:, -1], windows.node_type, scene, anchor))
        done += len(windows)
        if progress:
            progress(done)
    if not found:
        raise DataError("there is no window to calibrate on")
    away, valid, velocity, kind, scene, anchor = (np.concatenate(each) for each in zip(*found, strict=True))
    choices = {"scenes": scene, "blocks": scene * _FAR + anchor % _FAR // span, "windows": anchor}
    return Errors(away, valid.astype(bool), velocity, kind, scene), choices, scaled


def _span(window: WindowSpec) -> int:
    """Frames of a window."""
    return window.past + window.future + 1


def _enough(level: float) -> int:
    """Groups that a level takes, with those that give the shapes."""
    return ceil(needed(level) * SHAPED_BY / (SHAPED_BY - 1))


def _too_few(found: int, alike: str, level: float, where: str = "") -> DataError:
    weaker = list(ALIKE)[list(ALIKE).index(alike) + 1 :]
    return DataError(
        f"{found} {ALIKE[alike]} with a known future{where} are too few for the level {level:g}: it takes {_enough(level)}; "
        "calibrate on more data, or ask for lower --levels" + (f", or take --alike {weaker[0]}" if weaker else "")
    )


def _steps(errors: Errors, nearest: Float, types: int, levels: tuple[float, ...], alike: str) -> tuple[Float, list[bool]]:
    """(L, types, H) quantiles of scores (M, H), and for each type whether it has its own at every step."""
    count = errors.valid.shape[1]
    found, own = np.zeros((len(levels), types, count)), [True] * types
    for step in range(count):
        seen = errors.valid[:, step]
        pooled = conformal_quantiles(nearest[seen, step], errors.group[seen], levels)
        if pooled is None:
            raise _too_few(len(np.unique(errors.group[seen])), alike, max(levels), f" at step {step + 1} of the horizon")
        for kind in range(types):
            rows = seen & (errors.kind == kind)
            alone = conformal_quantiles(nearest[rows, step], errors.group[rows], levels)
            found[:, kind, step] = pooled if alone is None else alone
            own[kind] = own[kind] and alone is not None
    return found, own


def _joint(errors: Errors, sizes: Float, profile: Float, levels: tuple[float, ...]) -> Float | None:
    """(L, types) quantiles over the nodes that were seen at every step; None where these are too few."""
    whole: Bool = np.all(errors.valid, axis=1)
    chosen = errors.of(whole)
    scores = (sizes[whole] / profile[chosen.kind][:, None]).max(axis=2).min(axis=1)
    pooled = conformal_quantiles(scores, chosen.group, levels)
    if pooled is None:
        return None
    found = np.zeros((len(levels), len(profile)))
    for kind in range(len(profile)):
        rows = chosen.kind == kind
        alone = conformal_quantiles(scores[rows], chosen.group[rows], levels)
        found[:, kind] = pooled if alone is None else alone
    return found


def _typical(errors: Errors, sizes: Float, types: int) -> Float:
    """(types, H) median of sizes (M, H), of all types where a type is rare; never 0."""

    def median(rows: Bool) -> Float:
        values = np.where(errors.valid[rows], sizes[rows], np.nan)
        known: Bool = np.any(errors.valid[rows], axis=0)
        return np.array([np.nanmedian(values[:, step]) if known[step] else np.nan for step in range(values.shape[1])])

    return _filled(errors, median, types)


def _axes(errors: Errors, types: int) -> Axes:
    """Root mean squares along and across the velocity."""
    speed = np.linalg.norm(errors.velocity, axis=1)
    moving = speed > 0
    usual = float(np.sqrt((speed[moving] ** 2).mean())) if moving.any() else 1.0
    error = errors.nearest()
    heading = errors.velocity / np.where(moving, speed, 1.0)[:, None]
    dim = error.shape[2]
    along = np.einsum("nhd,nd->nh", error, heading) ** 2
    across = np.maximum((error**2).sum(-1) - along, 0.0) / (dim - 1)
    even = (error**2).sum(-1) / dim
    along, across = (np.where(moving[:, None], each, even) for each in (along, across))

    def root_mean(squares: Float) -> Callable[[Bool], Float]:
        def of(rows: Bool) -> Float:
            count = errors.valid[rows].sum(axis=0)
            mean = (squares[rows] * errors.valid[rows]).sum(axis=0) / np.maximum(count, 1)
            return np.where(count > 0, np.sqrt(mean), np.nan)

        return of

    return Axes(_filled(errors, root_mean(along), types), _filled(errors, root_mean(across), types), _SLOW * usual)


def _filled(errors: Errors, measure: Callable[[Bool], Float], types: int) -> Float:
    """(types, H) a measure of the nodes of each type; of all where a type is rare, the nearest step's where one is not seen."""
    everyone = _complete(measure(np.ones(len(errors.kind), dtype=bool)))
    found = np.tile(everyone, (types, 1))
    for kind in range(types):
        rows = errors.kind == kind
        if len(np.unique(errors.group[rows])) >= _FEWEST:
            own = measure(rows)
            found[kind] = np.where(np.isnan(own), everyone, own)
    largest = float(found.max())
    return np.maximum(found, _TINY * largest) if largest > 0 else np.ones_like(found)


def _complete(values: Float) -> Float:
    known = np.flatnonzero(~np.isnan(values))
    return np.interp(np.arange(len(values)), known, values[known]) if len(known) else np.ones_like(values)
