"""Node ids that are written as text, and may be integers."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=64)
def text_ids(texts: tuple[str, ...], may_be_integers: bool) -> NDArray[Any]:
    """(N,) integers if every text is one, else the texts; scenes of the same nodes share the array."""
    if may_be_integers and all(map(is_integer, texts)):
        whole = list(map(integer, texts))
        if len(set(whole)) == len(whole):
            return np.array(whole, dtype=np.int64)
    return np.array(texts, dtype=str)


def is_integer(text: str) -> bool:
    """Whether a text is an integer as one would write it, or as a table of floating point numbers writes it (``7.0``)."""
    whole = text.removesuffix(".0")
    return len(whole) < 18 and whole.isascii() and whole.removeprefix("-").isdecimal() and str(int(whole)) == whole


def integer(text: str) -> int:
    """The integer that a text is."""
    return int(text.removesuffix(".0"))
