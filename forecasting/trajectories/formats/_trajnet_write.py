"""Writing TrajNet++ ndjson: scenes, and forecasts as predictions."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.files import atomic_file
from forecasting.trajectories.formats._future import Future, require_planar_metres
from forecasting.trajectories.trajectory import Frame, Source, Trajectory

LARGEST_FRAME = 2**53
"""From here on, a frame number is not exact as a float."""

OUR_KEYS = ("name", "rate", "type", "partition")
CLOCK_ERROR = 1e-3
"""Frames by which the time of a forecast may miss a whole frame."""

_Int = NDArray[np.int64]
_Float = NDArray[np.float64]
_Row = dict[str, Any]


def write_scenes(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Write scenes to one file; see `TrajnetFormat.write`.

    Raises:
        UsageError: if there are none, two have one name, or one cannot be held; names it.
    """
    ids, names = _Ids(), set[str]()
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for scene in trajectories:
            if scene.scene in names:
                raise UsageError(f"{path}: two scenes are called '{scene.scene}'; rename one")
            names.add(scene.scene)
            _write_scene(file, scene, ids)
        if not names:
            raise UsageError(f"{path}: there are no scenes to write")


def write_predictions(path: Path, forecasts: Iterable[Future]) -> dict[str, int]:
    """Write forecasts to one file; see `TrajnetFormat.write_forecasts`."""
    ids, count, rows = _Ids(), 0, 0
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for forecast in forecasts:
            rows += _write_forecast(file, forecast, ids)
            count += 1
        if not count:
            raise UsageError(f"{path}: there are no forecasts to write")
    return {"forecasts": count, "rows": rows}


