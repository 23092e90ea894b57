"""The way in: who may come, how much they may bring, and a line for each who came."""

import asyncio
import hmac
import ipaddress
import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from forecasting.service.asgi import App, Receive, Scope, Send
from forecasting.service.counts import Counts
from forecasting.service.problems import Problem, no_memory, stopping, unexpected
from forecasting.service.sending import Sending
from forecasting.service.taking import Memory

logger = logging.getLogger(__name__)
OPEN = ("/", "/health", "/ready", "/favicon.ico")
"""Paths that need no key, beside those of the page."""
PAGE = "/viewer/"
UNCOUNTED = Memory(sys.maxsize)
"""For the page, of which there is one copy for all: whoever has no key cannot fill the memory of others with it."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Gate:
    """Wraps the application.

    Args:
        app: behind the gate; key: that requests must bear, empty for none.
        local: take only requests that are addressed to this machine by its own names, so that no page from elsewhere, whose
            name was made to point here, can ask (DNS rebinding).
        counts: of requests; direct: (method, path) -> an application that is called without asking `app` for the route.
        memory: in which answers are counted until they are sent; leave: called when the process was told to end.
        quiet: write no line for each request.
    """

    def __init__(
        self,
        app: App,
        key: str,
        counts: Counts,
        direct: Mapping[tuple[str, str], App],
        *,
        memory: Memory,
        leave: Callable[[], None],
        local: bool = True,
        quiet: bool = False,
    ) -> None:
        self.app, self.key, self.counts, self.direct = app, key.encode(), counts, direct
        self.memory, self.leave, self.local, self.quiet = memory, leave, local, quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        headers = dict(scope["headers"])
        asked = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = asked if _ID.fullmatch(asked) else secrets.token_hex(8)
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        path, method = scope["path"], scope["method"]
        memory = UNCOUNTED if _is_open(path) else self.memory
        sending = Sending(send, [(b"x-request-id", request_id.encode()), *_SAFE], request_id, memory)
        self.counts.began()
        try:
            self._check(path, headers)
            await self.direct.get((method, path), self.app)(scope, receive, sending)
        except asyncio.CancelledError:  # at the end of the service's patience
            await sending.problem(stopping())
        except Problem as problem:
            await sending.problem(problem)
        except MemoryError:
            await sending.problem(no_memory())
        except Exception:
            logger.exception("request %s failed in an unexpected way", request_id)
            await sending.problem(unexpected())
        finally:
            seconds = time.perf_counter() - start
            self.counts.ended(path, method, sending.status, seconds)
            if not self.quiet:
                _line(request_id, method, path, sending.status, seconds, scope.get("client"))

    def _check(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        if self.local:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = re.sub(r":\d*$", "", host)
            if not _is_local(name):
                raise Problem(
                    400, "this service answers to localhost only; ask it by that name, or bind it to an address with --host"
                )
        if self.key and not _is_open(path):
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            given = given.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
            if not hmac.compare_digest(given, self.key):
                raise Problem(
                    401,
                    "a key is needed: send it as `Authorization: Bearer KEY` or as `X-API-Key`",
                    {"www-authenticate": "Bearer"},
                )


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(PAGE)


def _is_local(name: str) -> bool:
    """Whether only this machine answers to a name, whoever says it: `localhost`, or a loopback address."""
    try:
        return name == "localhost" or ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _line(request_id: str, method: str, path: str, status: int, seconds: float, client: Any) -> None:
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "id": request_id,
        "client": client[0] if client else "",
        "method": method,
        "path": path[:200],
        "status": status,
        "ms": round(1000 * seconds, 1),
    }
    print(json.dumps(line), file=sys.stderr, flush=True)
