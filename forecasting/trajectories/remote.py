"""Files that lie elsewhere: anything fsspec can open, copied for as long as they are read."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from forecasting.errors import DataError, UsageError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:::[A-Za-z][A-Za-z0-9+.-]*)*(?:://|::)")


@dataclass(frozen=True)
class LocalPaths:
    """Files and folders on this machine, and what the user calls them.

    Attributes:
        paths: on this machine.
        names: copied path -> the URL it was copied from.
    """

    paths: tuple[Path, ...]
    names: dict[Path, str] = field(default_factory=dict)

    def name_of(self, path: str | Path) -> str:
        """What the user calls a path: itself, or where it was copied from."""
        for copied, url in self.names.items():
            if Path(path).is_relative_to(copied):
                inside = Path(path).relative_to(copied).as_posix()
                return url if inside == "." else f"{url.rstrip('/')}/{inside}"
        return str(path)


def is_url(path: str | Path) -> bool:
    """Whether a path is a URL such as ``s3://bucket/walks``, and not a path of this machine."""
    return isinstance(path, str) and _URL.match(path) is not None


@contextmanager
def local_copies(paths: str | Path | Iterable[str | Path]) -> Iterator[LocalPaths]:
    """Files and folders as paths of this machine; those named by a URL are copied, and the copies are removed at the end.

    A file is copied alone: formats that look for a second file beside it (a skeleton, a topology) need the folder.

    Args:
        paths: one or several; a URL is whatever fsspec understands, for instance ``s3://bucket/walks``,
            ``https://host/tracks.csv`` or ``zip://tracks.csv::archive.zip``.

    Raises:
        DataError: if a URL cannot be read.
        UsageError: if its protocol is unknown, or needs a package that is not installed.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not any(map(is_url, given)):
        yield LocalPaths(tuple(map(Path, given)))
        return
    folder = Path(tempfile.mkdtemp(prefix="forecasting-"))
    try:
        local, names = list[Path](), dict[Path, str]()
        for number, path in enumerate(given):
            if not is_url(path):
                local.append(Path(path))
                continue
            place = folder / str(number)
            place.mkdir()
            local.append(_copy(str(path), place))
            names[local[-1]] = str(path)
        yield LocalPaths(tuple(local), names)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(url: str, place: Path) -> Path:
    import fsspec

    try:
        system, inner = fsspec.core.url_to_fs(url)
        if system.isdir(inner):
            target = place / (Path(inner.rstrip("/")).name or "files")
            system.get(inner.rstrip("/") + "/", f"{target}/", recursive=True)
            return target
        target = place / (Path(inner).name or "file")
        system.get_file(inner, str(target))
    except FileNotFoundError:
        raise DataError(f"{url}: there is no such file or folder; check the address") from None
    except ImportError as error:
        raise UsageError(f"{url}: {str(error).splitlines()[0]}") from None
    except ValueError as error:
        raise UsageError(f"{url}: this address cannot be opened ({str(error).splitlines()[0]})") from None
    except Exception as error:  # every fsspec back end raises errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{url}: cannot be copied ({reason})") from None
    return target
