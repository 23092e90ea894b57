"""Bodies as they arrive, within limits, and answers for which somebody still waits."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecasting.service.asgi import Receive
from forecasting.service.limits import Limits
from forecasting.service.problems import Problem, too_large

DRAIN = 8
"""A body that is too large is still read, and thrown away, up to so many times the limit: many clients read no answer before
they have sent everything."""
SMALL = 1 << 16
"""[bytes] of an answer that a connection takes at once, and that is not counted."""
GLANCE = 0.02
"""[s] after which it is looked whether a client is still there."""


class Gone(Exception):
    """The client went away; there is nobody to answer."""


@dataclass
class Memory:
    """Bytes of all bodies that are being read or waiting, and of all answers that are expected or being sent."""

    most: int
    used: int = 0

    def take(self, size: int) -> None:
        """Count further bytes.

        Raises:
            Problem: 429 where there are too many, 413 where there never is room for so many.
        """
        if size > self.most:
            raise too_large("bytes to hold", size, self.most)
        if self.used + size > self.most:
            raise Problem(429, "the service holds as many bodies and answers as it may; come again", {"retry-after": "1"})
        self.used += size


class Taken:
    """The body of one request, counted for as long as it is used, and the answer that is expected.

    Args:
        scope: of the request; memory: of all; limits: of one.
    """

    def __init__(self, scope: Mapping[str, Any], memory: Memory, limits: Limits) -> None:
        self.headers = dict(scope["headers"])
        self.memory, self.limits, self.size = memory, limits, 0

    def __enter__(self) -> "Taken":
        return self

    def __exit__(self, *_: object) -> None:
        self.memory.used -= self.size

    def hold(self, size: int) -> None:
        """Count what the request needs beside its body, so that no work is done for an answer that there is no room for.

        Raises:
            Problem: as `Memory.take`.
        """
        if size <= SMALL:
            return
        if self.size + size > self.memory.most:
            raise too_large("bytes to hold, with its scenes and its answer", self.size + size, self.memory.most)
        self.memory.take(size)
        self.size += size

    async def body(self, receive: Receive) -> bytes:
        """Read it.

        Raises:
            Problem: 408 where it takes too long, 413 where it is too large, 429 where there is no room.
            Gone: if the client left.
        """
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self._read(receive)
        except TimeoutError:
            raise Problem(408, f"the body did not arrive within {self.limits.seconds:g} s") from None

    async def _read(self, receive: Receive) -> bytes:
        said = self.headers.get(b"content-length", b"")
        parts, size, most = list[bytes](), 0, min(self.limits.bytes, self.memory.most)
        problem = too_large("bytes", int(said), most) if said.isdigit() and int(said) > most else None
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            size += len(part)
            if problem is None and size > most:
                problem, parts = too_large("bytes or more", size, most), []
            if problem is None:
                try:
                    self.memory.take(len(part))
                    self.size += len(part)
                    parts.append(part)
                except Problem as full:
                    problem, parts = full, []
            if problem is not None and size > DRAIN * most:
                break
            if not message.get("more_body", False):
                break
        if problem is not None:
            problem.headers.setdefault("connection", "close")
            raise problem
        return parts[0] if len(parts) == 1 else b"".join(parts)


async def awaited(done: "asyncio.Future[bytes]", receive: Receive, seconds: float) -> bytes:
    """The answer, unless the client leaves before.

    Raises:
        Problem: what the answer is instead; 503 where it takes too long.
        Gone: if the client left.
    """
    finished, _ = await asyncio.wait({done}, timeout=GLANCE)
    if finished:
        return done.result()
    leaving: asyncio.Future[Any] = asyncio.ensure_future(_left(receive))
    either: set[asyncio.Future[Any]] = {done, leaving}
    try:
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            return done.result()
        if leaving.done():
            raise Gone
        raise Problem(
            503, f"the answer was not there within {seconds:g} s; send less at a time, or come again", {"retry-after": "5"}
        )
    finally:
        leaving.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
