"""Memory of a process that serves for weeks: what the allocator keeps."""

import ctypes
import platform
import time

EVERY = 5.0
"""[s] between two times that freed memory is given back; once takes milliseconds."""


class Returner:
    """Gives memory that was freed back to the system now and then (glibc; elsewhere it does nothing)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None
        self._last = time.monotonic()

    def now_and_then(self) -> None:
        """Give it back, if the last time was a while ago."""
        if self._libc is not None and time.monotonic() - self._last > EVERY:
            self._libc.malloc_trim(0)
            self._last = time.monotonic()
