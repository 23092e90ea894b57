"""The files of a package: plain files of bounded size, opened without following links."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from forecasting.errors import PackageError


@contextmanager
def opened(path: Path, largest: int | None = None) -> Iterator[BufferedReader]:
    """Open one file of a package for reading.

    Args:
        path: of the file; largest: most bytes it may have.

    Raises:
        PackageError: if it is missing, a link, a folder or a device, unreadable, or too large.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise PackageError(f"{path} is missing; copy the whole package folder") from None
    except (OSError, ValueError) as error:
        link = ": it is a link; copy the file itself" if path.is_symlink() else f": {getattr(error, 'strerror', error)}"
        raise PackageError(f"{path} cannot be read{link}") from None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise PackageError(f"{path} is not a plain file; copy the whole package folder")
    with os.fdopen(handle, "rb") as file:
        if largest is not None and about.st_size > largest:
            raise PackageError(f"{path} has {about.st_size} bytes, expected at most {largest}")
        yield file


def digest(path: Path) -> str:
    """SHA-256 of a file of a package."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
