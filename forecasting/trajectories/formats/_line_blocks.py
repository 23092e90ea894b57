"""A text file in blocks of whole lines."""

from collections.abc import Iterator
from pathlib import Path

from forecasting.errors import DataError

LONGEST = 64 << 20
"""[bytes] of a line, above which a file is taken for damaged."""


def line_blocks(path: Path, skip: int, size: int) -> Iterator[bytes]:
    """Blocks of about `size` bytes that end with a line; lines end with LF, CR LF or CR.

    Args:
        path: of the file; skip: lines at its beginning to leave out; size: of a block.

    Raises:
        DataError: if there is no end of a line for 64 MiB.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        for _ in range(skip):
            file.readline()
        rest = b""
        while block := file.read(size):
            end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1
            if end:
                yield rest + block[:end]
                rest = block[end:]
            else:
                rest += block
            if len(rest) > LONGEST:
                raise DataError(f"{path}: a line is longer than {LONGEST >> 20} MiB; is it a table of text?")
        if rest:
            yield rest
