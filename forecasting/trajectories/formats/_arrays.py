"""Opening npy and npz files without trusting them: no pickles, and sizes are checked before memory is asked for."""

import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"
MAX_EXPANSION = 100
"""What a large array expands by at most; deflate makes a thousandth of zeros, but hardly a tenth of measured numbers."""

LARGE = 1 << 27
"""[bytes] above which `MAX_EXPANSION` holds."""

_FAULTS = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    SyntaxError,
    ArithmeticError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
)
Header = tuple[tuple[int, ...], np.dtype[Any], Literal["C", "F"]]


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn what numpy, zipfile and the system raise on missing, damaged or hostile files into a `DataError`."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except _FAULTS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: damaged or not an array file ({reason}); write it again with numpy.save or savez") from None


def read_header(stream: IO[bytes]) -> Header:
    """Shape, dtype and order ('F' or 'C') of the npy data that start here; leaves the stream at the first value.

    Raises:
        ValueError: if the header is malformed, of an unknown version, or announces Python objects.
    """
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"npy version {version} is not 1.0 or 2.0")
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = reader(stream)
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects, which are refused because they can run code; save plain arrays")
    if any(length < 0 for length in shape):
        raise ValueError(f"its header claims the shape {shape}")
    return shape, dtype, "F" if by_column else "C"


def load_npy(path: Path) -> NDArray[Any]:
    """Map an npy file into memory, read only.

    Raises:
        DataError: if it is missing, damaged, holds objects, or its header claims more or less than the file has.
    """
    with reading_errors(path):
        with path.open("rb") as stream:
            shape, dtype, _ = read_header(stream)
            found = path.stat().st_size - stream.tell()
        _check_size(shape, dtype, found)
        if math.prod(shape) == 0:
            return np.zeros(shape, dtype)
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


class ArrayArchive:
    """An npz file: named arrays, loaded one by one when they are asked for.

    Raises:
        DataError: if the file is missing or not a zip archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading_errors(path):
            self._archive = zipfile.ZipFile(path)
        self._members = {info.filename.removesuffix(".npy"): info for info in self._archive.infolist()}
        if not self._members:
            self._archive.close()
            raise DataError(f"{path}: the archive holds no arrays")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    @property
    def names(self) -> list[str]:
        """Names of the arrays, in file order."""
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def header(self, name: str) -> Header:
        """Shape, dtype and order of one array, without loading it."""
        with self._open(name) as stream:
            return read_header(stream)

    def load(self, name: str) -> NDArray[Any]:
        """One array.

        Raises:
            DataError: if it is damaged, holds objects, or its sizes contradict each other or exceed the memory.
        """
        if name not in self._members:
            raise DataError(f"{self.path}: there is no array '{name}'; it holds {', '.join(self.names)}")
        with self._open(name) as stream:
            shape, dtype, order = read_header(stream)
            info = self._members[name]
            _check_size(shape, dtype, info.file_size - stream.tell())
            bomb = info.file_size > LARGE and info.file_size > MAX_EXPANSION * info.compress_size
            if bomb or info.file_size > _memory():
                raise ValueError(
                    f"'{name}' has {info.file_size} bytes out of {info.compress_size} compressed ones, which measured numbers "
                    "never do; if they are right, save them uncompressed"
                )
            content = bytearray(stream.read())  # reading to the end also compares the checksum
            return np.frombuffer(content, dtype).reshape(shape, order=order)

    def text(self, name: str) -> str:
        """A single string."""
        array = self.load(name)
        if array.size != 1 or array.dtype.kind not in "US":
            raise DataError(f"{self.path}: '{name}' is {array.dtype} of shape {array.shape}, expected one text")
        return str(array.reshape(())[()])

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        with reading_errors(self.path), self._archive.open(self._members[name]) as stream:
            yield stream


def archive_headers(path: Path, head: bytes) -> dict[str, Header] | None:
    """Name -> header of what an npz holds, or None where it is not one that can be opened (for sniffing).

    Of an archive with very many arrays, the first thousand.
    """
    if not head.startswith(ZIP_MAGIC):
        return None
    try:
        with ArrayArchive(path) as archive:
            return {name: archive.header(name) for name in archive.names[:1000]}
    except DataError:
        return None


def as_numbers(array: NDArray[Any], path: Path, name: str) -> NDArray[np.float64]:
    """The array as float64.

    Raises:
        DataError: if it does not hold real numbers.
    """
    if array.dtype.kind not in "iuf":
        raise DataError(f"{path}: '{name}' holds {array.dtype}, expected numbers")
    return np.ascontiguousarray(array, dtype=np.float64)


def observed(positions: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T, N) whether no coordinate of (T, N, D) positions is missing (NaN)."""
    missing = np.isnan(positions)
    if not missing.any():
        return np.ones(positions.shape[:2], dtype=bool)
    return ~np.logical_or.reduce([missing[..., axis] for axis in range(positions.shape[2])])


def _check_size(shape: tuple[int, ...], dtype: np.dtype[Any], found: int) -> None:
    expected = math.prod(shape) * dtype.itemsize
    if expected != found:
        raise ValueError(f"shape {shape} of {dtype} needs {expected} bytes, the file has {found}")


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
