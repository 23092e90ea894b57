"""Text files of the Jülich pedestrian experiments: id, frame, x, y, z between blanks, with a ``#`` header or none."""

import re
from collections.abc import Iterator
from pathlib import Path

from forecasting.errors import DataError
from forecasting.trajectories.formats._table_notes import FieldNote
from forecasting.trajectories.formats._text import Preamble, load_numbers, looks_numeric, sample_lines
from forecasting.trajectories.formats._text_rows import read_rows
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Trajectory

_RATE = re.compile(r"framerate\s*:?\s*([0-9.]+)", re.IGNORECASE)
_COLUMNS = re.compile(
    r"^id\s+(?:frame|fr)\s+x(?:\s*[/\[]\s*(?P<x>\w+)\]?)?\s+y\S*(?:\s+z(?:\s*[/\[]\s*(?P<z>\w+)\]?)?)?", re.IGNORECASE
)


class JuelichFormat(Format):
    """Text files of PeTrack. Positions are planar; z, the height of the head, becomes the scalar field ``height``."""

    name = "juelich"
    summary = "Jülich text: id frame x y z; unit and frame rate from its header, else --unit and --rate; z is a field"
    suffixes = (".txt",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain with its header, high for lines of five numbers, the first two whole; see `Format.sniff`."""
        lines = sample_lines(head)
        preamble = Preamble.of(iter(lines))
        width = len(preamble.first.split())
        if width not in (4, 5) or not looks_numeric(lines[preamble.lines :], width, integral=2):
            return 0.0
        if any(_COLUMNS.match(comment) for comment in preamble.comments):
            return 1.0
        return 0.8 if width == 5 else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file; see `Format.read`."""
        preamble = Preamble.load(path)
        rates = [match[1] for match in map(_RATE.search, preamble.comments) if match]
        heads = [match for match in map(_COLUMNS.match, preamble.comments) if match]
        values = load_numbers(path, preamble, width=4 if len(preamble.first.split()) == 4 else 5)
        columns = dict(zip(("node", "frame", "x", "y", "height"), values.T, strict=False))
        unit = heads[0]["x"] or "" if heads else ""
        height_unit = options.unit or (heads[0]["z"] if heads else "") or unit or options.fallback_unit
        fields = {"height": FieldNote(("height",), "0e", height_unit, False, True)} if "height" in columns else {}
        rate = _number(path, rates[0]) if rates else None
        yield read_rows(
            path,
            self.name,
            columns,
            options,
            preamble.lines,
            unit=unit,
            rate=rate,
            node_type="pedestrian",
            fields=fields,
        )


def _number(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{path}: its header has the frame rate '{text}', expected a number; correct it") from None


FORMATS.register(JuelichFormat.name)(JuelichFormat())
