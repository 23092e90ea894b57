"""Scenes of a request as trajectories, and trajectories as scenes of an answer."""

from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.packages.package import Package
from forecasting.service.fields import fields_of, plain_fields
from forecasting.service.limits import Limits
from forecasting.service.problems import Problem, too_large
from forecasting.service.schemas import Numbers, Scene
from forecasting.trajectories.trajectory import Frame, Source, Trajectory
from forecasting.trajectories.units import parse_unit

Float = NDArray[np.float64]
LARGEST_ID = 1 << 63
_NUMBER = {int, float}
_unit = lru_cache(parse_unit)
_NO_EDGES = np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype="<U1")


def trajectory_of(scene: Scene, index: int, shared: Numbers, package: Package, limits: Limits) -> Trajectory:
    """A scene of a request.

    Args:
        scene: parsed; index: its place in the request, and its name where it has none; shared: what is said for all scenes.
        package: whose fields it is to have; limits: of frames and nodes.

    Raises:
        Problem: 422 that says where it is wrong, or 413.
        UsageError: if its unit is malformed.
    """
    where = f"scene '{scene.scene if scene.scene is not None else index}'"
    numbers, seen = _positions(scene.positions, where, limits)
    frames, nodes, dim = numbers.shape
    if dim != package.schema.dim:
        raise Problem(422, f"{where} has {dim} coordinates; the model was trained on {package.schema.dim}")
    text = scene.unit or shared.unit
    if not text:
        raise Problem(422, f"{where} does not say the unit of its positions; say it with `unit`", missing="unit")
    unit = _unit(text, dim)
    kinds = _types(scene.node_types, nodes, where, package)
    edges, edge_types = _edges(scene, nodes, where, package) if scene.edges else _NO_EDGES
    return Trajectory(
        scene=str(index) if scene.scene is None else scene.scene,
        time=_time(scene, shared, frames, where),
        positions=unit.from_file(numbers),
        valid=seen,
        node_ids=np.arange(nodes) if scene.node_ids is None else _ids(scene.node_ids, nodes, where),
        node_types=kinds,
        unit=unit,
        frame=_frame(scene, shared, dim, where, package),
        edges=edges,
        edge_types=edge_types,
        fields=fields_of(scene.fields, (frames, nodes, dim), where, package, unit) if package.fields else {},
        source=Source(),
    )


def plain_scene(scene: Trajectory, package: Package | None) -> dict[str, Any]:
    """A trajectory as a scene that `trajectory_of` takes, in the numbers of its file, with the fields that the package knows."""
    places: list[Any] = scene.unit.to_file(scene.positions).tolist()
    if not scene.valid.all():
        places = [
            [place if seen else None for place, seen in zip(*row, strict=True)]
            for row in zip(places, scene.valid.tolist(), strict=True)
        ]
    return {
        "scene": scene.scene,
        "unit": str(scene.unit),
        "up": scene.frame.up,
        "handedness": scene.frame.handedness,
        "time": scene.time.tolist(),
        "positions": places,
        "node_ids": scene.node_ids.tolist(),
        "node_types": scene.node_types.tolist(),
        "edges": scene.edges.tolist(),
        "edge_types": scene.edge_types.tolist(),
        "fields": plain_fields(scene, package),
    }


def _positions(plain: Any, where: str, limits: Limits) -> tuple[Float, NDArray[np.bool_]]:
    """(T, N, D) numbers, NaN where not observed, and (T, N) whether they were."""
    if not isinstance(plain, list) or not plain or set(map(type, plain)) != {list}:
        raise Problem(422, f"{where}: positions must be a list of frames, each a list of nodes")
    lengths = set(map(len, plain))
    frames, nodes = len(plain), max(lengths)
    for what, found, most in (("frames", frames, limits.frames), ("nodes", nodes, limits.nodes)):
        if found > most:
            raise too_large(f"{what} in {where}", found, most)
    if len(lengths) > 1 or not nodes:
        raise Problem(422, f"{where}: every frame lists every node (null where it was not observed), found {_few(lengths)} nodes")
    points = list(chain.from_iterable(plain))
    kinds = set(map(type, points))
    seen = np.fromiter((point is not None for point in points), dtype=bool, count=len(points))
    if type(None) in kinds:
        points = [point for point in points if point is not None]
        kinds.discard(type(None))
    if kinds != {list} or (dims := set(map(len, points))) not in ({2}, {3}):
        raise Problem(
            422, f"{where}: a position is a list of 2 or of 3 numbers (the same for all), or null; one must be observed"
        )
    dim = dims.pop()
    values = numbers_of(list(chain.from_iterable(points)), f"{where}: positions").reshape(-1, dim)
    if len(points) < len(seen):
        known, values = values, np.full((len(seen), dim), np.nan)
        values[seen] = known
    return values.reshape(frames, nodes, dim), seen.reshape(frames, nodes)


