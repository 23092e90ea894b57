"""Clients that owe something: a head, a body, the reading of an answer; and too many of them."""

import asyncio
import contextlib
import json
import socket
import time

import httpx
import pytest

from forecasting.service.app import create_app
from forecasting.service.asgi import respond
from forecasting.service.connections import LARGEST_HEAD, SPARE
from forecasting.service.limits import Limits
from forecasting.service.problems import Problem
from forecasting.service.sending import Sending
from forecasting.service.server import listening
from forecasting.service.taking import SMALL, Memory

HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
JSON = {"content-type": "application/json"}


def received(connection):
    """Everything, until the service ends the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            found += part
    return found


def healthy(connection):
    """Whether the answer to HEALTH comes, and nothing else."""
    found = b""
    while not found.endswith(b'{"status":"ok"}') and (part := connection.recv(1 << 16)):
        found += part
    return found.startswith(b"HTTP/1.1 200 OK") and found.endswith(b'{"status":"ok"}')


def until(true, seconds=30):
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    assert true()


def large(scene_of, steps=60):
    """A body whose answer is of some megabytes."""
    return json.dumps({"every": 1, "scenes": [scene_of(nodes=100, frames=steps)]}).encode()


OWING = {
    "nothing at all": (b"", b""),
    "half a head": (b"GET /health HTTP/1.1\r\nhost:", b""),
    "half a second head": (HEALTH + b"G", b"200 OK"),
    "a body after its answer": (HEALTH.replace(b"\r\n\r\n", b"\r\ncontent-length: 99\r\n\r\n") + b"x", b"200 OK"),
}


@pytest.mark.parametrize("case", OWING, ids=OWING.keys())
def test_a_head_that_does_not_come(shelf, served, raw, case):
    sent, answered = OWING[case]
    limits = Limits(head=0.5)
    with served(create_app(shelf, limits, quiet=True), limits) as (url, _):
        connection = raw(url, sent[:-1])
        time.sleep(0.1)
        connection.sendall(sent[-1:])
        assert answered in received(connection)


def test_a_head_that_has_no_end(shelf, served, raw):
    with served(create_app(shelf, quiet=True), Limits()) as (url, _):
        connection = raw(url, HEALTH[:-2] + b"x: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                connection.sendall(b"a" * LARGEST_HEAD)
        assert received(connection)[:17] in (b"HTTP/1.1 400 Bad ", b"")  # nothing, where the rest of the head arrived behind it


def test_a_head_of_a_usual_size_in_parts(shelf, served, raw):
    with served(create_app(shelf, quiet=True), Limits()) as (url, _):
        connection = raw(url, HEALTH[:-2] + b"x: ")
        for _ in range(8):
            connection.sendall(b"a" * (LARGEST_HEAD // 16))
        connection.sendall(b"\r\n\r\n")
        assert healthy(connection)


def test_no_part_of_an_answer_waits_for_another(raw):
    """asyncio tells TCP so (TCP_NODELAY) for sockets whose protocol is known."""
    with listening("127.0.0.1", 0) as listener:
        raw(f"http://127.0.0.1:{listener.getsockname()[1]}")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_a_head_that_dribbles(shelf, served, raw):
    limits = Limits(head=0.5)
    with served(create_app(shelf, limits, quiet=True), limits) as (url, _):
        connection = raw(url, b"GET /he")
        ended = False
        for _ in range(300):
            try:
                connection.sendall(b"a")
            except ConnectionError:
                ended = True
                break
            time.sleep(0.05)
        assert ended


def test_answers_that_take_long_and_clients_that_pause_are_no_debt(shelf, served, raw):
    limits = Limits(head=0.5)
    with served(create_app(shelf, limits, quiet=True), limits) as (url, _):
        connection = raw(url, HEALTH)
        for _ in range(2):
            assert healthy(connection)
            time.sleep(1.8)
            connection.sendall(HEALTH)


def test_an_answer_that_is_not_read(shelf, served, raw, scene_of):
    """It is counted until it is sent, keeps others out where there is no room for theirs, and is dropped at the end."""
    body, limits = large(scene_of), Limits(sending=2.0, memory=16 << 20)
    app = create_app(shelf, limits, quiet=True)
    with served(app, limits) as (url, _):
        whole = httpx.post(f"{url}/predict", content=body, headers=JSON, timeout=60)
        assert (whole.status_code, app.memory.used) == (200, 0)
        silent = [raw(url, POST % len(body) + body, buffer=4096) for _ in range(2)]
        until(lambda: app.memory.used >= len(whole.content))
        assert healthy(raw(url, HEALTH))
        until(lambda: app.memory.used == 0)
        until(lambda: "forecast_requests_open 1.0" in httpx.get(f"{url}/metrics").text)
        for each in silent:
            assert len(received(each)) < len(whole.content)
        assert httpx.post(f"{url}/predict", content=body, headers=JSON, timeout=60).content == whole.content


def test_an_answer_that_is_read_slowly_but_whole(shelf, served, raw, scene_of):
    body = large(scene_of)
    with served(create_app(shelf, quiet=True)) as (url, _):
        connection = raw(
            url, (POST % len(body)).replace(b"content-type", b"connection: close\r\ncontent-type", 1) + body, buffer=4096
        )
        time.sleep(1.5)
        head, _, content = received(connection).partition(b"\r\n\r\n")
        assert b"200 OK" in head
        assert len(json.loads(content)["forecasts"]) == 58


def test_no_room_for_an_answer(shelf, asker, scene_of):
    """Where that is known before, nothing is computed."""
    body = large(scene_of)
    memory = len(body) + 1_000_000
    app = create_app(shelf, Limits(memory=memory), quiet=True)
    ask = asker(app)
    assert ask("POST", "/predict", content=body, headers=JSON).status_code == 413
    assert 'forecast_model_batches_total{package="' + shelf.served[0].address + '"} 0.0' in ask("GET", "/metrics").text


def test_an_answer_that_finds_no_room_is_a_problem():
    """And nothing of it goes out, nor is anything left behind."""
    memory, sent = Memory(4 * SMALL), []

    async def send(message):
        sent.append((message, memory.used))

    async def answered(size):
        sent.clear()
        sending = Sending(send, [(b"x-mark", b"1")], "me", memory)
        await respond(sending, 200, b" " * size, "text/plain")
        return sending.status, b"".join(message.get("body", b"") for message, _ in sent), max(used for _, used in sent)

    assert asyncio.run(answered(SMALL)) == (200, b" " * SMALL, 0)
    assert asyncio.run(answered(3 * SMALL)) == (200, b" " * 3 * SMALL, 3 * SMALL)
    assert (b"x-mark", b"1") in sent[0][0]["headers"]
    memory.used = 2 * SMALL
    status, body, _ = asyncio.run(answered(3 * SMALL))
    assert (status, json.loads(body)["request_id"], memory.used) == (429, "me", 2 * SMALL)
    assert asyncio.run(answered(SMALL))[0] == 200


def test_memory_says_what_helps():
    memory = Memory(100)
    memory.take(60)
    for size, status in ((50, 429), (101, 413)):
        with pytest.raises(Problem) as found:
            memory.take(size)
        assert found.value.status == status
    assert memory.used == 60


def test_too_many_connections(shelf, served, raw):
    limits = Limits(connections=3)
    with served(create_app(shelf, limits, quiet=True), limits) as (url, server):
        first = [raw(url) for _ in range(3)]
        until(lambda: len(server.server_state.connections) == 3)
        head, _, problem = received(raw(url, HEALTH)).partition(b"\r\n\r\n")
        assert b"503" in head
        assert b"application/problem+json" in head
        assert json.loads(problem)["status"] == 503
        more = [raw(url) for _ in range(SPARE + 1)]
        assert received(more[-1]) == b""
        for each in (*more, *first[1:]):
            each.close()
        until(lambda: len(server.server_state.connections) == 1)
        assert httpx.get(f"{url}/health").status_code == 200


@pytest.mark.parametrize(
    "sent", [b"\x00\x01\r\n\r\n", b"GET / HTTP/9\r\n\r\n", POST.replace(b"%d", b"-1"), b"GET /" + b"a" * 100_000]
)
def test_what_is_not_http_is_told_so(shelf, served, raw, sent):
    with served(create_app(shelf, quiet=True)) as (url, _):
        head, _, problem = received(raw(url, sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in head
        assert json.loads(problem)["status"] == 400
