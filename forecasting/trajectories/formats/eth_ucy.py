"""ETH/UCY pedestrians in the common benchmark form: frame, id, x, y between blanks or tabs, without a header."""

from collections.abc import Iterator
from pathlib import Path

from forecasting.trajectories.formats._text import Preamble, load_numbers, looks_numeric, sample_lines
from forecasting.trajectories.formats._text_rows import read_rows
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Trajectory

RATE = 25.0
"""[frames/s] of the videos; rows step 10 frames, 0.4 s. `biwi_eth` truly steps 0.667 s: read it with --rate 15."""


class EthUcyFormat(Format):
    """Text files of the ETH and UCY benchmark."""

    name = "eth_ucy"
    summary = "ETH/UCY text: frame id x y, no header; metres, 25 frames/s unless --rate says otherwise"
    suffixes = (".txt",)

    def sniff(self, path: Path, head: bytes) -> float:
        """High for lines of four numbers, the first two whole; see `Format.sniff`."""
        return 0.8 if looks_numeric(sample_lines(head), 4, integral=2) else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file; see `Format.read`."""
        preamble = Preamble.load(path)
        values = load_numbers(path, preamble, width=4)
        columns = dict(zip(("frame", "node", "x", "y"), values.T, strict=True))
        yield read_rows(path, self.name, columns, options, preamble.lines, unit="m", rate=RATE, node_type="pedestrian")


FORMATS.register(EthUcyFormat.name)(EthUcyFormat())
