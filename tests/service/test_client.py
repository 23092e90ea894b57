"""The client and a server on this machine: what comes back, who is asked again, who goes away, and how it ends."""

import asyncio
import json
import time
from dataclasses import replace
from itertools import pairwise

import httpx
import numpy as np
import pytest

from forecasting.errors import DataError, ForecastingError, UsageError
from forecasting.inference.predictor import Anchors, Predictor
from forecasting.inference.regions import Interval
from forecasting.service.app import create_app
from forecasting.service.carrying import TableCarrier
from forecasting.service.client import Client
from forecasting.service.scenes import plain_scene
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.units import Unit


def scenes(count=5, **kind):
    rng = np.random.default_rng(3)
    return [random_scene(rng, f"scene-{index}", nodes=1 + index % 6, **kind) for index in range(count)]


@pytest.fixture(scope="module")
def url(shelf, served):
    with served(create_app(shelf, quiet=True)) as (address, _):
        yield address


@pytest.mark.parametrize("body", ["json", "arrow"])
@pytest.mark.parametrize("every", [None, 4])
def test_forecasts_are_those_of_the_predictor(url, shelf, body, every):
    given = scenes()
    expected = list(Predictor(shelf.find("space").package).trajectories(given, Anchors(every)))
    with Client(url, body=body) as client:
        found = client.predict(given, package="space", every=every)
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        for name in ("scene", "anchor_time", "unit", "frame", "source"):
            assert getattr(one, name) == getattr(two, name)
        for name in ("positions", "weights", "time", "anchor", "node_ids", "node_types"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("body", ["json", "arrow"])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("every", [None, 4])
def test_regions_are_those_of_the_predictor(url, shelf, body, joint, every):
    given = scenes()
    package = shelf.find("space").package
    expected = list(Predictor(package).trajectories(given, Anchors(every), Interval((0.9,), joint)))
    with Client(url, body=body) as client:
        found = client.predict(given, package="space", every=every, level=0.9, joint=joint)
        with pytest.raises(DataError, match=r"levels 0\.9"):
            client.predict(given, level=0.8)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.positions, two.positions)
        np.testing.assert_array_equal(one.regions[0.9].radius, two.regions[0.9].radius)
        assert one.regions[0.9].shape is two.regions[0.9].shape is None


