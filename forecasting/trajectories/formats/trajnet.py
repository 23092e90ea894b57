"""TrajNet++: pedestrians as lines of JSON, scene rows and track rows."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._future import Future
from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.formats._table_notes import TableNotes
from forecasting.trajectories.formats._text import first_line, line_of_row, reading_text, sample_lines
from forecasting.trajectories.formats._trajnet_write import LARGEST_FRAME, write_predictions, write_scenes
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.formats.long_form import LongTable
from forecasting.trajectories.trajectory import Source, Trajectory

_ABSENT = type(...)
_WHOLE, _MAYBE_WHOLE = ((int,), "a whole number"), ((int, type(None), _ABSENT), "a whole number")
_NUMBER, _MAYBE_TEXT = ((int, float, type(None)), "a number"), ((str, _ABSENT), "a text")
_KEYS: Mapping[str, Mapping[str, tuple[tuple[type, ...], str]]] = {
    "scene": {**dict.fromkeys(("id", "p", "s", "e"), _WHOLE), **dict.fromkeys(("name", "type", "partition"), _MAYBE_TEXT)},
    "track": {
        **dict.fromkeys(("f", "p"), _WHOLE),
        **dict.fromkeys(("x", "y"), _NUMBER),
        **dict.fromkeys(("scene_id", "prediction_number"), _MAYBE_WHOLE),
    },
}
_KINDS: Mapping[str, pa.DataType] = {
    "f": pa.int64(),
    "p": pa.int64(),
    "x": pa.float64(),
    "y": pa.float64(),
    "scene_id": pa.int64(),
    "prediction_number": pa.int64(),
}
_Int = NDArray[np.int64]
_Row = dict[str, Any]


class TrajnetFormat(Format):
    """Lines ``{"scene": {id, p, s, e, fps, tag}}`` and ``{"track": {f, p, x, y[, prediction_number, scene_id]}}``.

    Planar metres. The tracks of a file are one scene, named after the file; those with a ``scene_id`` are one per scene
    row, called by its ``name`` or else ``STEM/scene-ID``; those with a ``prediction_number`` one each, called
    ``STEM/scene-ID/prediction-K``. The scene rows are kept in ``source.options["scenes"]``.

    The clock: ``fps`` counts rows of a person per second, while ``f`` counts frames of the video, of which only every
    n-th may have rows (fps 2.5 with frames 0, 10, 20 … is a video at 25/s). n is the greatest common divisor of the
    differences between the frames of one person, over all persons of the file (or between any frames, where every person
    has one row only; 1 for a single frame), and time = f / (fps x n). ``--rate`` says the frames of the video per second
    instead, as does the key ``rate`` in the scene rows written here.

    Beside ``rate``, scene rows written here have the keys ``name``, ``type`` (of all nodes, if it is not pedestrian) and
    ``partition``, which other readers pass over. A node or frame without any observation has a row with null coordinates.
    """

    name = "trajnet"
    summary = "TrajNet++ ndjson: scene and track rows; metres, the frame rate from its scene rows"
    suffixes = (".ndjson",)
    can_write = True

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain if its first lines are scene and track rows; see `Format.sniff`."""
        lines = [line for line in sample_lines(head)[:20] if line.strip()]
        return 0.98 if lines and not any(map(_complaint, lines)) else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the scenes in the order in which their tracks begin; see `Format.read`."""
        with reading_text(path):
            content = path.read_bytes()
        rows = list(_scene_rows(path, content))
        tracks = _Tracks.load(path, content, len(rows))
        del content
        unit = options.resolve_unit(path, 2, "m")
        frame = options.resolve_frame(path, 2)
        scenes = _SceneRows(path, rows, tracks.step)
        for scene, prediction, chosen in tracks.parts(scenes.same):
            mine = scenes.of(scene)
            rate = options.resolve_rate(path, scenes.rate(mine) if options.rate is None else None)
            layout = Layout("", "f", rate, "p", "", ("x", "y"), {}, unit, frame, bool(unit.per_axis), TableNotes())
            about = mine[0] if mine else {}
            typed = replace(options, node_type=options.node_type or str(about.get("type", "pedestrian")))
            table = LongTable(path, self.name, layout, typed, tracks.places(chosen))
            found = next(table.scenes([tracks.batch(chosen)]))
            yield replace(
                found,
                scene=_name(path, scene, prediction, about),
                source=Source(str(path), self.name, {**found.source.options, "scenes": mine}),
                partition=str(about.get("partition", "")),
            )

    def write(self, path: Path, trajectories: Iterable[Trajectory]) -> None:
        """Write scenes without fields, connections or mixed types: those have no place here. See `Format.write`."""
        write_scenes(path, trajectories)

    def write_forecasts(self, path: Path, forecasts: Iterable[Future]) -> dict[str, int]:
        """Write a TrajNet++ file of predictions, the likeliest hypothesis as number 0; weights have no place in it.

        Frame numbers go on from those of the file that a scene came from. Where a scene row of that file ends with the
        forecast, and its person is forecast, the predictions stand under that scene row; else under a new one.

        Args:
            path: ndjson file.
            forecasts: of planar scenes in metres with whole numbers as node ids.

        Returns:
            counts of forecasts and rows.

        Raises:
            UsageError: if there are none, or one cannot be held; names it.
        """
        return write_predictions(path, forecasts)


class _SceneRows:
    """The scene rows of a file."""

    def __init__(self, path: Path, rows: list[_Row], step: int) -> None:
        self._path, self._rows, self._step = path, rows, step
        self._by_id = {row["id"]: row for row in rows}
        first = {row["name"]: row["id"] for row in reversed(rows) if "name" in row}
        self.same = {row["id"]: first[row["name"]] for row in rows if "name" in row}
        self._named: dict[str, list[_Row]] = {}
        for row in rows:
            if "name" in row:
                self._named.setdefault(row["name"], []).append(row)

    def of(self, scene: int | None) -> list[_Row]:
        """The rows of the scene of a track: all where it names none."""
        if scene is None or not self._rows:
            return self._rows
        if len(self._by_id) < len(self._rows):
            raise DataError(f"{self._path}: two scene rows have one id, so that scene_id {scene} is unclear; renumber them")
        if scene not in self._by_id:
            raise DataError(f"{self._path}: tracks have the scene_id {scene}, but no scene row has this id; add it")
        row = self._by_id[scene]
        return self._named[row["name"]] if "name" in row else [row]

    def rate(self, rows: Sequence[_Row]) -> float | None:
        """[frames/s] that the rows say, or None without rows."""
        found = {self._number(row, "rate") if "rate" in row else self._number(row, "fps") * self._step for row in rows}
        if len(found) > 1:
            said = " and ".join(f"{rate:.6g}" for rate in sorted(found)[:2])
            raise DataError(f"{self._path}: its scene rows say {said} frames/s; split the file by rate, or say --rate")
        return found.pop() if found else None

    def _number(self, row: _Row, key: str) -> float:
        value = row.get(key)
        if isinstance(value, (int, float)) and 0 < value < 1e12 and math.isfinite(1 / value):
            return float(value)
        raise DataError(
            f"{self._path}: scene row {row['id']} has {key} {str(value)[:40]}, expected a positive number; correct it, or "
            "say --rate"
        )


@dataclass(frozen=True)
class _Tracks:
    """The track rows of a file.

    Attributes:
        path: of the file.
        columns: those of `_KINDS`; the last two may be left out.
        line: (rows,) number among the lines that are not blank.
        step: frames between rows; see `TrajnetFormat`.
    """

    path: Path
    columns: Mapping[str, pa.Array]
    line: _Int
    step: int

    @classmethod
    def load(cls, path: Path, content: bytes, scenes: int) -> "_Tracks":
        """Parse all lines, of which `scenes` are scene rows.

        Raises:
            DataError: if a line is something else; names it.
        """
        schema = pa.schema([("track", pa.struct(list(_KINDS.items())))])
        parse = pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        try:
            track = pajson.read_json(pa.BufferReader(content), parse_options=parse).column("track").combine_chunks()
        except (pa.ArrowException, ValueError, KeyError) as error:
            raise DataError(_fault(path, content) or f"{path}: not lines of JSON ({first_line(error)})") from None
        line = np.flatnonzero(track.is_valid().to_numpy(zero_copy_only=False))
        columns = dict(zip(_KINDS, track.drop_null().flatten(), strict=True))
        doubtful = len(track) - len(line) != scenes or any(columns[key].null_count for key in ("f", "p", "x", "y"))
        fault = _fault(path, content) if doubtful else ""
        if fault or not len(line):
            raise DataError(fault or f"{path}: it holds no tracks")
        frame = columns["f"].to_numpy()
        if (np.abs(frame.astype(np.float64)) >= LARGEST_FRAME).any():
            raise DataError(f"{path}: frame {frame[np.argmax(np.abs(frame))]} is beyond exact numbers; correct it")
        kept = {key: column for key, column in columns.items() if column.null_count < len(column)}
        kept |= {key: columns[key] for key in ("x", "y")}
        return cls(path, kept, line, _step(frame, columns["p"]))

    def parts(self, same: Mapping[int, int]) -> Iterator[tuple[int | None, int | None, _Int]]:
        """(scene id, prediction number, rows) of each scene; ids that mean the same count as one."""
        scene, ids = self._coded("scene_id", same)
        prediction, numbers = self._coded("prediction_number", {})
        both = scene * len(numbers) + prediction
        order = np.argsort(both, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(both[order])) + 1)
        for part in sorted(parts, key=lambda rows: int(rows[0])):
            yield ids[scene[part[0]]], numbers[prediction[part[0]]], part

    def _coded(self, key: str, same: Mapping[int, int]) -> tuple[_Int, list[int | None]]:
        if key not in self.columns:
            return np.zeros(len(self.line), dtype=np.int64), [None]
        encoded = self.columns[key].dictionary_encode(null_encoding="encode")
        values = [same.get(value, value) for value in encoded.dictionary.to_pylist()]
        different = list(dict.fromkeys(values))
        place = {value: index for index, value in enumerate(different)}
        return np.array([place[value] for value in values])[encoded.indices.to_numpy()], different

    def batch(self, rows: _Int) -> pa.RecordBatch:
        """Frame, person, x and y of some rows."""
        columns = {key: self.columns[key] for key in ("f", "p", "x", "y")}
        whole = pa.record_batch(columns)
        return whole if len(rows) == len(self.line) else whole.take(pa.array(rows))

    def places(self, rows: _Int) -> Callable[[int], str]:
        """Where a person finds one of these rows: ``line 12``."""
        return lambda row: line_of_row(self.path, 0, int(self.line[rows[row]]))


def _scene_rows(path: Path, content: bytes) -> Iterator[_Row]:
    start = content.find(b'"scene"')
    while start >= 0:
        begin = content.rfind(b"\n", 0, start) + 1
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        complaint = _complaint(content[begin:end])
        if complaint:
            number = content.count(b"\n", 0, begin) + 1
            raise DataError(f"{path}: line {number} {complaint}; correct it, or the file is cut")
        row = json.loads(content[begin:end], parse_constant=str).get("scene")
        if isinstance(row, dict):
            yield row
        start = content.find(b'"scene"', end)


def _complaint(line: str | bytes) -> str:
    """What is wrong with a line; empty if it is a scene or track row."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return f"is no JSON ({line[:40]!r})"
    for kind, keys in _KEYS.items():
        row = value.get(kind) if isinstance(value, dict) else None
        if isinstance(row, dict):
            wrong = [(key, what) for key, (types, what) in keys.items() if not isinstance(row.get(key, ...), types)]
            return "".join(f"has {key} {str(row.get(key))[:40]}, expected {what}" for key, what in wrong[:1])
    return "is neither a scene nor a track"


def _fault(path: Path, content: bytes) -> str:
    """Say which line is no row of this format; empty if all are."""
    for number, line in enumerate(BytesIO(content), start=1):
        complaint = _complaint(line) if line.strip() else ""
        if complaint:
            return f"{path}: line {number} {complaint}; correct it, or the file is cut"
    return ""


def _step(frame: _Int, person: pa.Array) -> int:
    encoded = person.dictionary_encode()
    code = encoded.indices.to_numpy()
    first = np.zeros(len(encoded.dictionary), dtype=np.int64)
    first[code[::-1]] = frame[::-1]
    step = np.gcd.reduce(np.abs(frame - first[code])) or np.gcd.reduce(np.abs(frame - frame[0]))
    return int(step) or 1


def _name(path: Path, scene: int | None, prediction: int | None, about: Mapping[str, Any]) -> str:
    if scene is not None and prediction is None and "name" in about:
        return str(about["name"])
    parts = [path.stem, *([] if scene is None else [f"scene-{scene}"])]
    return "/".join([*parts, *([] if prediction is None else [f"prediction-{prediction}"])])


FORMATS.register(TrajnetFormat.name)(TrajnetFormat())
