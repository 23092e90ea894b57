"""Where results are put: a folder of this machine, or one elsewhere that fsspec can write."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from forecasting.errors import DataError, UsageError
from forecasting.files import atomic_file
from forecasting.trajectories.remote import is_url


class Place(Protocol):
    """A folder. A file in it is either whole or absent, also after a crash.

    Attributes:
        name: what the user calls it.
    """

    name: str

    def sizes(self) -> dict[str, int]:
        """Name -> bytes of each file in it and in its folders, by the path inside."""

    def read(self, name: str) -> str | None:
        """Text of a file; None where there is none."""

    def writing(self, name: str) -> Any:
        """A context that yields a path to write to; the file appears when the context ends well."""

    def remove(self, name: str) -> None:
        """Remove a file."""

    def alone(self) -> Any:
        """A context in which no other process of this program is in one of its own here, where the place can tell."""


class LocalPlace:
    """A folder of this machine; see `Place`."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.name = str(folder)

    def sizes(self) -> dict[str, int]:
        """See `Place.sizes`."""
        files = (path for path in self.folder.rglob("*") if path.is_file()) if self.folder.is_dir() else ()
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in files}

    def read(self, name: str) -> str | None:
        """See `Place.read`."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else None

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Place.writing`."""
        with atomic_file(self.folder / name) as temporary:
            yield temporary

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Place.alone`; the folder itself is locked, so nothing is left behind.

        Raises:
            UsageError: if another process is at work here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise UsageError(f"another forecast predict is at work in {self.name}; wait until it ends") from None
        except OSError:  # a file system that cannot lock folders
            pass
        try:
            yield
        finally:
            os.close(handle)


class RemotePlace:
    """A folder elsewhere: files are made here and put there when they are whole; see `Place`.

    Args:
        url: of the folder, for instance ``s3://bucket/futures``.
    """

    def __init__(self, url: str) -> None:
        self.name = url.rstrip("/")
        self.system, inner = file_system(self.name)
        self.inner = inner.rstrip("/")

    def sizes(self) -> dict[str, int]:
        """See `Place.sizes`."""
        if not self.system.exists(self.inner):
            return {}
        found = self.system.find(self.inner, detail=True)
        return {path[len(self.inner) + 1 :]: about["size"] for path, about in found.items()}

    def read(self, name: str) -> str | None:
        """See `Place.read`."""
        try:
            return str(self.system.cat_file(f"{self.inner}/{name}").decode())
        except FileNotFoundError:
            return None

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Place.writing`."""
        folder = Path(tempfile.mkdtemp(prefix="forecasting-"))
        try:
            yield folder / "file"
            target = f"{self.inner}/{name}"
            self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
            self.system.put_file(str(folder / "file"), target)
        except OSError as error:
            raise DataError(f"{self.name}/{name}: cannot be written ({str(error).splitlines()[0]})") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        self.system.rm_file(f"{self.inner}/{name}")

    def alone(self) -> Any:
        """See `Place.alone`; nothing tells here."""
        return nullcontext()


def place(folder: str | Path) -> Place:
    """The folder of this name, here or elsewhere."""
    return RemotePlace(str(folder)) if is_url(folder) else LocalPlace(folder)


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises:
        UsageError: if its protocol is unknown, or needs a package that is not installed.
    """
    import fsspec

    try:
        system, inner = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(f"{url}: {str(error).splitlines()[0]}") from None
    except ValueError as error:
        raise UsageError(f"{url}: this address cannot be opened ({str(error).splitlines()[0]})") from None
    return system, inner
