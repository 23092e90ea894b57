"""Following the compressed coordinates of an XTC frame bit by bit, before a decoder in C trusts them.

A frame is a chain of groups: one atom by all of its bits, a flag, and, if the flag is set, five bits that say how many atoms
follow as small differences and whether the next differences have one bit more or less. A decoder that believes damaged
groups leaves its memory. So the groups are counted here: they must end with the last atom and within the data, and the
differences must stay of a known size.
"""

import numpy as np
from numpy.typing import NDArray

SMALLEST, LARGEST = 9, 72
"""Kinds of small differences there are; the number is also that of the bits for three of them."""

FEW = 40
"""Frames below which plain Python is faster than all frames at once."""

SLACK = 40
"""Bits that may be left over behind the last group: the rest of a byte, and bytes up to a multiple of four."""

Int = NDArray[np.int64]


def followed(data: NDArray[np.uint8], starts: Int, sizes: Int, bits: Int, kinds: Int, atoms: int) -> NDArray[np.bool_]:
    """(F,) whether the groups of each frame hold its atoms and nothing else.

    Args:
        data: bytes of all frames, and at least two more.
        starts: (F,) first byte of each frame.
        sizes: (F,) bytes of each frame.
        bits: (F,) of an atom that is stored in full.
        kinds: (F,) of the first small differences.
        atoms: in each frame.
    """
    if len(starts) >= FEW:
        return follow_all(data, starts, sizes, bits, kinds, atoms)
    frames = zip(starts.tolist(), sizes.tolist(), bits.tolist(), kinds.tolist(), strict=True)
    return np.array(
        [follow_one(data[start : start + size + 2].tobytes(), size, width, kind, atoms) for start, size, width, kind in frames]
    )


def follow_one(data: bytes, size: int, bits: int, kind: int, atoms: int) -> bool:
    """Whether the groups of one frame hold its atoms and nothing else; see `followed`."""
    end, place, done, following = 8 * size, 0, 0, 0
    while done < atoms:
        place += bits
        if place >= end or not SMALLEST <= kind <= LARGEST:
            return False
        flagged = data[place >> 3] >> (7 - (place & 7)) & 1
        place += 1
        change = 0
        if flagged:
            byte = place >> 3
            code = (data[byte] << 8 | data[byte + 1]) >> (11 - (place & 7)) & 31
            following, change = divmod(code, 3)
            change -= 1
            place += 5
        done += 1 + following
        place += following * kind
        kind += change
    return done == atoms and 0 <= end - place < SLACK and SMALLEST <= kind <= LARGEST


def follow_all(data: NDArray[np.uint8], starts: Int, sizes: Int, bits: Int, kinds: Int, atoms: int) -> NDArray[np.bool_]:
    """The same for many frames at once, a group of each at a time; see `followed`."""
    good = np.zeros(len(starts), dtype=bool)
    frame, place, end, kind = np.arange(len(starts)), 8 * starts, 8 * (starts + sizes), kinds.copy()
    done, following = np.zeros_like(starts), np.zeros_like(starts)
    while len(frame):
        place = place + bits[frame]
        sound = (place < end) & (kind >= SMALLEST) & (kind <= LARGEST)
        if not sound.all():
            frame, place, end, kind, done, following = (item[sound] for item in (frame, place, end, kind, done, following))
        byte = place >> 3
        window = (data[byte].astype(np.int64) << 8 | data[byte + 1]) >> (10 - (place & 7)) & 63
        flagged = window >> 5 == 1
        run, change = np.divmod(window & 31, 3)
        following = np.where(flagged, run, following)
        place = place + 1 + 5 * flagged + following * kind
        kind = kind + (change - 1) * flagged
        done = done + 1 + following
        over = done >= atoms
        if over.any():
            fits = (done == atoms) & (place <= end) & (end - place < SLACK) & (kind >= SMALLEST) & (kind <= LARGEST)
            good[frame[over & fits]] = True
            frame, place, end, kind, done, following = (item[~over] for item in (frame, place, end, kind, done, following))
    return good
