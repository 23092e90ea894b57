"""Writing a data set's Parquet tables: one pass over the scenes, bounded memory, and able to go on where it was stopped."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from forecasting.background import WriteBehind
from forecasting.errors import DataError
from forecasting.files import content_hash, text_hash, write_json
from forecasting.trajectories.shard_tables import OpenShard, Vocabulary
from forecasting.trajectories.trajectory import Trajectory

ROWS_PER_SHARD = 1 << 20
ROWS_PER_GROUP = 1 << 17
TABLES = ("frames", "scenes", "nodes", "edges")
JOURNAL = "journal.json"


def shard_paths(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of a data set by table, each in the order of their rows."""
    return {name: sorted(folder.glob(f"{name}-*.parquet")) for name in TABLES}


def content_of(folder: Path) -> str:
    """SHA-256 over the content of every table, in order."""
    return text_hash({name: [content_hash([path]) for path in paths] for name, paths in shard_paths(folder).items()})


class ShardWriter:
    """Writes scenes into a folder, about a million rows a shard; a shard ends with a scene.

    Whenever a shard is whole, a journal says so. A writer that is given a folder with a journal goes on behind the last
    whole shard; what came after it is written again.

    Attributes:
        mark: what the caller noted with the last scene of the last whole shard (see `add`), empty for a new folder.
        counts: scenes, frames, rows written so far.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark: Mapping[str, Any] = {}
        self.counts = {"scenes": 0, "frames": 0, "rows": 0}
        self.names: dict[str, str] = {}
        self._about: dict[str, Any] = {}
        self._nodes, self._edges = Vocabulary(), Vocabulary()
        self._digests: dict[str, list[str]] = {name: [] for name in TABLES}
        self._resume()
        self._shard: OpenShard | None = None
        self._waiting: list[Trajectory] = []
        self._waiting_rows = 0
        self._shard_rows = 0
        self._behind = WriteBehind()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._behind.__exit__(kind, error, trace)
        if self._shard is not None:
            self._shard.close()

    def add(self, scene: Trajectory, mark: Callable[[], Mapping[str, Any]] = dict) -> None:
        """Write one more scene.

        Args:
            scene: of the same dimension, frame and fields as those before; another known length unit is converted.
            mark: gives plain values that say where the caller stands after this scene; called where a shard ends.

        Raises:
            DataError: if the scene cannot be in one data set with those before it, or its name is taken.
        """
        if not self._about:
            self._about = _description(scene)
        elif scene.unit.name != self._about["unit"]:
            scene = scene.in_unit(self._about["unit"])
        self._check(scene)
        rows = int(np.count_nonzero(scene.valid))
        frames = len(scene.time) if rows == scene.valid.size else int(np.count_nonzero(scene.valid.any(axis=1)))
        self.counts = {
            "scenes": self.counts["scenes"] + 1,
            "frames": self.counts["frames"] + frames,
            "rows": self.counts["rows"] + rows,
        }
        self._waiting.append(scene)
        self._waiting_rows += rows
        self._shard_rows += rows
        if self._shard_rows >= ROWS_PER_SHARD:
            self._flush()
            self._behind.do(self._close_shard, mark(), dict(self.counts))
            self._shard_rows = 0
        elif self._waiting_rows >= ROWS_PER_GROUP:
            self._flush()

    def finish(self) -> tuple[dict[str, Any], str]:
        """Write what is left.

        Returns:
            what the manifest says about the scenes, and the SHA-256 of the tables (`content_of` their folder).

        Raises:
            DataError: if there is no scene.
        """
        if not self._about:
            raise DataError("there is no scene to write")
        self._flush()
        self._behind.do(self._close_shard, {}, dict(self.counts))
        self._behind.drain()
        (self.folder / JOURNAL).unlink()
        vocabulary = {"node_types": self._nodes.names, "edge_types": self._edges.names}
        return {**self._about, **vocabulary, "counts": {**self.counts, "shards": len(self._digests["scenes"])}}, text_hash(
            self._digests
        )

    def _check(self, scene: Trajectory) -> None:
        where = f"{scene.source.path}: scene '{scene.scene}'"
        if scene.scene in self.names:
            raise DataError(f"{where} has the same name as one in {self.names[scene.scene]}; rename one of them")
        self.names[scene.scene] = scene.source.path or "another file"
        if not scene.valid.any():
            raise DataError(f"{where} has no observed position; drop it")
        found, first = _description(scene), self._about
        for what in ("dim", "frame"):
            if found[what] != first[what]:
                raise DataError(
                    f"{where} has {what} {_words(found[what])}, but the first scene has {_words(first[what])}; "
                    "ingest them as two data sets, or say --up for all"
                )
        kinds = [{key: (item["irreps"], item["per_frame"]) for key, item in one["fields"].items()} for one in (found, first)]
        if kinds[0] != kinds[1]:
            raise DataError(
                f"{where} has the fields {kinds[0] or 'none'}, but the first scene has {kinds[1] or 'none'}; "
                f"keep those that all have with --fields {' '.join(sorted(kinds[0].keys() & kinds[1].keys())) or 'none'}, or "
                "ingest them as two data sets"
            )

    def _flush(self) -> None:
        if self._waiting:
            self._behind.do(self._write, self._waiting, self.counts["scenes"] - len(self._waiting))
        self._waiting, self._waiting_rows = [], 0

    def _write(self, scenes: list[Trajectory], first: int) -> None:
        if self._shard is None:
            number = len(self._digests["scenes"])
            self._shard = OpenShard({name: self.folder / f"{name}-{number:05d}.parquet" for name in TABLES})
        self._shard.write(scenes, first, self._nodes, self._edges)

    def _close_shard(self, mark: Mapping[str, Any], counts: dict[str, int]) -> None:
        if self._shard is None:
            return
        for name, path in self._shard.close().items():
            self._digests[name].append(content_hash([path]))
        self._shard = None
        write_json(self.folder / JOURNAL, {
            "mark": mark,
            "counts": counts,
            "about": self._about,
            "node_types": self._nodes.names,
            "edge_types": self._edges.names,
            "digests": self._digests,
        })  # fmt: skip

    def _resume(self) -> None:
        journal = self.folder / JOURNAL
        whole = 0
        if journal.exists():
            kept = json.loads(journal.read_text(encoding="utf-8"))
            self.mark, self.counts, self._about, self._digests = (kept[key] for key in ("mark", "counts", "about", "digests"))
            self._nodes, self._edges = Vocabulary(kept["node_types"]), Vocabulary(kept["edge_types"])
            whole = len(self._digests["scenes"])
        for paths in shard_paths(self.folder).values():
            for path in paths[whole:]:
                path.unlink()
        if whole:
            self.names = dict(OpenShard.names_and_paths(shard_paths(self.folder)["scenes"]))


def write_shards(trajectories: Iterable[Trajectory], folder: Path) -> tuple[dict[str, Any], str]:
    """Write scenes into an empty folder; see `ShardWriter.finish` for what is returned and raised."""
    with ShardWriter(folder) as writer:
        for trajectory in trajectories:
            writer.add(trajectory)
        return writer.finish()


def _description(scene: Trajectory) -> dict[str, Any]:
    return {
        "dim": scene.dim,
        "unit": scene.unit.name,
        "frame": asdict(scene.frame),
        "fields": {
            name: {"irreps": item.irreps, "unit": item.unit, "translates": item.translates, "per_frame": item.per_frame}
            for name, item in scene.fields.items()
        },
    }


def _words(value: Any) -> str:
    return f"up {value['up']}, {value['handedness']}-handed" if isinstance(value, dict) else str(value)
