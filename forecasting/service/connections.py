"""Connections that owe something, and for how long they may."""

import asyncio
import secrets
import time
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from forecasting.service.asgi import Receive, Scope, Send, respond
from forecasting.service.limits import Limits
from forecasting.service.problems import CONTENT_TYPE, Problem

SPARE = 64
"""Connections beyond the limit that are told so; those beyond these are closed without a word."""
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
LARGEST_HEAD = 64 << 10
"""[bytes] of the head of a request."""
_Protocol: Any = AutoHTTPProtocol


class Connection(_Protocol):  # type: ignore[misc]
    """A connection that knows since when its client owes the head of a request, or the reading of an answer.

    uvicorn closes connections that are idle after an answer; it waits without end for a first request, for the rest of a head,
    and for a client that does not read.

    Args:
        limits: of the service; others: as uvicorn gives them.
    """

    def __init__(self, limits: Limits, **others: Any) -> None:
        super().__init__(**others)
        self._limits = limits
        self._head_since: float | None = None
        self._head = 0
        self._unread_since, self._answering = 0.0, self.cycle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        super().connection_made(transport)
        self._head_since = time.monotonic()
        if len(self.connections) > self._limits.connections + SPARE:
            self.transport.abort()
        elif len(self.connections) > self._limits.connections:
            self.app = _refuse

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        before = self.cycle
        if self._head_since is None and before.response_complete:
            self._head_since = time.monotonic()
        super().data_received(data)
        if self.cycle is not before:
            self._head_since, self._head = None, 0
        elif self._head_since is not None:
            self._head += len(data)
            if self._head > LARGEST_HEAD and not self.transport.is_closing():
                self.send_400_response(f"The head of a request has at most {LARGEST_HEAD} bytes.")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP as a problem, unless an answer has begun."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = Problem(400, f"{msg.rstrip('.')}; expected HTTP/1.1").body(secrets.token_hex(8))
            self.transport.write(_BAD_REQUEST % (CONTENT_TYPE.encode(), len(body)) + body)
        self.transport.close()

    def look(self, now: float) -> None:
        """End the connection if it owes something for too long, at this time of `time.monotonic`."""
        if not self.transport.get_write_buffer_size() or self._answering is not self.cycle:
            self._unread_since, self._answering = now, self.cycle
        if now - self._unread_since > self._limits.sending:
            self.transport.abort()
        elif self._head_since is not None and now - self._head_since > self._limits.head:
            self.transport.close()


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """What those are answered who are too many."""
    problem = Problem(
        503, "the service has as many connections as it may; come again", {"retry-after": "5", "connection": "close"}
    )
    await respond(send, problem.status, problem.body(secrets.token_hex(8)), CONTENT_TYPE, problem.headers)
