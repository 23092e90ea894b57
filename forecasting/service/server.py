"""The server that holds the application: where it listens, and how it ends."""

import gc
import ipaddress
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from forecasting.errors import UsageError
from forecasting.service.gate import App

KEY_VARIABLE = "FORECASTING_API_KEY"
SHORTEST_KEY = 16
BACKLOG = 1024
IDLE = 30
"""[s] that a connection without a request is kept."""


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
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error}; choose another with --host and --port") from None
    return listener


def run(app: App, listener: socket.socket, patience: float) -> None:
    """Serve until SIGINT or SIGTERM, then finish what was accepted.

    Args:
        app: the application; listener: where; patience: [s] for accepted requests at the end.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=max(1, round(patience)),
        backlog=BACKLOG,
        ws="none",
        lifespan="on",
    )
    gc.collect()
    gc.freeze()  # what was imported and loaded stays, so that nobody waits while it is searched for garbage
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends at a signal without dying of it, so that what comes after still happens."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals as uvicorn does, and forget them at the end."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
