"""Texts of a table that would not come back as they were sent."""

import pyarrow as pa
import pyarrow.compute as pc

from forecasting.service.problems import Problem


def check_texts(body: bytes) -> None:
    """See that no text ends with a NUL character, which arrays of texts lose.

    Args:
        body: an Arrow IPC stream that was found whole.

    Raises:
        Problem: 422 if one does.
    """
    with pa.ipc.open_stream(body) as reader:
        table = reader.read_all()
    for name, column in zip(table.column_names, table.columns, strict=True):
        for chunk in column.chunks:
            texts = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
            if (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)) and _ends_with_nul(texts):
                raise Problem(
                    422, f"column '{name[:100]}' has a text that ends with a NUL character, which would be lost; leave it away"
                )


def _ends_with_nul(texts: pa.Array) -> bool:
    return bool(pc.any(pc.ends_with(texts, pattern="\0")).as_py())
