"""What is to be forecast, in pieces that can be done one by one and known again: files, URLs, parts of a data set."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Protocol

from forecasting.errors import DataError
from forecasting.files import content_hash, text_hash
from forecasting.inference.places import file_system
from forecasting.trajectories.dataset import Dataset, Manifest
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.ingest import IngestOptions, source_files
from forecasting.trajectories.reading import DOCUMENTS, SceneNames, read_scenes, reader_named, trajectory_files
from forecasting.trajectories.remote import is_url, local_copies
from forecasting.trajectories.scene_block import Scenes

ALONE = (".parquet", ".pq", ".csv", ".npz", ".ndjson", ".xyz", ".extxyz")
"""Endings of files that need no second file beside them."""
TOGETHER = ("egnn", "sports")
"""Formats that read files of any ending beside the one that is named."""
SETTLED = 2_000_000_000
"""[ns] A file that changed more recently could change again without getting a new time."""
_CHANGES = (
    *("ETag", "etag", "Content-MD5", "Digest", "md5Hash"),
    *("mtime", "LastModified", "Last-Modified", "last_modified", "created", "updated"),
)
POSITIONS = 1_000_000
"""Of a data set, in one piece."""


class Piece(Protocol):
    """A part of the input. It can be sent to another process.

    Attributes:
        name: what the user calls it.
    """

    @property
    def name(self) -> str: ...

    def token(self) -> str:
        """Changes when the content is likely to have changed (size, time of the last change); cheap.

        Empty where nothing tells, so that the content must be looked at.
        """

    def content(self) -> str:
        """Hash of the content."""

    def scenes(self, options: IngestOptions) -> Iterator[Scenes]:
        """Its scenes as they are read, one after the other or many at once."""


@dataclass(frozen=True)
class FilePiece:
    """One file of this machine, or a folder that a format keeps as a whole.

    Attributes:
        path: where it lies; format: name of its reader.
    """

    path: Path
    format: str

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def token(self) -> str:
        """Sizes and times of the files; see `Piece.token`."""
        about = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _files(self.path, self.format)]
        recent = max(changed for _, _, changed in about) > time.time_ns() - SETTLED
        return "" if recent else text_hash(about)

    def content(self) -> str:
        """Of the file and what may belong to it; see `Piece.content`."""
        return content_hash(_files(self.path, self.format))

    def scenes(self, options: IngestOptions) -> Iterator[Scenes]:
        """See `Piece.scenes`."""
        return SceneNames().unique_all(FORMATS[self.format].blocks(self.path, options.read))


@dataclass(frozen=True)
class UrlPiece:
    """A file elsewhere, copied for as long as it is read.

    Attributes:
        name: the URL.
    """

    name: str

    def token(self) -> str:
        """What its file system says of it, or of the files in it; see `Piece.token`."""
        system, inner = file_system(self.name)
        about = system.info(inner)
        files = system.find(inner, detail=True) if about["type"] == "directory" else {inner: about}
        changes = {path: {key: str(one[key]) for key in _CHANGES if one.get(key)} for path, one in files.items()}
        sizes = [str(one.get("size")) for one in files.values()]
        return text_hash([changes, sizes]) if all(changes.values()) else ""

    def content(self) -> str:
        """Of a copy; see `Piece.content`."""
        with local_copies(self.name) as local:
            return content_hash(local.paths)

    def scenes(self, options: IngestOptions) -> Iterator[Scenes]:
        """See `Piece.scenes`."""
        return read_scenes(self.name, options.read, options.format)


@dataclass(frozen=True)
class DatasetPiece:
    """Some scenes of a data set, one behind the other.

    Attributes:
        folder: of the data set; first, last: number of the first scene, and of that behind the last.
        hash: of the whole data set's content.
    """

    folder: Path
    first: int
    last: int
    hash: str

    @property
    def name(self) -> str:
        """The folder and the numbers."""
        return f"{self.folder}:{self.first}-{self.last}"

    def token(self) -> str:
        """See `Piece.token`."""
        return self.hash

    def content(self) -> str:
        """See `Piece.content`."""
        return self.hash

    def scenes(self, options: IngestOptions) -> Iterator[Scenes]:
        """See `Piece.scenes`."""
        return map(self.dataset().trajectory, range(self.first, self.last))

    def dataset(self) -> Dataset:
        """The whole of it, open."""
        return _opened(self.folder, self.hash)


@lru_cache(maxsize=1)
def _opened(folder: Path, content: str) -> Dataset:
    return Dataset(folder)


def pieces_of(paths: Sequence[str | Path], options: IngestOptions) -> list[Piece]:
    """The pieces of files, folders, URLs, or a data set folder, in order.

    Raises:
        DataError: if one is missing or of no known format.
        UsageError: if a file is named twice, or a URL's protocol is unknown.
    """
    if len(paths) == 1 and not is_url(paths[0]) and (Path(paths[0]) / "manifest.json").exists():
        return _of_dataset(Path(paths[0]))
    found: list[Piece] = []
    for path in paths:
        if is_url(path):
            found += map(UrlPiece, _urls(str(path)))
    local = [Path(path) for path in paths if not is_url(path)]
    chosen = reader_named(options.format, options.read)
    return found + [FilePiece(path, reader.name) for path, reader in trajectory_files(local, chosen)]


def positions_in(pieces: Sequence[Piece], options: ReadOptions) -> int | None:
    """About how many positions there are to read, where tables and texts tell without being read; else None."""
    counts = [_positions(piece) for piece in pieces]
    return None if options.wide or None in counts else sum(count for count in counts if count is not None)


def _of_dataset(folder: Path) -> list[Piece]:
    manifest = Manifest.load(folder)
    scenes, rows = manifest.counts["scenes"], manifest.counts["rows"]
    size = max(scenes * POSITIONS // max(rows, 1), 1)
    return [DatasetPiece(folder, first, min(first + size, scenes), manifest.content) for first in range(0, scenes, size)]


def _urls(url: str) -> list[str]:
    """The files of a folder elsewhere, if each can be read alone; else the URL itself."""
    system, inner = file_system(url)
    try:
        if not system.isdir(inner):
            return [url]
        paths = sorted(system.find(inner))
    except OSError as error:
        raise DataError(f"{url}: cannot be listed ({str(error).splitlines()[0]})") from None
    files = [path for path in map(PurePosixPath, paths) if path.stem.lower() not in DOCUMENTS and path.name[0] != "."]
    if files and all(path.suffix.lower() in ALONE for path in files):
        return [str(system.unstrip_protocol(str(path))) for path in files]
    return [url]


@lru_cache(maxsize=4096)
def _beside(folder: Path, left_out: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix.lower() not in left_out)


def _files(path: Path, format: str) -> list[Path]:
    """The files whose content counts: the file itself, and those beside it that may belong to it (a skeleton, a topology)."""
    if path.is_file() and format in TOGETHER:
        return [path, *_beside(path.parent, ())]
    if path.is_dir() or path.suffix.lower() in ALONE:
        return source_files([path])
    return [path, *_beside(path.parent, (path.suffix.lower(), *ALONE))]


def _positions(piece: Piece) -> int | None:
    if isinstance(piece, DatasetPiece):
        counts = Manifest.load(piece.folder).counts
        return counts["rows"] * (piece.last - piece.first) // max(counts["scenes"], 1)
    if not isinstance(piece, FilePiece) or piece.path.is_dir():
        return None
    if piece.format == "parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(piece.path).num_rows)
    with piece.path.open("rb") as file:
        head = file.read(1 << 16)
    lines = 0 if b"\0" in head else head.count(b"\n")
    return piece.path.stat().st_size * lines // len(head) if lines else None