@pytest.mark.parametrize("body", ["json", "arrow"])
def test_ellipsoids_come_back(shelf, asker, body):
    """Where the axes have different units, balls are ellipsoids."""
    given = [replace(scene, unit=Unit("m", (1.0, 2.0, 4.0))) for scene in scenes(3)]
    expected = shelf.served[0].predictor.trajectories(given, interval=Interval((0.9,)))
    transport = InProcess(asker(create_app(shelf, quiet=True)))
    found = Client("http://localhost", body=body, transport=transport).predict(given, level=0.9)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.regions[0.9].radius, two.regions[0.9].radius)
        np.testing.assert_allclose(one.regions[0.9].shape, two.regions[0.9].shape, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("body", ["json", "arrow"])
@pytest.mark.parametrize("every", [None, 4])
def test_scenes_of_one_name_get_their_own_answers(url, shelf, body, every):
    given = scenes(4)
    alone = [list(shelf.find("space").predictor.trajectories([one], Anchors(every))) for one in given]
    names = ("walk", "walk", "walk (2)", "walk")
    with Client(url, body=body) as client:
        same = [replace(one, scene=name) for one, name in zip(given, names, strict=True)]
        found = client.predict(same, package="space", every=every)
    owners = [(one, scene) for several, scene in zip(alone, same, strict=True) for one in several]
    for one, (two, scene) in zip(found, owners, strict=True):
        np.testing.assert_array_equal(one.positions, two.positions)
        assert (one.scene, one.source, one.anchor_time) == (scene.scene, scene.source, two.anchor_time)


def test_answers_to_scenes_of_one_name_are_in_their_order(ask, shelf, scene_of):
    given = [scene_of(nodes=nodes, frames=6, seed=nodes, scene="walk") for nodes in (2, 5, 3)]
    answer = ask("POST", "/predict", json={"scenes": given, "every": 2}).json()["forecasts"]
    assert [(one["scene"], len(one["node_ids"])) for one in answer] == [("walk", nodes) for nodes in (2, 2, 5, 5, 3, 3)]


def test_residuals(url):
    with Client(url) as client:
        found = client.diagnose(scenes(2), package="free", groups=["SO(3)", "translations"], draws=4)
        assert [(one["group"], one["draws"]) for one in found["residuals"]] == [("SO(3)", 4), ("translations", 4)]
        assert len(client.diagnose(scenes(1)[0])["residuals"]) == 5
        with pytest.raises(UsageError, match="33 draws"):
            client.diagnose(scenes(1), draws=33)


def test_errors_in_words(url):
    with Client(url) as client:
        with pytest.raises(DataError, match="5 frames/s"):
            client.predict(replace(scenes(1)[0], time=2 * scenes(1)[0].time))
        with pytest.raises(UsageError, match="no package 'nobody'"):
            client.predict(scenes(1), package="nobody")
    with pytest.raises(UsageError, match="is it running"):
        Client("http://127.0.0.1:9").models()
    with pytest.raises(UsageError, match="json or arrow"):
        Client(url, body="xml")


class InProcess(httpx.BaseTransport):
    """Asks an application in this process."""

    def __init__(self, ask):
        self.ask = ask

    def handle_request(self, request):
        answer = self.ask(
            request.method, str(request.url.copy_with(host="localhost")), content=request.read(), headers=request.headers
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


class Busy(httpx.BaseTransport):
    """Answers 429 or 503 a few times before it says what the packages are."""

    def __init__(self, times):
        self.times, self.asked = times, 0

    def handle_request(self, request):
        self.asked += 1
        if self.asked <= self.times:
            return httpx.Response((429, 503)[self.asked % 2], headers={"retry-after": "0"}, json={"detail": "busy"})
        return httpx.Response(200, json={"models": []})


def test_a_busy_service_is_asked_again(monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    busy = Busy(4)
    assert Client("http://localhost", transport=busy).models() == []
    assert busy.asked == 5
    assert all(later > earlier / 2 for earlier, later in pairwise(pauses))
    with pytest.raises(ForecastingError, match="busy"):
        Client("http://localhost", transport=Busy(99), patience=0.0).models()


def test_the_key_is_sent(shelf, served):
    key = "a key of many letters"
    with served(create_app(shelf, key=key, quiet=True)) as (address, _):
        assert len(Client(address, key).models()) == 3
        with pytest.raises(UsageError, match="a key is needed"):
            Client(address, "another key of letters").models()


def test_those_who_leave_give_their_place_to_others(shelf, served, raw, scene_of):
    app = create_app(shelf, quiet=True)
    slow = json.dumps({"residual": {"draws": 32}, "scenes": [scene_of(nodes=6, seed=seed) for seed in range(20)]}).encode()
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with served(app) as (address, _):
        for _ in range(12):
            raw(address, head % len(slow) + slow).close()
            raw(address, head % len(slow) + slow[:100]).close()
        start = time.monotonic()
        assert Client(address).predict(scenes(1))
        text = httpx.get(f"{address}/metrics").text
        until = time.monotonic() + 20
        while "forecast_requests_open 1.0" not in text and time.monotonic() < until:
            time.sleep(0.1)
            text = httpx.get(f"{address}/metrics").text
        assert "forecast_requests_open 1.0" in text  # the one that asks
        assert time.monotonic() - start < 20


def test_a_body_that_is_too_large_is_told_so_to_any_client(url):
    answer = httpx.post(f"{url}/predict", content=b" " * (20 << 20), headers={"content-type": "application/json"}, timeout=60)
    assert answer.status_code == 413

    def parts():
        for _ in range(20):
            yield b" " * (1 << 20)

    answer = httpx.post(f"{url}/predict", content=parts(), headers={"content-type": "application/json"}, timeout=60)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_many_at_once_get_their_own_answers(url, shelf):
    given = scenes(30, gaps=False)
    alone = {one.scene: one.positions for one in Predictor(shelf.served[0].package).trajectories(given)}
    bodies = [json.dumps({"scenes": [plain_scene(one, None)]}) for one in given] * 3

    async def ask():
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            posts = [client.post("/predict", content=one, headers={"content-type": "application/json"}) for one in bodies]
            return await asyncio.gather(*posts)

    for answer in asyncio.run(ask()):
        (one,) = answer.json()["forecasts"]
        assert one["positions"] == alone[one["scene"]].tolist()


def test_scenes_of_one_name_go_into_no_table():
    scene = random_scene(np.random.default_rng(0), "s", nodes=3)
    with pytest.raises(UsageError, match="two scenes are called 's'"):
        TableCarrier().pack([scene, scene], None, None)
