"""Files to trajectories and back, whatever their format."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from forecasting.errors import DataError, UsageError
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
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
        raise DataError(f"{path}: no known format (tried {', '.join(scores)}); if it is one of these, name it with --format")
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
        paths: a file or folder, or several.
        options: what the user says about them.
        format: name of the format; by default the content decides, and `ReadOptions.wide` means a wide table.

    Raises:
        DataError: if a file is missing or unreadable, nothing is found, or two scenes have one name even so.
        UsageError: if the user must say something that a file does not.
    """
    options = options or ReadOptions()
    format = format or ("wide_csv" if options.wide else "")
    chosen = FORMATS[format] if format else None
    roots = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    return _unique(_read_files(roots, options, chosen))


def write_trajectories(path: str | Path, trajectories: Iterable[Trajectory], format: str = "") -> None:
    """Write scenes to one file, in the format its suffix or `format` names.

    Raises:
        UsageError: if neither names a format that can be written.
    """
    path = Path(path)
    writable = {name: FORMATS[name] for name in FORMATS.names() if FORMATS[name].can_write}
    if format:
        FORMATS[format].write(path, trajectories)
        return
    for member in writable.values():
        if path.suffix.lower() in member.suffixes:
            member.write(path, trajectories)
            return
    endings = ", ".join(member.suffixes[0] for member in writable.values())
    raise UsageError(f"{path}: its ending '{path.suffix}' names no format that can be written ({endings}); or say --format")


def _scores(path: Path) -> dict[str, float]:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder; check the path")
    head = b""
    if not path.is_dir():
        try:
            with path.open("rb") as file:
                head = file.read(HEAD)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
        if not head:
            raise DataError(f"{path}: the file is empty")
    return {name: FORMATS[name].sniff(path, head) for name in FORMATS.names()}


def _read_files(roots: Sequence[Path], options: ReadOptions, chosen: Format | None) -> Iterator[Trajectory]:
    seen: set[Path] = set()
    for root in roots:
        for path, reader in _files(root, chosen):
            if path.resolve() in seen:
                raise UsageError(f"{path} is named twice; name every file once")
            seen.add(path.resolve())
            yield from reader.read(path, options)


def _files(root: Path, chosen: Format | None) -> Iterator[tuple[Path, Format]]:
    if not root.exists():
        raise DataError(f"{root}: there is no such file or folder; check the path")
    if not root.is_dir():
        yield root, chosen or sniff(root)
        return
    if (whole := _keeper(root)) is not None and chosen in (None, whole):
        yield root, whole
        return
    count = 0
    for path in sorted(item for item in root.rglob("*") if item.is_file() and not _is_hidden(item.relative_to(root))):
        reader = _reader_in_folder(path, chosen)
        if reader is not None:
            count += 1
            yield path, reader
    if not count:
        what = f"no {chosen.name} file" if chosen else f"no file of a known format ({', '.join(FORMATS.names())})"
        raise DataError(f"{root}: {what} in this folder")


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


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _unique(trajectories: Iterable[Trajectory]) -> Iterator[Trajectory]:
    taken: set[str] = set()
    for item in trajectories:
        named = item if item.scene not in taken else replace(item, scene=f"{Path(item.source.path).stem}/{item.scene}")
        if named.scene in taken:
            raise DataError(f"{item.source.path}: scene '{named.scene}' exists already; rename one of the files or scenes")
        taken.add(named.scene)
        yield named
