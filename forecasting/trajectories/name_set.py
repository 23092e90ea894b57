"""Names that were met before, millions of them in little memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RECENT = 1 << 14
"""Names that are kept as they are; older ones are kept as two hashes of 64 bits each."""
SECOND = "\0"


class NameSet:
    """A set that only grows. Two names are taken for one if 128 bits of their hashes agree, which never happens by chance.

    Args:
        names: to begin with.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._recent: set[str] = set()
        self._older: list[NDArray[np.int64]] = []
        for name in names:
            self.add(name)

    def __contains__(self, name: str) -> bool:
        return name in self._recent or (bool(self._older) and self._find([name]) is not None)

    def add(self, name: str) -> None:
        """Add one name."""
        self._recent.add(name)
        if len(self._recent) >= RECENT:
            self._put_away()

    def add_new(self, names: Sequence[str]) -> int | None:
        """Add names up to the first one that is there already.

        Returns:
            its index among `names`; None where all are new.
        """
        known = [index for index in (self._repeated(names), self._find(names)) if index is not None]
        first = min(known, default=len(names))
        self._recent.update(names[:first])
        if len(self._recent) >= RECENT:
            self._put_away()
        return first if first < len(names) else None

    def _repeated(self, names: Sequence[str]) -> int | None:
        """Index of the first name that is among the recent ones or stands among `names` before."""
        if len(set(names)) == len(names) and self._recent.isdisjoint(names):
            return None
        seen = set(self._recent)
        for index, name in enumerate(names):
            if name in seen:
                return index
            seen.add(name)
        return None

    def _find(self, names: Sequence[str]) -> int | None:
        """Index of the first name that is among the older ones."""
        if not self._older:
            return None
        wanted = _hashes(names)
        known = np.zeros(len(names), dtype=bool)
        for hashes in self._older:
            place = np.minimum(np.searchsorted(hashes[0], wanted[0]), hashes.shape[1] - 1)
            known |= (hashes[:, place] == wanted).all(axis=0)
        return int(np.argmax(known)) if known.any() else None

    def _put_away(self) -> None:
        """Keep the hashes of the recent names; tables of like size are merged, so that there are few of them."""
        made = _hashes(list(self._recent))
        self._recent = set()
        while self._older and self._older[-1].shape[1] <= made.shape[1]:
            made = np.concatenate([self._older.pop(), made], axis=1)
        self._older.append(made[:, np.argsort(made[0])])


def _hashes(names: Sequence[str]) -> NDArray[np.int64]:
    """(2, names)."""
    return np.array([[hash(name) for name in names], [hash(name + SECOND) for name in names]], dtype=np.int64)
