"""Long work on a folder that may be interrupted, and goes on where it stopped when it is asked for again."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forecasting.errors import ForecastingError, UsageError
from forecasting.files import install_folder

_LOCK = "lock"


@contextmanager
def unfinished_folder(target: Path, key: str) -> Iterator[Path]:
    """Yield the folder ``.NAME.KEY.unfinished`` beside `target`, which takes the place of `target` on success.

    If the work is interrupted (a signal, a full disk, a lost machine), the folder stays, and the next call with the same
    key finds what was done. If the work cannot be done (a `ForecastingError`), it is removed. Unfinished folders of the
    same target with another key are removed, unless somebody works in them.

    Args:
        target: the folder to make or replace.
        key: of the work: whatever changes the result changes the key.

    Raises:
        UsageError: if another process is doing this work.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.parent / f".{target.name}.{key}.unfinished"
    for other in target.parent.iterdir():
        if other.name.startswith(f".{target.name}.") and other.name.endswith(".unfinished") and other != work:
            _remove_unless_locked(other)
    work.mkdir(exist_ok=True)
    with (work / _LOCK).open("w") as lock:
        if not _locked(lock.fileno()):
            raise UsageError(f"{target}: another process is making it; wait for it, or choose another folder")
        try:
            yield work
        except ForecastingError:
            shutil.rmtree(work, ignore_errors=True)
            raise
        (work / _LOCK).unlink()
        install_folder(work, target)


def _remove_unless_locked(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("w") as lock:
            if _locked(lock.fileno()):
                shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0
