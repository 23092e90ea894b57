"""Whether positions have been learned from, told from a small sample of them.

The content hash of a data set tells only whether it is the very same; made anew from the same files, in another order or with
other scenes beside them, it has another hash. What stays is how each node moves, so a package keeps a sample of its training
data's moves: hashes of where a node is at one frame and where it is a step later. Of all moves the ones with the smallest hashes
are kept (bottom-k sketches: Cohen and Kaplan, PODC 2007), so two samples hold the same moves wherever their data do.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import PackageError
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int, WindowSpec

MOST = 2048
"""Moves in a sample: 22 kB in a package, and a share is known to 1 in a hundred."""
_GRAIN = 1e-4
_ROWS = 1 << 20

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Moves:
    """A sample of the moves of nodes.

    Attributes:
        hashes: the smallest, increasing, at most `MOST`; all where there are fewer.
    """

    hashes: Hashes

    @classmethod
    def of(cls, dataset: Dataset, spec: WindowSpec, anchors: Int, length: float) -> "Moves":
        """Moves in the frames of the windows at `anchors` (W, 2), both of its ends among them; nodes that rest do not count.

        Args:
            dataset: positions [unit]; spec: of the windows, a move takes one of its steps; anchors: scene and grid frame.
            length: [unit] of the normalization; positions are told apart by a ten thousandth of it.
        """
        found: Hashes = np.zeros(0, dtype=np.uint64)
        for ends in _ends(dataset, spec, anchors):
            grains = np.round(ends / (_GRAIN * length)).astype(np.int64)
            moving = np.any(grains[:, 0] != grains[:, 1], axis=1)
            found = np.unique(np.concatenate([found, _hashes(grains.reshape(len(grains), -1)[moving])]))[:MOST]
        return cls(found)

    def share_in(self, other: "Moves") -> float | None:
        """Estimate of how much of these moves is in the data of `other`, 0 to 1; None where the samples do not tell."""
        limit = min(self._reach, other._reach)
        mine = self.hashes[self.hashes <= limit]
        return float(np.isin(mine, other.hashes).mean()) if len(mine) and len(other.hashes) else None

    @property
    def _reach(self) -> int:
        """Up to which hash every move is in the sample."""
        return int(self.hashes[-1]) if len(self.hashes) == MOST else int(np.iinfo(np.uint64).max)

    def to_plain(self) -> dict[str, Any]:
        """As JSON values, for a package."""
        return {"moves": base64.b64encode(self.hashes.astype("<u8").tobytes()).decode()}

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "Moves":
        """The inverse of `to_plain`.

        Raises:
            PackageError: if the values are not those of a sample.
        """
        try:
            found = np.frombuffer(base64.b64decode(plain["moves"], validate=True), dtype="<u8").astype(np.uint64)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise PackageError(f"the package's sample of its training data is damaged ({error}); train it again") from None
        if len(found) > MOST or np.any(found[1:] <= found[:-1]):
            raise PackageError(
                f"the package's sample of its training data is damaged: no increasing list of at most {MOST}; train it again"
            )
        return cls(found)


def _ends(dataset: Dataset, spec: WindowSpec, anchors: Int) -> Iterator[NDArray[np.float64]]:
    """(M, 2, D) first and last position of every move, some at a time."""
    rows = dataset.rows
    edges = np.zeros(int(rows.grid_offsets[-1]) + 1, dtype=np.int64)
    frame = rows.grid_offsets[anchors[:, 0]] + anchors[:, 1]
    np.add.at(edges, frame - spec.past, 1)
    np.add.at(edges, frame + spec.future + 1, -1)
    covered = np.cumsum(edges[:-1]) > 0
    for start in range(0, len(rows.key), _ROWS):
        key = np.asarray(rows.key[start : start + _ROWS])
        inside = np.flatnonzero(covered[key // rows.node_stride])
        here = key[inside] // rows.node_stride
        scene = np.searchsorted(rows.grid_offsets, here, side="right") - 1
        later, there = (each[:, 0] for each in rows.lookup(key[inside], np.array([spec.step]), scene))
        there &= covered[np.minimum(here + spec.step, len(covered) - 1)]
        yield np.stack([rows.position[start + inside[there]], rows.position[later[there]]], axis=1)


def _hashes(values: NDArray[np.int64]) -> Hashes:
    """(M,) of (M, C) whole numbers, the same on every machine (the finalizer of SplitMix64, number by number)."""
    found = np.zeros(len(values), dtype=np.uint64)
    for column in values.T:
        found = (found ^ column.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found ^= found >> np.uint64(31)
    return found
