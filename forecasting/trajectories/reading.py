"""Files to trajectories and back, whatever their format."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from forecasting.errors import DataError, UsageError
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.name_set import NameSet
from forecasting.trajectories.remote import LocalPaths, local_copies
from forecasting.trajectories.scene_block import SceneBlock, Scenes, one_by_one
from forecasting.trajectories.trajectory import Trajectory

HEAD = 1 << 16
SURE_ENOUGH = 0.3
DOCUMENTS = ("readme", "sources", "license", "licence", "copying", "notice", "changelog", "upstream_readme")
logger = logging.getLogger(__name__)


def sniff(path: str | Path) -> Format:
    """The format whose reader is surest of `path`, judged by its content.

    Args:
        path: a file, or a folder that one format keeps as a whole.

    Raises:
        DataError: if the path is missing, no format knows it, or two are equally sure.
    """
    path = Path(path)
    scores = _scores(path)
    best = max(scores.values(), default=0.0)
    winners = [name for name, score in scores.items() if score == best]
    if best < SURE_ENOUGH:
        hint = "if it is one of these, name it with --format"
        raise DataError(f"{path}: no known format (tried {', '.join(scores)}); {_encoding_hint(path)}{hint}")
    if len(winners) > 1:
        raise DataError(f"{path}: could be {' or '.join(winners)}; say which with --format")
    return FORMATS[winners[0]]


def read_trajectories(
    paths: str | Path | Iterable[str | Path], options: ReadOptions | None = None, format: str = ""
) -> Iterator[Trajectory]:
    """Read scenes from files and folders, one after the other.

    In a folder that no format keeps as a whole, every file below it is read in sorted order; files that no format knows
    (a README, a licence) are passed over and logged. A scene whose name an earlier one has is called
    ``STEM/NAME`` after its file.

    Args:
        paths: a file or folder, or several; also URLs, see `local_copies`.
        options: what the user says about them.
        format: name of the format; by default the content decides, and `ReadOptions.wide` means a wide table.

    Raises:
        DataError: if a file is missing or unreadable, nothing is found, or two scenes have one name even so.
        UsageError: if the user must say something that a file does not.
    """
    return one_by_one(read_scenes(paths, options, format))


def read_scenes(
    paths: str | Path | Iterable[str | Path], options: ReadOptions | None = None, format: str = ""
) -> Iterator[Scenes]:
    """The same scenes, many at once where a format keeps many small ones; see `read_trajectories`."""
    options = options or ReadOptions()
    return _read(paths, options, reader_named(format, options))


def reader_named(format: str, options: ReadOptions) -> Format | None:
    """The format the user names, or implies: `ReadOptions.wide` means a wide table. None lets the content decide."""
    format = format or ("wide_csv" if options.wide else "")
    return FORMATS[format] if format else None


def trajectory_files(roots: Iterable[Path], chosen: Format | None) -> Iterator[tuple[Path, Format]]:
    """Every file, or folder that one format keeps as a whole, with its reader.

    Args:
        roots: files and folders of this machine.
        chosen: the reader of all, or None where the content decides.

    Raises:
        DataError: if one is missing or unknown, or a folder holds nothing.
        UsageError: if a file is named twice.
    """
    seen: set[Path] = set()
    for root in roots:
        if not root.exists():
            raise DataError(f"{root}: there is no such file or folder; check the path")
        found = list(_below(root, chosen)) if root.is_dir() else [(root, chosen or sniff(root))]
        if not found:
            what = f"no {chosen.name} file" if chosen else f"no file of a known format ({', '.join(FORMATS.names())})"
            raise DataError(f"{root}: {what} in this folder")
        for path, reader in found:
            if path.resolve() in seen:
                raise UsageError(f"{path} is named twice; name every file once")
            seen.add(path.resolve())
            yield path, reader


class SceneNames:
    """Gives every scene a name of its own.

    Args:
        taken: names that are used already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = NameSet(list(taken))

    def unique(self, scene: Trajectory) -> Trajectory:
        """The scene, called ``STEM/NAME`` after its file where an earlier one has its name.

        Raises:
            DataError: if that name is taken too.
        """
        named = scene
        if scene.scene in self._taken:
            named = replace(scene, scene=f"{Path(scene.source.path).stem}/{scene.scene}")
        if named.scene in self._taken:
            raise DataError(f"{scene.source.path}: scene '{named.scene}' exists already; rename one of the files or scenes")
        self._taken.add(named.scene)
        return named

    def unique_all(self, items: Iterable[Scenes]) -> Iterator[Scenes]:
        """The same for many; a block stays one up to the first name that an earlier scene has."""
        for item in items:
            if not isinstance(item, SceneBlock):
                yield self.unique(item)
                continue
            first = self._taken.add_new(item.names)
            if first is None:
                yield item
                continue
            if first:
                yield item.part(0, first)
            yield from map(self.unique, item.part(first, len(item)))


