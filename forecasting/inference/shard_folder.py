"""A folder of forecast shards that an interrupted run goes on with, and that a later run brings up to date.

Layout of the folder::

    manifest.json                       every input with its hash, its shards and their counts, once all is done
    done/<key>.json                     the same of one input, as soon as it is done; and of one shard
    walk-07-3f2a91c04b7d-00000.parquet  a shard: name of the input, first digits of the key, number of the part

The key is a hash of the input's content, the program, the package and the options, so that a shard that is there is the right
one: writes are atomic, and whatever changes gives another name.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from forecasting.errors import UsageError
from forecasting.files import text_hash
from forecasting.inference.pieces import Piece
from forecasting.inference.places import Place, place

VERSION = 1
DIGITS = 12
_SHARD = re.compile(rf"-[0-9a-f]{{{DIGITS}}}-\d{{5}}\.parquet$")


@dataclass(frozen=True)
class Shard:
    """One finished file: its name, bytes, forecasts and rows."""

    name: str
    bytes: int
    forecasts: int
    rows: int


@dataclass(frozen=True)
class Done:
    """One input that is done.

    Attributes:
        input: its name; token, content: what it was (see `Piece`).
        key: hash of content, program, package and options.
        shards: what was made of it.
    """

    input: str
    token: str
    content: str
    key: str
    shards: tuple[Shard, ...]

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "Done":
        """The inverse of `dataclasses.asdict`."""
        return cls(**{**plain, "shards": tuple(Shard(**one) for one in plain["shards"])})


@dataclass(frozen=True)
class Task:
    """One input that is to be done: the piece, what it is (see `Piece`), and its key. It can be sent to another process."""

    piece: Piece
    token: str
    content: str
    key: str

    def shard(self, part: int) -> str:
        """Name of its shard number `part`."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(self.piece.name.replace(":", "-")).stem)[:60] or "input"
        return f"{stem}-{self.key[:DIGITS]}-{part:05d}.parquet"

    def done(self, shards: Sequence[Shard]) -> Done:
        """The record of it."""
        return Done(self.piece.name, self.token, self.content, self.key, tuple(shards))


class ShardFolder:
    """A folder of shards.

    Args:
        folder: a path of this machine or a URL; it need not exist.

    Raises:
        UsageError: if it holds something else.
    """

    def __init__(self, folder: str | Path) -> None:
        self.place: Place = place(folder)
        self._sizes = self.place.sizes()
        text = self.place.read("manifest.json")
        empty: dict[str, Any] = {"version": VERSION, "inputs": []}
        plain = _parsed(text) if text else empty
        foreign = [name for name in self._sizes if not _SHARD.search(name) and not _ours(name)]
        if plain is None or plain.get("version") != VERSION or (foreign and not text):
            what = "a manifest of something else" if not foreign else f"'{foreign[0]}'"
            raise UsageError(f"{self.place.name} holds {what}, not shards of forecasts; name another folder with -o")
        self._manifest = [Done.of_plain(one) for one in plain["inputs"]] if text else None
        records = list(self._manifest or ())
        for name in sorted(self._sizes):
            if re.fullmatch(r"done/[0-9a-f]+\.json", name) and (found := _parsed(self.place.read(name) or "")):
                records.append(Done.of_plain(found))
        self._known = {one.input: one for one in records}
        self._done = {one.key: one for one in records if all(self._sizes.get(s.name) == s.bytes for s in one.shards)}

    def task(self, piece: Piece, about: Mapping[str, Any]) -> Task:
        """What is to be done with a piece; its content is hashed only if it may have changed since it was last done.

        Args:
            piece: of the input; about: package and options, as plain values.
        """
        token, known = piece.token(), self._known.get(piece.name)
        content = known.content if known is not None and token and known.token == token else piece.content()
        key = text_hash({"input": piece.name, "content": content, "version": VERSION, **about})
        return Task(piece, token, content, key)

    def finished(self, task: Task) -> Done | None:
        """The record of a task that was done before, if its shards are all there."""
        done = self._done.get(task.key)
        return done if done is None or not task.token else replace(done, token=task.token)

    def complete(self, inputs: Sequence[Done]) -> bool:
        """Whether the manifest says just this, and nothing lies beside its shards."""
        return self._manifest == list(inputs) and not _left_over(self._sizes, inputs)

    def shard(self, name: str) -> Shard | None:
        """A shard that an interrupted run has finished of an input that it has not."""
        text = self.place.read(f"done/{name}.json") if f"done/{name}.json" in self._sizes else None
        plain = _parsed(text or "")
        return Shard(**plain) if plain and self._sizes.get(name) == plain["bytes"] else None

    def keep_shard(self, shard: Shard) -> None:
        """Say that a shard is done."""
        with self.place.writing(f"done/{shard.name}.json") as path:
            path.write_text(json.dumps(asdict(shard)), encoding="utf-8")

    def keep(self, done: Done) -> None:
        """Say that an input is done."""
        with self.place.writing(f"done/{done.key}.json") as path:
            path.write_text(json.dumps(asdict(done)), encoding="utf-8")

    def finish(self, inputs: Sequence[Done], about: Mapping[str, Any]) -> None:
        """Write the manifest, and remove what no longer belongs here."""
        with self.place.writing("manifest.json") as path:
            plain = {"version": VERSION, "made_with": about, "inputs": [asdict(one) for one in inputs]}
            path.write_text(json.dumps(plain, indent=1), encoding="utf-8")
        for name in _left_over(self.place.sizes(), inputs):
            self.place.remove(name)


def _left_over(names: Iterable[str], inputs: Sequence[Done]) -> list[str]:
    current = {shard.name for one in inputs for shard in one.shards}
    return [name for name in names if name not in current and (_SHARD.search(name) or name.startswith("done/"))]


def _ours(name: str) -> bool:
    return name == "manifest.json" or name.startswith("done/") or name.endswith(".part")


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
