"""The server that holds the application: where it listens, and how it ends."""

import atexit
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from types import FrameType

import uvicorn

from forecasting.errors import UsageError
from forecasting.service.aside import still_working
from forecasting.service.connections import Connection
from forecasting.service.gate import Gate
from forecasting.service.limits import Limits

logger = logging.getLogger(__name__)

KEY_VARIABLE = "FORECASTING_API_KEY"
SHORTEST_KEY = 16
BACKLOG = 1024
IDLE = 30
"""[s] that a connection without a request is kept after an answer."""
TICKS = 10
"""Tenths of a second between two looks at the connections."""
FAREWELL = 1.0
"""[s] for threads at work, when all else has ended."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_key(host: str, key: str) -> str:
    """The key, if it suffices for where the service listens.

    Raises:
        UsageError: if others can reach the service and there is no key, or a short one.
    """
    if not key and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached by others, so the service needs a key: set {KEY_VARIABLE} to at least {SHORTEST_KEY} "
            'characters (python -c "import secrets; print(secrets.token_urlsafe(24))"), or listen on 127.0.0.1'
        )
    if key and len(key) < SHORTEST_KEY:
        raise UsageError(f"{KEY_VARIABLE} has {len(key)} characters; a key of at least {SHORTEST_KEY} is needed")
    return key


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens, so that its port is known (0 lets the system choose).

    Raises:
        UsageError: if that is not possible.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # only then is no packet held back (TCP_NODELAY)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error}; choose another with --host and --port") from None
    return listener


class Server(uvicorn.Server):
    """Serves until a signal, finishes what was accepted, and ends without dying of the signal, so that what comes after happens.

    Args:
        app: the application; patience: [s] for accepted requests at the end; limits: on connections.
        drain: [s] between the signal and the end of listening, in which `/ready` answers 503 and all else as before.
    """

    def __init__(self, app: Gate, patience: float, limits: Limits, drain: float = 0.0) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(Connection, limits),  # type: ignore[arg-type]
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=IDLE,
                timeout_graceful_shutdown=max(1, round(patience)),
                backlog=BACKLOG,
                ws="none",
                lifespan="on",
            )
        )
        self._gate, self._drain = app, drain
        self._closing = inf

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals as uvicorn does, and forget them at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say that the service leaves, and leave after a while; at the second signal at once."""
        self._gate.leave()
        if self._drain and self._closing == inf:
            self._closing = time.monotonic() + self._drain
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: look after the connections now and then; whether it is time to end."""
        now = time.monotonic()
        if counter % TICKS == 0:
            for each in tuple(self.server_state.connections):
                each.look(now)  # type: ignore[union-attr]
        return await super().on_tick(counter) or now >= self._closing


def run(app: Gate, listener: socket.socket, patience: float, limits: Limits | None = None, drain: float = 0.0) -> None:
    """Serve until SIGINT or SIGTERM, then finish what was accepted.

    Whatever a thread does then, the process can end.

    Args:
        listener: where; others: see `Server`.
    """
    server = Server(app, patience, limits or Limits(), drain)
    gc.collect()
    gc.freeze()  # what was imported and loaded stays, so that nobody waits while it is searched for garbage
    server.run(sockets=[listener])
    if stuck := still_working(FAREWELL):
        logger.warning("the process ends while there is still work for: %s", ", ".join(stuck))
        atexit.register(_end)


def _end() -> None:
    """End the process here: going on with a thread at work, the interpreter might crash at its end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)