def write_trajectories(path: str | Path, trajectories: Iterable[Trajectory], format: str = "") -> None:
    """Write scenes to one file, in the format its suffix or `format` names.

    Raises:
        UsageError: if neither names a format that can be written.
    """
    path = Path(path)
    (FORMATS[format] if format else writer_for(path)).write(path, trajectories)


def writer_for(path: Path) -> Format:
    """The format that a file's ending names.

    Raises:
        UsageError: if it names none that can be written.
    """
    writable = [FORMATS[name] for name in FORMATS.names() if FORMATS[name].can_write]
    for member in writable:
        if path.suffix.lower() in member.suffixes:
            return member
    endings = ", ".join(member.suffixes[0] for member in writable)
    raise UsageError(f"{path}: its ending '{path.suffix}' names no format that can be written ({endings}); or name the format")


def _scores(path: Path) -> dict[str, float]:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder; check the path")
    head = b"" if path.is_dir() else _head(path)
    if not head and not path.is_dir():
        raise DataError(f"{path}: the file is empty")
    return {name: FORMATS[name].sniff(path, head) for name in FORMATS.names()}


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _encoding_hint(path: Path) -> str:
    """What to do where a file is text in another encoding."""
    head = b"" if path.is_dir() else _head(path)
    marked = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        head[: head.rfind(b"\n") + 1].decode()
    except UnicodeDecodeError:
        return "it is not UTF-8: convert it if it is text; " if marked or b"\0" not in head else ""
    return ""


def _read(paths: str | Path | Iterable[str | Path], options: ReadOptions, chosen: Format | None) -> Iterator[Scenes]:
    with local_copies(paths) as local:
        yield from SceneNames().unique_all(_named(local, options, chosen))


def _named(local: LocalPaths, options: ReadOptions, chosen: Format | None) -> Iterator[Scenes]:
    """Scenes of copies, with the names of the files that were copied."""
    for path, reader in trajectory_files(local.paths, chosen):
        for item in reader.blocks(path, options):
            given = local.name_of(item.source.path)
            yield item if given == item.source.path else replace(item, source=replace(item.source, path=given))


def _below(folder: Path, chosen: Format | None) -> Iterator[tuple[Path, Format]]:
    """Files and whole folders below a folder, sorted."""
    if (whole := _keeper(folder)) is not None and chosen in (None, whole):
        yield folder, whole
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _below(path, chosen)
        elif (reader := _reader_in_folder(path, chosen)) is not None:
            yield path, reader


def _keeper(folder: Path) -> Format | None:
    scores = _scores(folder)
    best = max(scores, key=lambda name: scores[name])
    return FORMATS[best] if scores[best] >= SURE_ENOUGH else None


def _reader_in_folder(path: Path, chosen: Format | None) -> Format | None:
    documents = path.stem.lower() in DOCUMENTS
    if chosen is not None:
        return chosen if path.suffix.lower() in chosen.suffixes and not documents else None
    try:
        return sniff(path)
    except DataError as error:
        logger.log(logging.INFO if documents else logging.WARNING, "passed over %s", error)
        return None
