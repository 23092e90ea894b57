"""Answers on their way out."""

from collections.abc import Sequence

from forecasting.service.asgi import Message, Send, respond
from forecasting.service.problems import CONTENT_TYPE, Problem
from forecasting.service.taking import SMALL, Memory

PART = 1 << 18
"""[bytes] that are handed to the connection at once; the next part waits until it has taken these."""


class Sending:
    """Sends one answer, a start and one body, and counts its bytes until the connection has taken them.

    Args:
        send: of the connection; marks: headers of every answer; request_id: of problems; memory: of all.

    Attributes:
        status: that was sent, 0 before.
    """

    def __init__(self, send: Send, marks: Sequence[tuple[bytes, bytes]], request_id: str, memory: Memory) -> None:
        self._send, self._marks, self._request_id, self._memory = send, marks, request_id, memory
        self._start: Message | None = None
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Take a message of the application; where there is no room for a body, a problem goes out in its place."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is None:
            return  # of an answer that was replaced
        body: bytes = message.get("body", b"")
        counted = len(body) if len(body) > SMALL else 0
        try:
            self._memory.take(counted)
        except Problem as full:
            await self.problem(full)
            return
        try:
            await self._begin(self._start)
            for first in range(0, counted, PART):
                await self._send({"type": "http.response.body", "body": body[first : first + PART], "more_body": True})
            await self._send({"type": "http.response.body", "body": b"" if counted else body})
        finally:
            self._memory.used -= counted

    async def problem(self, problem: Problem) -> None:
        """Answer with a problem, if no answer has begun."""
        if not self.status:
            self._start = None
            body = problem.body(self._request_id)
            await respond(self._plain, problem.status, body, CONTENT_TYPE, problem.headers)

    async def _plain(self, message: Message) -> None:
        await (self._begin(message) if message["type"] == "http.response.start" else self._send(message))

    async def _begin(self, start: Message) -> None:
        self._start, self.status = None, start["status"]
        await self._send({**start, "headers": [*start.get("headers", ()), *self._marks]})
