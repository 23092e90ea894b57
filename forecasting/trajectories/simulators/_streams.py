"""One seeded stream of blocks of scenes, computed ahead on all cores."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from forecasting.trajectories.simulators.base import checked_seed

D = TypeVar("D")
R = TypeVar("R")
BLOCK = 1024


def stream(draw: Callable[[np.random.RandomState, int], D], work: Callable[[D], R], count: int, seed: int) -> Iterator[R]:
    """Blocks of always the same size, so that results do not depend on how many are asked for.

    Args:
        draw: the start of the next scenes from the random stream, so many of them, one after the other.
        work: what is computed from a start; may run at the same time for several.
        count: of scenes that the blocks hold at least.
        seed: of the stream.

    Raises:
        UsageError: if the seed is out of range.
    """
    rng = np.random.RandomState(checked_seed(seed))
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[R]] = deque()
        for _ in range(0, count, BLOCK):
            ahead.append(pool.submit(work, draw(rng, BLOCK)))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
