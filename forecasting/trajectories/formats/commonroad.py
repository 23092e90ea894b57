"""CommonRoad scenarios (XML, versions 2018b and 2020a): what the moving obstacles of a road scene did."""

import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._layout import Layout
from forecasting.trajectories.formats._table_notes import FieldNote, TableNotes
from forecasting.trajectories.formats._xml import parse_xml
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.formats.long_form import LongTable
from forecasting.trajectories.trajectory import Source, Trajectory
from forecasting.trajectories.units import Unit

LARGEST = 512 << 20
"""[bytes] of a document, which is held as a whole."""

LARGEST_STEP = 1 << 31
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+<(?:[\w.-]+:)?commonRoad[\s>]", re.DOTALL)
_CENTRED = ("rectangle", "circle")
logger = logging.getLogger(__name__)


class CommonRoadFormat(Format):
    """One scene per file, named by its ``benchmarkID``: planar metres, one step every ``timeStepSize``.

    The nodes are the dynamic obstacles with their numbers and types, each with its initial state and the states of its
    trajectory. Static obstacles (they do not move), lanelets, signs and planning problems are left out.

    Fields: ``heading``, the orientation as the unit vector (cos, sin); ``velocity`` [m/s], the speed along the heading;
    and, where every obstacle is a rectangle, its constant ``length`` and ``width`` [m].

    States may be uncertain. A position given as one rectangle or circle is taken at the centre that the file writes;
    any other region, an interval of orientation or speed, and a set of occupancies without states are missing. A
    warning counts them, and so does ``source.options["uncertain"]``.
    """

    name = "commonroad"
    summary = "CommonRoad scenario (XML 2018b, 2020a): dynamic obstacles in metres, with heading and velocity"
    suffixes = (".xml",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain by the name of the root element; see `Format.sniff`."""
        return 1.0 if _ROOT.match(head) else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene; see `Format.read`."""
        if path.is_file() and path.stat().st_size > LARGEST:
            raise DataError(
                f"{path}: {path.stat().st_size >> 20} MiB, more than the {LARGEST >> 20} MiB taken; split the scenario"
            )
        root = parse_xml(path)
        if root.tag != "commonRoad":
            raise DataError(f"{path}: its root element is <{root.tag[:40]}>, expected <commonRoad>; choose another --format")
        size = _number(path, root.get("timeStepSize"), "timeStepSize of the root")
        if not 0 < size < math.inf:
            raise DataError(f"{path}: its timeStepSize is {size}, expected positive seconds; correct it")
        states = _States(path)
        for obstacle in _dynamic(root):
            states.add(obstacle)
        if not states.frame:
            raise DataError(f"{path}: it has no dynamic obstacle, so nothing moves in it; choose another scenario")
        unit, rate = options.resolve_unit(path, 2, "m"), options.resolve_rate(path, 1 / size)
        columns, fields = states.table(unit)
        layout = Layout(
            scene="",
            clock="frame",
            rate=rate,
            node="node",
            type="type",
            axes=("x", "y"),
            fields=fields,
            unit=unit,
            frame=options.resolve_frame(path, 2),
            scaled=bool(unit.per_axis),
            notes=TableNotes(),
        )
        table = LongTable(path, self.name, layout, options, states.place)
        scene = next(table.scenes([columns]))
        uncertain = {what: count for what, count in states.uncertain.items() if count}
        if uncertain:
            counted = ", ".join(f"{count} {what}" for what, count in uncertain.items())
            logger.warning("%s: uncertain states: %s", path, counted)
        about = {"version": root.get("commonRoadVersion", ""), **({"uncertain": uncertain} if uncertain else {})}
        yield replace(
            scene,
            scene=root.get("benchmarkID") or path.stem,
            source=Source(str(path), self.name, {**scene.source.options, **about}),
        )


@dataclass
class _States:
    """The states of all obstacles as rows; a row is (x, y, orientation, speed)."""

    path: Path
    frame: list[int] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    rows: list[tuple[float, float, float, float]] = field(default_factory=list)
    types: dict[int, str] = field(default_factory=dict)
    sizes: list[tuple[float, float] | None] = field(default_factory=list)
    uncertain: dict[str, int] = field(
        default_factory=lambda: {
            "positions taken at the centre of a region": 0,
            "positions missing": 0,
            "orientations missing": 0,
            "velocities missing": 0,
            "sets of occupancies missing": 0,
        }
    )

    def add(self, obstacle: Element) -> None:
        """Append the initial state and the states of the trajectory of one obstacle."""
        text = obstacle.get("id", "")
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise DataError(f"{self.path}: an obstacle has the id '{text[:40]}', expected a whole number; correct it")
        node = int(text)
        if node in self.types:
            raise DataError(f"{self.path}: two obstacles have the id {node}; renumber one of them")
        self.types[node] = (obstacle.findtext("type") or "").strip() or "obstacle"
        self.sizes.append(_rectangle(self.path, obstacle.find("shape"), node))
        initial, trajectory = obstacle.find("initialState"), obstacle.find("trajectory")
        states = [initial] if initial is not None else []
        states += trajectory.findall("state") if trajectory is not None else []
        self.uncertain["sets of occupancies missing"] += obstacle.find("occupancySet") is not None
        if not states:
            raise DataError(f"{self.path}: obstacle {node} has no states; the file is damaged, or remove the obstacle")
        for state in states:
            self._add_state(node, state)

    def _add_state(self, node: int, state: Element) -> None:
        parts = {child.tag: child for child in state}
        step = _exact(parts.get("time"))
        if step is None or not re.fullmatch(r"-?[0-9]{1,10}(\.0*)?", step) or abs(float(step)) > LARGEST_STEP:
            raise DataError(
                f"{self.path}: obstacle {node} has a state at time '{(step or 'without exact value')[:40]}', expected a whole "
                "number of time steps; correct or remove the state"
            )
        where = f"of obstacle {node} at time step {step}"
        self.frame.append(int(float(step)))
        self.node.append(node)
        x, y = self._position(parts.get("position"), where)
        angle = self._scalar(parts.get("orientation"), "orientation", "orientations missing", where)
        speed = self._scalar(parts.get("velocity"), "velocity", "velocities missing", where)
        self.rows.append((x, y, angle, speed))

    def _position(self, position: Element | None, where: str) -> tuple[float, float]:
        regions = list(position) if position is not None else []
        if len(regions) == 1 and regions[0].tag == "point":
            return self._pair(regions[0], where)
        centre = regions[0].find("center") if len(regions) == 1 and regions[0].tag in _CENTRED else None
        if centre is None:
            self.uncertain["positions missing"] += 1
            return math.nan, math.nan
        self.uncertain["positions taken at the centre of a region"] += 1
        return self._pair(centre, where)

    def _pair(self, point: Element, where: str) -> tuple[float, float]:
        return (
            _number(self.path, point.findtext("x"), f"x {where}"),
            _number(self.path, point.findtext("y"), f"y {where}"),
        )

    def _scalar(self, item: Element | None, name: str, lack: str, where: str) -> float:
        if item is None:
            return math.nan
        exact = _exact(item)
        if exact is None:
            self.uncertain[lack] += 1
            return math.nan
        return _number(self.path, exact, f"{name} {where}")

    def place(self, row: int) -> str:
        """Where a person finds a row: obstacle and time step."""
        return f"obstacle {self.node[row]} at time step {self.frame[row]}"

    def table(self, unit: Unit) -> tuple[pa.RecordBatch, dict[str, FieldNote]]:
        """The rows as columns, and the fields that they hold."""
        x, y, angle, speed = np.array(self.rows, dtype=np.float64).T
        with np.errstate(invalid="ignore", over="ignore"):
            heading = np.stack([np.cos(angle), np.sin(angle)])
            velocity = speed * heading
        nodes = np.array(self.node, dtype=np.int64)
        names = [self.types[node] for node in self.node]
        columns = {"frame": np.array(self.frame), "node": nodes, "type": names, "x": x, "y": y}
        fields = {}
        for name, vector, text in (("heading", heading, ""), ("velocity", velocity, f"{unit.name}/s")):
            if not np.isnan(vector).all():
                fields[name] = FieldNote((f"{name}_x", f"{name}_y"), "1o", text, False, True)
                columns |= {f"{name}_x": vector[0], f"{name}_y": vector[1]}
        for name, values in self._sizes(unit).items():
            fields[name] = FieldNote((name,), "0e", unit.name, False, False)
            columns[name] = values
        return pa.record_batch({name: pa.array(values) for name, values in columns.items()}), fields

    def _sizes(self, unit: Unit) -> dict[str, NDArray[np.float64]]:
        """Length and width of each row's obstacle [unit]; none unless all are rectangles and x and y have one unit."""
        factors = set(unit.per_axis) or {1.0}
        known = [size for size in self.sizes if size is not None]
        if len(known) < len(self.sizes) or len(factors) > 1:
            return {}
        counts = np.unique(np.array(self.node), return_counts=True)
        per_node = dict(zip(counts[0].tolist(), counts[1].tolist(), strict=True))
        rows = np.repeat(np.array(known), [per_node[node] for node in self.types], axis=0) * factors.pop()
        return {"length": rows[:, 0], "width": rows[:, 1]}


def _dynamic(root: Element) -> Iterator[Element]:
    for item in root:
        if item.tag == "dynamicObstacle" or (item.tag == "obstacle" and (item.findtext("role") or "").strip() == "dynamic"):
            yield item


def _rectangle(path: Path, shape: Element | None, node: int) -> tuple[float, float] | None:
    """Length and width [m] of a shape that is one rectangle, else None."""
    parts = list(shape) if shape is not None else []
    if len(parts) != 1 or parts[0].tag != "rectangle":
        return None
    length, width = (_number(path, parts[0].findtext(name), f"{name} of obstacle {node}") for name in ("length", "width"))
    return length, width


def _exact(item: Element | None) -> str | None:
    text = item.findtext("exact") if item is not None else None
    return text.strip() if text is not None else None


def _number(path: Path, text: str | None, what: str) -> float:
    try:
        if text is None or "_" in text:
            raise ValueError
        return float(text)
    except ValueError:
        found = "missing" if text is None else f"'{text.strip()[:40]}'"
        raise DataError(f"{path}: the {what} is {found}, expected a number; correct it") from None


FORMATS.register(CommonRoadFormat.name)(CommonRoadFormat())
