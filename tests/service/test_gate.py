"""Who may come in, and what they carry out."""

import asyncio
import json
import re

import pytest

from forecasting.errors import UsageError
from forecasting.service.app import create_app
from forecasting.service.limits import Limits
from forecasting.service.server import checked_key, is_loopback

KEY = "a key of many letters"


@pytest.fixture(scope="module")
def guarded(shelf, asker):
    return asker(create_app(shelf, key=KEY, quiet=True))


@pytest.mark.parametrize("path", ["/models", "/schema", "/metrics", "/version", "/examples", "/nowhere"])
def test_a_key_is_asked_for(guarded, path):
    answer = guarded("GET", path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/viewer/index.html"])
def test_what_needs_no_key(guarded, path):
    assert guarded("GET", path).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer  {KEY}"}, 200),
        ({"x-api-key": KEY}, 200),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"x-api-key": KEY[:-1]}, 401),
        ({"x-api-key": "ключ".encode()}, 401),
    ],
)
def test_keys(guarded, headers, status):
    assert guarded("GET", "/models", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:1", 200),
        ("127.8.8.8:8000", 200),
        ("10.0.0.1", 400),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("127.0.0.1.evil.example:80", 400),
        ("", 400),
    ],
)
def test_only_requests_to_this_machine(ask, host, status):
    assert ask("GET", "/health", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_where_a_key_must_be(host, loopback):
    assert is_loopback(host) == loopback
    assert checked_key(host, KEY) == KEY
    if loopback:
        assert checked_key(host, "") == ""
    else:
        with pytest.raises(UsageError, match="FORECASTING_API_KEY"):
            checked_key(host, "")
    with pytest.raises(UsageError, match="at least 16"):
        checked_key(host, "short")


def test_request_ids(ask):
    assert ask("GET", "/health", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    for odd in ("a b", "x" * 65, "<script>"):
        assert re.fullmatch(r"[0-9a-f]{16}", ask("GET", "/health", headers={"x-request-id": odd}).headers["x-request-id"])


def test_the_page_runs_nothing_from_elsewhere(ask):
    for path in ("/", "/viewer/main.js", "/viewer/player/player.js", "/favicon.ico"):
        answer = ask("GET", path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert ask("GET", "/").headers["content-type"] == "text/html; charset=utf-8"
    assert ask("GET", "/viewer/main.js").headers["content-type"].startswith("text/javascript")


def test_a_line_for_each_request(shelf, asker, capsys):
    asker(create_app(shelf))("GET", "/health", headers={"x-request-id": "seen"})
    line = json.loads(capsys.readouterr().err)
    assert {"id": "seen", "method": "GET", "path": "/health", "status": 200}.items() <= line.items()


def test_metrics(shelf, asker, body):
    ask = asker(create_app(shelf, quiet=True))
    for content in (body(), body(), "{"):
        ask("POST", "/predict", content=content, headers={"content-type": "application/json"})
    ask("GET", "/" + "x" * 300)
    text = ask("GET", "/metrics").text
    assert 'forecast_requests_total{method="POST",route="/predict",status="200"} 2.0' in text
    assert 'forecast_requests_total{method="POST",route="/predict",status="400"} 1.0' in text
    assert 'route="other",status="404"' in text
    assert f'forecast_model_windows_total{{package="{shelf.served[0].address}"}} 2.0' in text
    assert "xxx" not in text


def test_a_full_queue_and_a_full_memory(shelf, asker, body):
    content = body()
    request = ("POST", "/predict", {"content": content, "headers": {"content-type": "application/json"}})
    for limits in (Limits(queue=1), Limits(memory=len(content) + 10)):
        ask = asker(create_app(shelf, limits, quiet=True))
        answers = asyncio.run(ask.together([request] * 30))
        assert {one.status_code for one in answers} <= {200, 429}
        assert sum(one.status_code == 200 for one in answers) >= 1
        for one in answers:
            if one.status_code == 429:
                assert int(one.headers["retry-after"]) >= 1
        assert ask(*request[:2], **request[2]).status_code == 200  # nothing is left behind


def test_an_answer_that_takes_too_long(shelf, asker, scene_of):
    ask = asker(create_app(shelf, Limits(seconds=0.001), quiet=True))
    wish = {"residual": {"draws": 32}, "scenes": [scene_of()]}
    answer = ask("POST", "/predict", json=wish)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
