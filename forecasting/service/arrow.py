"""Scenes as an Arrow IPC stream: the table that the format parquet reads and writes, without a file."""

import struct
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa

from forecasting.inference.block_group import ENOUGH
from forecasting.inference.fields import known_fields
from forecasting.packages.package import Package
from forecasting.service.limits import Limits
from forecasting.service.problems import Problem, too_large
from forecasting.service.schemas import PredictQuery
from forecasting.service.texts import check_table
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.formats.arrow_table import blocks_of_table
from forecasting.trajectories.scene_block import SceneBlock, one_by_one
from forecasting.trajectories.trajectory import Trajectory

NAME = "the table"


def scenes_of_stream(body: bytes, said: PredictQuery, package: Package, limits: Limits) -> list[Trajectory] | SceneBlock:
    """The scenes of a stream; a block where they are many and every node was observed in every frame.

    Args:
        body: the stream; said: unit and up axis where the stream's metadata do not say them.
        package: what the scenes are for; limits: of scenes, frames and nodes.

    Raises:
        Problem: 400 if it is no such stream, 413 or 422.
        DataError: if a column is missing or a row cannot stand; UsageError: if unit or up axis are said by nobody.
    """
    types = package.schema.node_types
    options = ReadOptions(
        unit=said.unit or "",
        up=said.up or "",
        node_type=types[0] if len(types) == 1 else "",
        fallback_up="none" if package.frame.up == "none" else "",
        entries=limits.entries,
    )
    table = _table(body)
    items = blocks_of_table(table, NAME, options)
    first = next(items)
    if isinstance(first, SceneBlock) and len(first.time) == len(table) and _is_large(first):
        _check(first, limits)
        return first
    entries = 0
    found: list[Trajectory] = []
    for scene in one_by_one(chain([first], items)):
        entries += scene.valid.size
        for what, count, most in (
            ("entries (frames × nodes) or more", entries, limits.entries),
            ("scenes", len(found) + 1, limits.scenes),
            (f"frames in scene '{scene.scene}'", len(scene.time), limits.frames),
            (f"nodes in scene '{scene.scene}'", len(scene.node_ids), limits.nodes),
        ):
            if count > most:
                raise too_large(what, count, most)
        if np.isinf(scene.positions).any():
            raise Problem(422, f"scene '{scene.scene}': positions must be finite numbers, or null")
        fields = known_fields(scene, package.fields, f"scene '{scene.scene}'")
        found.append(scene if fields == scene.fields else replace(scene, fields=fields))
    return found


def _is_large(block: SceneBlock) -> bool:
    """Whether it is worth a batch of its own, and such that nothing must be said of a single scene."""
    finite = np.isfinite(block.positions).all() and all(np.isfinite(item.values).all() for item in block.fields.values())
    return bool(block.nodes.sum() >= ENOUGH and finite)


def _check(block: SceneBlock, limits: Limits) -> None:
    for what, count, most in (
        ("entries (frames × nodes)", len(block.time), limits.entries),
        ("scenes", len(block), limits.scenes),
        (f"frames in scene '{block.names[int(block.frames.argmax())]}'", int(block.frames.max()), limits.frames),
        (f"nodes in scene '{block.names[int(block.nodes.argmax())]}'", int(block.nodes.max()), limits.nodes),
    ):
        if count > most:
            raise too_large(what, count, most)


def _table(body: bytes) -> pa.Table:
    """The table of an uncompressed stream of plain columns, checked so that nothing in it points beyond the body."""
    try:
        for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(body)):
            if message.type != "schema" and _is_compressed(message):
                raise Problem(422, "the stream is compressed; write it without `compression`")
        with pa.ipc.open_stream(body) as reader:
            for field in reader.schema:
                kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
                if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_text(kind)):
                    raise Problem(
                        422, f"column '{field.name[:100]}' is {kind}; columns hold integers, floating point numbers or text"
                    )
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError, struct.error, IndexError) as error:
        raise Problem(400, f"the body is not an Arrow stream: {(str(error).splitlines() or ['damaged'])[0][:200]}") from None
    if not len(table):
        raise Problem(422, "the table has no rows")
    check_table(table)
    return table


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_compressed(message: pa.Message) -> bool:
    """Whether the flatbuffer of a message says that its body must be inflated, to a size that nobody knows before.

    The layout is that of Arrow's Message.fbs: a Message has its header as member 2; a DictionaryBatch has a RecordBatch as
    member 1, and a RecordBatch its compression as member 3.
    """
    raw = message.metadata.to_pybytes()
    (root,) = struct.unpack_from("<I", raw, 0)
    table = _pointed(raw, _member(raw, root, 2))
    if message.type == "dictionary":
        table = _pointed(raw, _member(raw, table, 1))
    return _member(raw, table, 3) != 0


def _member(raw: bytes, table: int, number: int) -> int:
    """Where a member of a flatbuffer's table lies, 0 where it is absent."""
    (back,) = struct.unpack_from("<i", raw, table)
    size: int = struct.unpack_from("<H", raw, table - back)[0]
    place = 4 + 2 * number
    offset: int = struct.unpack_from("<H", raw, table - back + place)[0] if place < size else 0
    return table + offset if offset else 0


def _pointed(raw: bytes, place: int) -> int:
    return place + int(struct.unpack_from("<I", raw, place)[0])