class _Ids:
    """Numbers for scene rows, each given once to a file."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._next = 0

    def keep(self, rows: Sequence[_Row]) -> list[_Row]:
        """The rows, each under its own number or, where that is taken, a new one."""
        self._next = max([self._next, *(row["id"] + 1 for row in rows)])
        return [{**row, "id": self._take(row["id"])} for row in rows]

    def new(self, source: Sequence[_Row] = ()) -> int:
        """A number that neither this file nor the rows of the source have."""
        self._next = max([self._next, *(row["id"] + 1 for row in source)])
        return self._take(self._next)

    def _take(self, wanted: int) -> int:
        chosen = wanted if wanted not in self._used else self._next
        self._used.add(chosen)
        self._next = max(self._next, chosen + 1)
        return chosen


def _write_scene(file: IO[str], scene: Trajectory, ids: _Ids) -> None:
    _refuse_losses(scene)
    hint = _rate(scene.source)
    rate, frames = exact_clock(scene, hint)
    node_ids = _whole_ids(scene.scene, scene.node_ids)
    keep = scene.valid.copy()
    keep[0] |= ~scene.valid.any(axis=0)
    keep[:, 0] |= ~keep.any(axis=1)
    node, step = np.nonzero(keep.T)
    places = np.where(scene.valid[..., None], scene.positions, np.nan)[step, node]
    people = set(node_ids.tolist())
    rows = ids.keep([row for row in _kept(scene.source) if rate == hint and row["p"] in people])
    rows = rows or [_scene_row(ids.new(), node_ids[0], frames, rate)]
    own: _Row = {"name": scene.scene, "rate": rate}
    kinds = set(scene.node_types.tolist())
    own |= {"type": kinds.pop()} if kinds != {"pedestrian"} else {}
    own |= {"partition": scene.partition} if scene.partition else {}
    file.writelines(json.dumps({"scene": {**row, **own}}) + "\n" for row in rows)
    file.writelines(_track_rows(frames[step], node_ids[node], places, f', "scene_id": {rows[0]["id"]}'))


def _write_forecast(file: IO[str], forecast: Future, ids: _Ids) -> int:
    """Returns the number of track rows."""
    require_planar_metres(forecast.scene, forecast.positions.shape[3], forecast.unit, "TrajNet++")
    if np.isinf(forecast.positions).any():
        raise UsageError(f"scene '{forecast.scene}': the forecast is infinite somewhere, which JSON cannot hold")
    node_ids = _whole_ids(forecast.scene, forecast.node_ids)
    rate, anchor, frames = _forecast_clock(forecast)
    people, kept = set(node_ids.tolist()), _kept(forecast.source)
    rows = ids.keep([row for row in kept if row["s"] <= anchor < row["e"] == frames[-1] and row["p"] in people])
    rows = rows or [_scene_row(ids.new(kept), node_ids[0], np.array([anchor, *frames]), rate)]
    own = {"name": forecast.scene, "rate": rate}
    file.writelines(json.dumps({"scene": {**row, **own}}) + "\n" for row in rows)
    count = 0
    for row in rows:
        for number, hypothesis in enumerate(np.argsort(-forecast.weights, kind="stable")):
            places = forecast.positions[:, hypothesis]
            node, step = np.nonzero(~np.isnan(places).any(axis=2))
            tail = f', "prediction_number": {number}, "scene_id": {row["id"]}'
            file.writelines(_track_rows(frames[step], node_ids[node], places[node, step], tail))
            count += len(node)
    return count


def _refuse_losses(scene: Trajectory) -> None:
    require_planar_metres(scene.scene, scene.dim, scene.unit, "TrajNet++")
    if not scene.valid.size:
        frames, nodes = scene.valid.shape
        raise UsageError(f"scene '{scene.scene}' has {frames} frames and {nodes} nodes: no rows to write")
    losses = {
        f"its fields ({', '.join(scene.fields)})": bool(scene.fields),
        f"its {len(scene.edges)} connections": bool(len(scene.edges)),
        f"its node types ({', '.join(sorted(set(scene.node_types.tolist())))})": len(set(scene.node_types.tolist())) > 1,
        f"its frame (up {scene.frame.up}, {scene.frame.handedness}-handed)": scene.frame != Frame(),
        "its infinite coordinates": not np.isfinite(scene.positions[scene.valid]).all(),
    }
    lost = [what for what, there in losses.items() if there]
    if lost:
        raise UsageError(f"scene '{scene.scene}': TrajNet++ has no place for {' and '.join(lost)}; write parquet, csv or npz")


def _whole_ids(scene: str, ids: NDArray[Any]) -> _Int:
    if ids.dtype.kind not in "iu" or (ids.dtype.kind == "u" and ids.max(initial=0) > np.iinfo(np.int64).max):
        raise UsageError(f"scene '{scene}' has the node id {ids[:1].tolist()}; TrajNet++ holds whole numbers only: renumber them")
    return ids.astype(np.int64)


def exact_clock(scene: Trajectory, hint: float | None) -> tuple[float, _Int]:
    """A rate [frames/s] and (T,) whole frame numbers with frame / rate equal to the times, to the last bit.

    Args:
        scene: whose times are meant.
        hint: rate to try first.

    Raises:
        UsageError: if there is none.
    """
    for rate in _rates(scene.time, hint):
        frames = np.rint(scene.time * rate)
        if (np.abs(frames) < LARGEST_FRAME).all() and (frames / rate == scene.time).all():
            return rate, frames.astype(np.int64)
    raise UsageError(
        f"scene '{scene.scene}': its times do not lie on an even grid of frames (frame / rate), and TrajNet++ holds frame "
        "numbers only; bring it to one rate with `forecast ingest --resample`, or write parquet, csv or npz"
    )


def _rates(time: _Float, hint: float | None) -> Iterator[float]:
    if hint is not None:
        yield hint
    gap = float(np.diff(time).min()) if len(time) > 1 else 1.0
    if not 1e-300 < gap < 1e300:
        return
    for many in range(1, 101):
        for digits in (4, 6, 9, 12, 17):
            yield float(f"{many / gap:.{digits}g}")
            yield 1 / float(f"{gap / many:.{digits}g}")


def _forecast_clock(forecast: Future) -> tuple[float, int, _Int]:
    """The rate [frames/s], the frame of the anchor, and (H,) those of the forecast."""
    times = np.array([forecast.anchor_time, *forecast.time])
    rate = _rate(forecast.source) or float(f"{1 / np.diff(times).min():.9g}")
    frames = np.rint(times * rate)
    if not (np.abs(times * rate - frames) <= CLOCK_ERROR).all() or not (np.diff(frames) > 0).all():
        raise UsageError(
            f"scene '{forecast.scene}': the times of its forecast from {forecast.anchor_time:.6g} s are no whole frames at "
            f"{rate:.6g} frames/s; say the true rate with --rate"
        )
    return rate, int(frames[0]), frames[1:].astype(np.int64)


def _scene_row(number: int, person: int, frames: _Int, rate: float) -> _Row:
    step = int(np.gcd.reduce(np.diff(frames))) if len(frames) > 1 else 1
    return {"id": number, "p": int(person), "s": int(frames[0]), "e": int(frames[-1]), "fps": rate / step, "tag": 0}


def _rate(source: Source) -> float | None:
    rate = source.options.get("rate")
    return float(rate) if isinstance(rate, (int, float)) and 0 < rate < math.inf else None


def _kept(source: Source) -> list[_Row]:
    """The scene rows of the TrajNet++ file that a scene came from, as that file had them."""
    if source.format != "trajnet":
        return []
    rows: Iterable[Mapping[str, Any]] = source.options.get("scenes", ())
    return [{key: value for key, value in row.items() if key not in OUR_KEYS} for row in rows]


def _track_rows(frames: _Int, people: _Int, places: _Float, tail: str) -> Iterator[str]:
    texts = list(map(repr, places.ravel().tolist()))
    for missing in np.flatnonzero(np.isnan(places)).tolist():
        texts[missing] = "null"
    for frame, person, x, y in zip(frames.tolist(), people.tolist(), texts[::2], texts[1::2], strict=True):
        yield f'{{"track": {{"f": {frame}, "p": {person}, "x": {x}, "y": {y}{tail}}}}}\n'