def numbers_of(flat: list[Any], where: str) -> Float:
    """(n,) finite numbers.

    Raises:
        Problem: 422 if one is not.
    """
    if not set(map(type, flat)) <= _NUMBER:
        raise Problem(422, f"{where} must be numbers, found {type(next(v for v in flat if type(v) not in _NUMBER)).__name__}")
    try:
        values = np.array(flat, dtype=np.float64)
    except OverflowError:
        raise Problem(422, f"{where} must be finite numbers") from None
    if not np.isfinite(values).all():
        raise Problem(422, f"{where} must be finite numbers")
    return values


def _time(scene: Scene, shared: Numbers, frames: int, where: str) -> Float:
    if scene.time is None:
        dt = scene.dt or shared.dt
        if dt is None and frames > 1:
            raise Problem(422, f"{where} does not say its clock; say `dt` (seconds between frames) or `time`", missing="rate")
        return np.arange(frames, dtype=np.float64) * float(dt or 0.0)
    if not isinstance(scene.time, list) or len(scene.time) != frames:
        raise Problem(422, f"{where}: time must list the seconds of each of the {frames} frames")
    time = numbers_of(scene.time, f"{where}: time")
    if (np.diff(time) <= 0).any():
        raise Problem(422, f"{where}: time must increase from frame to frame")
    return time


def _frame(scene: Scene, shared: Numbers, dim: int, where: str, package: Package) -> Frame:
    up = scene.up or shared.up or ("none" if dim == 2 or package.frame.up == "none" else "")
    if not up:
        raise Problem(422, f"{where} does not say which way is up, and the model wants to know; say it with `up`", missing="up")
    if dim == 2 and up != "none":
        raise Problem(422, f"{where} is planar, so `up` must be none, found {up}")
    return Frame(up if up == "none" or up[0] in "+-" else f"+{up}", scene.handedness or shared.handedness or "right")


def _ids(plain: Any, nodes: int, where: str) -> NDArray[Any]:
    kinds = set(map(type, plain)) if isinstance(plain, list) else set()
    if len(kinds) != 1 or not kinds <= {int, str} or len(plain) != nodes:
        raise Problem(422, f"{where}: node_ids must list {nodes} integers, or as many strings")
    if len(set(plain)) < nodes:
        raise Problem(422, f"{where}: a node id stands more than once")
    if kinds == {int} and not all(-LARGEST_ID <= one < LARGEST_ID for one in plain):
        raise Problem(422, f"{where}: a node id has more than 64 bits; write it as a string")
    return np.array(plain)


def _types(plain: list[str] | None, nodes: int, where: str, package: Package) -> NDArray[np.str_]:
    known = package.schema.node_types
    if plain is None:
        if len(known) > 1:
            raise Problem(422, f"{where} has no node_types; the model tells {', '.join(known)} apart")
        return np.full(nodes, known[0])
    if len(plain) != nodes:
        raise Problem(422, f"{where}: node_types must list {nodes} strings, found {len(plain)}")
    return np.array(plain, dtype=str)


def _edges(scene: Scene, nodes: int, where: str, package: Package) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    pairs = scene.edges
    if not isinstance(pairs, list) or set(map(type, pairs)) != {list} or set(map(len, pairs)) != {2}:
        raise Problem(422, f"{where}: edges must be a list of pairs of node indices")
    flat = list(chain.from_iterable(pairs))
    if set(map(type, flat)) != {int} or min(flat) < 0 or max(flat) >= nodes:
        raise Problem(422, f"{where}: an edge joins two node indices from 0 to {nodes - 1}")
    if scene.edge_types is None:
        own = package.schema.edge_types
        return np.array(flat).reshape(-1, 2), np.full(len(pairs), own[0] if own else "edge")
    if len(scene.edge_types) != len(pairs):
        raise Problem(422, f"{where}: edge_types must list {len(pairs)} strings, found {len(scene.edge_types)}")
    return np.array(flat).reshape(-1, 2), np.array(scene.edge_types, dtype=str)


def _few(found: set[int]) -> str:
    return " and ".join(map(str, sorted(found)[:3]))
