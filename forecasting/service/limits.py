"""How much one request, and all of them together, may ask for."""

from dataclasses import dataclass, fields
from math import inf

from forecasting.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """What the service takes; every number is at least 1.

    Attributes:
        bytes: of one body; memory: [bytes] of all bodies that are being read or waiting, and all answers until they are sent.
        scenes, frames, nodes, edges: of one request; frames and nodes of each of its scenes, edges of each graph.
        forecasts: of one request, where it asks for several anchors.
        positions: nodes × hypotheses × steps that one request is answered with.
        entries: frames × nodes of a file that is read, or of a table.
        draws: of a residual.
        queue: requests that wait, for each package.
        connections: open at a time.
        seconds: from a request's last byte to its answer.
        head: [s] in which the head of a request must arrive; sending: [s] in which its answer must be read.
    """

    bytes: int = 8 << 20
    memory: int = 256 << 20
    scenes: int = 1024
    frames: int = 20_000
    nodes: int = 2_000
    edges: int = 200_000
    forecasts: int = 4096
    positions: int = 500_000
    entries: int = 1_000_000
    draws: int = 32
    queue: int = 256
    connections: int = 512
    seconds: float = 30.0
    head: float = 10.0
    sending: float = 60.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0 < value < inf:
                raise UsageError(f"the limit on {item.name} must be positive and finite, found {value}")
