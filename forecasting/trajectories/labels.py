"""Names that many rows share, each kept once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.trajectories.shard_tables import Vocabulary
from forecasting.trajectories.windows import Int


@dataclass(frozen=True, eq=False)
class Labels:
    """One label for each of M things.

    Attributes:
        names: (U,) the labels there are, integers or strings.
        code: (M,) which of them each thing has.
    """

    names: NDArray[Any]
    code: Int

    @classmethod
    def of(cls, parts: Sequence[NDArray[Any]]) -> "Labels":
        """The labels of parts, one behind the other; parts with the same strings cost little after the first."""
        if all(part.dtype.kind in "iu" for part in parts):
            names = np.concatenate(parts)
            return cls(names, np.arange(len(names)))
        known = Vocabulary()
        code = np.concatenate([known.codes(part.astype(str, copy=False)) for part in parts])
        return cls(np.array(known.names, dtype=str), code.astype(np.int64))

    def __getitem__(self, rows: Int | slice) -> "Labels":
        return Labels(self.names, self.code[rows])

    @property
    def values(self) -> NDArray[Any]:
        """(M,) the labels themselves."""
        return self.names[self.code]

    def column(self, rows: Int) -> pa.Array:
        """(R,) the labels of `rows` as a column of a table."""
        if self.names.dtype.kind in "iu":
            return pa.array(self.names[self.code[rows]])
        return pa.array(self.names).take(pa.array(self.code[rows]))
