"""The files in the body of an upload."""

import re
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

from forecasting.service.problems import Problem

MULTIPART = "multipart/form-data"
MOST_FILES = 64
LONGEST_NAME = 150
"""[bytes] of the end of a file's name that is kept; file systems take 255."""
LONGEST_HEAD = 4096
"""[bytes] of the header of a part."""
_UNSAFE = re.compile(r"[^\w .()+@-]")


def uploaded(body: bytes, content_type: str, name: str | None, folder: Path) -> list[str]:
    """Write the files of a body into a folder.

    Args:
        body: one file, or several as multipart/form-data (RFC 7578); content_type: of it.
        name: of the file where there is one; folder: to write to.

    Returns:
        their names, without folders and odd characters.

    Raises:
        Problem: 400 or 422 where there is none, or one twice.
    """
    if content_type.partition(";")[0].strip().lower() == MULTIPART:
        files = _parts(body, content_type)
    else:
        files = [(name or "", body)]
    names = list[str]()
    for given, content in files:
        plain = _UNSAFE.sub("_", given.replace("\\", "/").rpartition("/")[2]).strip(" .")
        plain = plain.encode()[-LONGEST_NAME:].decode(errors="ignore").strip(" .")
        if not plain:
            raise Problem(422, "a file has no name; say it with `name=clip.csv` in the address (readers go by it)")
        if plain in names:
            raise Problem(422, f"two files are called {plain}")
        if not content:
            raise Problem(422, f"{plain}: the file is empty")
        (folder / plain).write_bytes(content)
        names.append(plain)
    return names


def _parts(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """Name and content of every part that is a file."""
    boundary = re.search(r'boundary="?([^";,]{1,70})"?', content_type, re.IGNORECASE)
    if boundary is None:
        raise Problem(400, "the body is multipart/form-data without a boundary")
    mark = b"--" + boundary[1].encode("latin-1")
    sections = (b"\r\n" + body).split(b"\r\n" + mark, MOST_FILES + 2)
    if len(sections) > MOST_FILES + 2:
        raise Problem(413, f"the body has more than {MOST_FILES} parts, which is what this service takes at most")
    if len(sections) < 3 or not sections[-1].startswith(b"--"):
        raise Problem(400, "the body is not whole multipart/form-data: its last boundary is missing")
    files = []
    for section in sections[1:-1]:
        head, blank, content = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not blank:
            raise Problem(400, "a part of the body has no header")
        if len(head) > LONGEST_HEAD:
            raise Problem(400, f"a part of the body has a header of {len(head)} bytes, expected at most {LONGEST_HEAD}")
        try:
            name = BytesParser(policy=HTTP).parsebytes(head + b"\r\n\r\n", headersonly=True).get_filename()
        except Exception:  # the header is a stranger's, and the parser has many ways to fail, deep recursion among them
            raise Problem(400, "a part of the body has a header that cannot be read") from None
        if name:
            files.append((name, content))
    if not files:
        raise Problem(422, "the body holds no file; every part that is one has a `filename`")
    return files
