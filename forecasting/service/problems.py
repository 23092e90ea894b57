"""Errors as the service says them: problem details in JSON (RFC 9457)."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from forecasting.errors import ForecastingError
from forecasting.trajectories.formats.base import TooLargeError

CONTENT_TYPE = "application/problem+json"
LONGEST = 1000
_MISSING = re.compile(r"does not say (?:the unit|its frame rate|which way is up).*--(unit|rate|up)")
_OPTION = re.compile(r"--([a-z][a-z-]*)")
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}


class Problem(Exception):
    """Why a request is not answered as it wished.

    Args:
        status: of the response; detail: what was found, what was expected, what fixes it.
        headers: of the response, for instance ``retry-after``.
        members: further members of the problem, for instance ``missing``.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.members = status, detail, dict(headers or {}), members

    @classmethod
    def of(cls, error: ForecastingError, folder: str = "") -> "Problem":
        """What the program says of a request's content, as 422, or 413 where it is too much.

        Options of the command line lose their dashes.

        Args:
            error: as it was raised; folder: where a body lies for as long as it is read, which is nobody's business.
        """
        text = str(error)
        found = _MISSING.search(text)
        text = _OPTION.sub(r"`\1`", text.replace(f"{folder}/", "") if folder else text)
        members: dict[str, Any] = {"missing": found[1]} if found else {}
        return cls(413 if isinstance(error, TooLargeError) else 422, text, None, **members)

    def body(self, request_id: str) -> bytes:
        """The JSON document."""
        plain = {
            "type": "about:blank",
            "title": _TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail if len(self.detail) <= LONGEST else f"{self.detail[:LONGEST]}…",
            "request_id": request_id,
            **self.members,
        }
        return json.dumps(plain).encode()


def too_large(what: str, found: int | float | str, most: int | float) -> Problem:
    """413 for a limit of the service."""
    return Problem(413, f"the request has {found} {what}, this service takes at most {most}; send less at a time")


def stopping() -> Problem:
    """503 for a service that takes no more, or gives up what it took."""
    return Problem(503, "the service is stopping; ask again when it is back", {"retry-after": "5"})


def no_memory() -> Problem:
    """503 for work that did not fit."""
    return Problem(503, "there is not enough memory for this request now; send less at a time", {"retry-after": "5"})


def unexpected() -> Problem:
    """500 for an error of the service itself."""
    return Problem(500, "the service failed in an unexpected way; its log says how")
