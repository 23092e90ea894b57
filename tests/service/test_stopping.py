"""How the service ends: what it says, what it still does, and that it does end."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

from forecasting.service.app import create_app
from forecasting.service.aside import Aside, still_working

STUCK = """
import sys, time
from forecasting.service import endpoints, limits
endpoints.read_upload = lambda *_: time.sleep(1000)
from forecasting.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def started(folders):
    """Starts the verb in a process of its own, or a program that calls it; the process and its address."""
    running = []

    def start(*options, program=("-m", "forecasting.cli.main")):
        command = [sys.executable, *program, "serve", str(folders["space"]), "--port", "0", "--quiet", *options]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        running.append(process)
        lines = []
        while not (found := re.search(r"http://\S+", lines[-1] if lines else "")):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        return process, found[0]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def later(*arguments, **options):
    """Asks in a thread; the list that will hold the answer, and the thread."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(httpx.request(*arguments, timeout=60, **options)))
    thread.start()
    return answers, thread


def test_what_was_accepted_is_answered(started, scene_of):
    process, url = started()
    slow = {"residual": {"draws": 32}, "scenes": [scene_of(nodes=6, seed=seed) for seed in range(20)]}
    answers, thread = later("POST", f"{url}/predict", json=slow)
    text = ""
    while "forecast_requests_open 2.0" not in text and not answers:
        text = httpx.get(f"{url}/metrics").text
    process.send_signal(signal.SIGTERM)
    thread.join(60)
    assert answers[0].status_code == 200
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "stopped serving space@" in out
    assert "Traceback" not in errors


def test_it_says_that_it_leaves_before_it_does(shelf, served, scene_of):
    with served(create_app(shelf, quiet=True), drain=60) as (url, server):
        assert httpx.get(f"{url}/ready").status_code == 200
        server.handle_exit(signal.SIGTERM, None)
        answer = httpx.get(f"{url}/ready")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert httpx.get(f"{url}/health").status_code == 200
        assert httpx.post(f"{url}/predict", json={"scenes": [scene_of()]}).status_code == 200
        server.handle_exit(signal.SIGTERM, None)  # the second one means now
        while server.servers[0].is_serving():
            time.sleep(0.02)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/ready")


def test_the_verb_drains(started):
    process, url = started("--drain", "1.5")
    assert httpx.get(f"{url}/ready").status_code == 200
    process.send_signal(signal.SIGTERM)
    while (status := httpx.get(f"{url}/ready").status_code) == 200:  # until the signal has arrived
        pass
    assert status == 503
    with contextlib.suppress(httpx.TransportError):
        while httpx.get(f"{url}/ready").status_code == 503:
            time.sleep(0.05)
        pytest.fail("it is ready again")
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, "stopped serving space@" in out) == (0, True), errors


def test_a_reader_that_never_ends_holds_nobody_up(started):
    """Neither files of others, nor the end of the process."""
    process, url = started("--max-seconds", "2", program=("-c", STUCK))
    assert httpx.post(f"{url}/read?name=a.csv", content=b"x", timeout=60).status_code == 503
    assert httpx.get(f"{url}/examples", timeout=60).status_code == 200
    answers, thread = later("POST", f"{url}/read?name=a.csv", content=b"x")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=30)
    thread.join(30)
    assert answers[0].status_code == 503
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert (process.returncode, "stopped serving space@" in out) == (0, True), errors
    assert "still work for: reader" in errors
    assert "Traceback" not in errors


def test_work_aside():
    """One piece after the other, with its result or its error; after the end none is taken, and what waits is given up."""
    aside, go = Aside("one"), threading.Event()
    assert aside.submit(divmod, 7, 2).result(10) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        aside.submit(divmod, 1, 0).result(10)
    first, second = aside.submit(go.wait), aside.submit(divmod, 1, 1)
    while not first.running():
        time.sleep(0.01)
    assert "one" in still_working(0.0)
    aside.shutdown(wait=False, cancel_futures=True)
    assert second.cancelled()
    with pytest.raises(RuntimeError, match="no more work"):
        aside.submit(divmod, 1, 1)
    go.set()
    assert first.result(10)
    aside.shutdown()
    assert "one" not in still_working(0.0)
