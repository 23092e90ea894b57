"""Memory of a process that serves for weeks: what libraries keep for shapes they have seen, and what the allocator keeps."""

import ctypes
import os
import platform
import time

CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Products of matrices are prepared anew for every number of rows, and by default the last 1024 preparations are kept, twice; as
micro-batches have any number of rows, that grows to hundreds of megabytes."""
CAPACITY = "64"
EVERY = 5.0
"""[s] between two times that freed memory is given back; once takes milliseconds."""


def keep_few_preparations() -> None:
    """Bound the caches of matrix products, unless the environment does; to be called before torch is first used."""
    for name in CACHES:
        os.environ.setdefault(name, CAPACITY)


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
