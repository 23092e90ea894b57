"""How a client packs scenes into a body, and takes forecasts out of an answer."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.inference.forecast import Forecast
from forecasting.service.scenes import plain_scene
from forecasting.service.writing import ARROW, JSON
from forecasting.trajectories.formats.arrow_table import table_of
from forecasting.trajectories.trajectory import Frame, Trajectory
from forecasting.trajectories.units import parse_unit

Packed = tuple[bytes, dict[str, str], dict[str, str]]


class Carrier(Protocol):
    """One kind of body."""

    def pack(self, scenes: Sequence[Trajectory], package: str | None, every: int | None) -> Packed:
        """Body, headers and query of a request."""
        ...

    def unpack(self, body: bytes, scenes: Sequence[Trajectory]) -> list[Forecast]:
        """The forecasts of the answer to these scenes."""
        ...


class JsonCarrier:
    """Scenes as JSON objects, of any units and frames."""

    def pack(self, scenes: Sequence[Trajectory], package: str | None, every: int | None) -> Packed:
        """See `Carrier.pack`."""
        wish: dict[str, Any] = {"scenes": [plain_scene(scene, None) for scene in scenes]}
        wish |= {name: value for name, value in (("package", package), ("every", every)) if value is not None}
        return json.dumps(wish).encode(), {"content-type": JSON, "accept": JSON}, {}

    def unpack(self, body: bytes, scenes: Sequence[Trajectory]) -> list[Forecast]:
        """See `Carrier.unpack`."""
        sources = {scene.scene: scene.source for scene in scenes}
        return [
            Forecast(
                scene=one["scene"],
                anchor_time=one["anchor_time"],
                time=np.array(one["time"]),
                positions=np.array(one["positions"], dtype=np.float64),
                weights=np.array(one["weights"]),
                anchor=np.array(one["anchor"], dtype=np.float64),
                node_ids=np.array(one["node_ids"]),
                node_types=np.array(one["node_types"], dtype=str),
                unit=parse_unit(one["unit"], len(one["anchor"][0])),
                frame=Frame(one["up"], one["handedness"]),
                source=sources[one["scene"]],
            )
            for one in json.loads(body)["forecasts"]
        ]


class TableCarrier:
    """Scenes as one Arrow table, all of one unit, frame and set of fields, each with a name of its own."""

    def pack(self, scenes: Sequence[Trajectory], package: str | None, every: int | None) -> Packed:
        """See `Carrier.pack`."""
        names = [scene.scene for scene in scenes]
        if len(set(names)) < len(names):
            raise UsageError(
                f"two scenes are called '{max(names, key=names.count)}', which one table cannot tell apart; use body='json'"
            )
        table = table_of(scenes)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        query = {"package": package, "every": None if every is None else str(every)}
        headers = {"content-type": ARROW, "accept": ARROW}
        return sink.getvalue().to_pybytes(), headers, {name: value for name, value in query.items() if value is not None}

    def unpack(self, body: bytes, scenes: Sequence[Trajectory]) -> list[Forecast]:
        """See `Carrier.unpack`."""
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all().combine_chunks()
        known = {scene.scene: scene for scene in scenes}
        steps, dim = int(table["step"].to_numpy().max()), sum(axis in table.column_names for axis in "xyz")
        hypotheses = int(table["hypothesis"].to_numpy().max()) + 1
        columns = {name: table[name].to_numpy() for name in ("anchor_time", "time", "weight", *"xyz"[:dim])}
        ids, kinds = table["node"].to_numpy(zero_copy_only=False), table["type"].to_numpy(zero_copy_only=False)
        names = table["scene"].dictionary_encode().combine_chunks()
        code = names.indices.to_numpy()
        bounds = np.flatnonzero((np.diff(code) != 0) | (np.diff(columns["anchor_time"]) != 0)) + 1
        found = []
        for first, last in zip([0, *bounds], [*bounds, len(table)], strict=True):
            scene, moment = known[str(names.dictionary[int(code[first])])], float(columns["anchor_time"][first])
            rows, once = slice(first, last), slice(first, last, hypotheses * steps)
            here = ids[once] if scene.node_ids.dtype.kind in "iu" else ids[once].astype(str)
            places = np.stack([columns[axis][rows] for axis in "xyz"[:dim]], axis=1)
            found.append(
                Forecast(
                    scene=scene.scene,
                    anchor_time=moment,
                    time=columns["time"][first : first + steps],
                    positions=places.reshape(-1, hypotheses, steps, dim),
                    weights=columns["weight"][first : first + hypotheses * steps : steps],
                    anchor=_anchor(scene, moment, here),
                    node_ids=here,
                    node_types=kinds[once].astype(str),
                    unit=scene.unit,
                    frame=scene.frame,
                    source=scene.source,
                )
            )
        return found


def _anchor(scene: Trajectory, moment: float, node_ids: NDArray[Any]) -> NDArray[np.float64]:
    """(N, D) positions of the nodes at a time of the scene, in the numbers of its file."""
    frame = int(np.abs(scene.time - moment).argmin())
    place = {identity: index for index, identity in enumerate(scene.node_ids.tolist())}
    return scene.unit.to_file(scene.positions[frame, [place[identity] for identity in node_ids.tolist()]])
