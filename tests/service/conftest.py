"""A service in this process, with untrained packages, and a way to ask it."""

import asyncio
import contextlib
import json
import re
import socket
import threading

import httpx
import numpy as np
import pytest

from forecasting.graphs.build import schema_of
from forecasting.graphs.topology import Complete
from forecasting.inference import block_group
from forecasting.inference.intervals import Calibration
from forecasting.models import build_model
from forecasting.packages import Package, save_package
from forecasting.service import arrow
from forecasting.service.app import create_app
from forecasting.service.limits import Limits
from forecasting.service.server import Server, listening
from forecasting.service.shelf import Served, Shelf
from forecasting.testing.scenes import random_dataset, random_scene
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec


def balls(types, horizon):
    """A calibration for the level 0.9, made by hand."""
    sizes = 1.0 + np.arange(horizon) + np.zeros((len(types), horizon))
    return Calibration((0.9,), types, sizes[None], np.full((1, len(types)), 2.0), sizes, scaled=False).to_plain()


def made_package(folder, model="egnn", arguments=None, spec=None, calibrated=False, **kind):
    dataset = random_dataset(folder.parent / f"{folder.name}-data", **kind)
    spec = spec or WindowSpec(3, (1, 2))
    schema = schema_of(dataset.manifest, spec, Complete())
    chosen = {"hidden": 6} if arguments is None else arguments
    weights = build_model(model, schema, chosen).state_dict()
    windows = dataset.windows(spec, dataset.anchors(spec))
    made = Package(
        *(model, chosen, schema, spec, "complete", {}, Normalization.fit(windows)),
        *(0.1, "m", dataset.manifest.frame, dataset.manifest.fields, weights, {}, None),
        calibration=balls(schema.node_types, 2) if calibrated else None,
    )
    return save_package(made, folder)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Packages by name: in space, in the plane, and one that knows no symmetry."""
    root = tmp_path_factory.mktemp("packages")
    return {
        "space": made_package(root / "space", calibrated=True),
        "plane": made_package(root / "plane", dim=2),
        "free": made_package(root / "free", "mlp"),
    }


@pytest.fixture(scope="session")
def shelf(folders):
    return Shelf([Served.load(folder) for folder in folders.values()])


class Asker:
    """Sends requests to an application in this process."""

    def __init__(self, app):
        self.app = app

    def __call__(self, method, path, **what):
        return asyncio.run(self.together([(method, path, what)]))[0]

    async def together(self, requests):
        """Answers to (method, path, options), asked at the same time."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await asyncio.gather(*(client.request(method, path, **what) for method, path, what in requests))


@pytest.fixture(scope="session")
def ask(shelf):
    return Asker(create_app(shelf, quiet=True))


@pytest.fixture
def every_block(monkeypatch):
    """Tables in which every node was observed are taken as blocks, however small."""
    for module in (arrow, block_group):
        monkeypatch.setattr(module, "ENOUGH", 1)


@pytest.fixture(scope="session")
def asker():
    return Asker


@contextlib.contextmanager
def behind_a_socket(app, limits=None, drain=0.0):
    """The application behind a real socket; its address, and the server."""
    listener = listening("127.0.0.1", 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)  # so that the system does not take whole answers
    server = Server(app, 30, limits or Limits(), drain)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.fixture(scope="session")
def served():
    return behind_a_socket


@pytest.fixture(scope="session")
def raw():
    """A socket that has sent bytes to the service."""

    def connected(url, sent=b"", buffer=None):
        host, port = re.fullmatch(r"http://(.*):(\d+)", url).groups()
        connection = socket.socket()
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(30)
        connection.connect((host, int(port)))
        connection.sendall(sent)
        return connection

    return connected


def plain(nodes=4, frames=5, dim=3, seed=0, **more):
    """A scene of a request that every package of this dimension takes."""
    rng = np.random.default_rng(seed)
    scene = random_scene(rng, "s", nodes=nodes, frames=frames, dim=dim, gaps=False)
    return {
        "positions": scene.positions.tolist(),
        "node_types": scene.node_types.tolist(),
        "edges": scene.edges.tolist(),
        "fields": {name: item.values.tolist() for name, item in scene.fields.items()},
        "unit": "m",
        "dt": 0.1,
        **({"up": "+z"} if dim == 3 else {}),
        **more,
    }


@pytest.fixture
def body():
    """Makes the JSON of a request of one scene."""
    return lambda scene=None, **more: json.dumps({"scenes": [scene or plain()], **more})


@pytest.fixture
def scene_of():
    return plain
