"""What libraries keep for the shapes of matrix products that they have seen."""

import os

CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Products of matrices are prepared anew for every number of rows, and by default the last 1024 preparations are kept, twice; as
micro-batches have any number of rows, that grows to hundreds of megabytes."""
CAPACITY = "64"


def keep_few_preparations() -> None:
    """Bound the caches of matrix products, unless the environment does; to be called before torch is first used."""
    for name in CACHES:
        os.environ.setdefault(name, CAPACITY)
