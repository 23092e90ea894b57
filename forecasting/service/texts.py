"""Texts that would not come back as they were sent, or would take more room than anybody has."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from forecasting.service.problems import Problem

LONGEST = 200
"""Characters of a name."""
MOST_TOGETHER = 1 << 22
"""Names × characters of the longest: in an array all take the room of the longest, four bytes for a character."""


def check_names(names: Sequence[str]) -> None:
    """See that an array keeps names as they are, in a reasonable size.

    Raises:
        ValueError: if one ends with a NUL character, which arrays lose, or they are too long.
    """
    if any(name.endswith("\0") for name in names):
        raise ValueError("a name ends with a NUL character, which would be lost; leave it away")
    longest = max(map(len, names), default=0)
    if longest > LONGEST or longest * len(names) > MOST_TOGETHER:
        raise ValueError(f"{len(names)} names of up to {longest} characters are too much; write shorter names")


def check_table(table: pa.Table) -> None:
    """`check_names` for the columns of a table whose inside was found whole.

    Raises:
        Problem: 422 where a name cannot stand.
    """
    for title, column in zip(table.column_names, table.columns, strict=True):
        for chunk in column.chunks:
            texts = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
            if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
                continue
            where = f"column '{title[:100]}' has a text that"
            if pc.any(pc.ends_with(texts, pattern="\0")).as_py():
                raise Problem(422, f"{where} ends with a NUL character, which would be lost; leave it away")
            if (pc.max(pc.binary_length(texts)).as_py() or 0) > 4 * LONGEST:
                raise Problem(422, f"{where} is longer than {LONGEST} characters; write shorter names")
