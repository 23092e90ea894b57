"""The page in a real browser, before the real service."""

import re
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from forecasting.graphs.build import schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.packages.package import Package, save_package
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-dev-shm-usage")  # fmt: skip
NOISE = re.compile(r"GL Driver Message|status of (422|401|429)|net::ERR_CONNECTION_REFUSED")  # of the browser itself
KEY = "a-key-of-many-letters"
DROP = """([name, text]) => { const files = new DataTransfer(); files.items.add(new File([text], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true })); }"""


def saved(folder, model, dim=3):
    """An untrained package for nodes without fields, 10 frames a second, three seen and four ahead."""
    rng = np.random.default_rng(3)
    made = (random_scene(rng, f"s{index}", nodes=4, dim=dim, gaps=False, types=("node",)) for index in range(4))
    dataset = build_dataset((replace(scene, fields={}) for scene in made), folder / "data")
    spec = WindowSpec(3, (1, 2, 3, 4))
    schema, windows = schema_of(dataset.manifest, spec, Complete()), dataset.windows(spec, dataset.anchors(spec))
    weights = build_model(model, schema, {"hidden": 6}).state_dict()
    card = {"data": {"content": dataset.manifest.content}, "split": {"kind": "scene", "arguments": {}}}
    package = Package(
        *(model, {"hidden": 6}, schema, spec, "complete", {}, Normalization.fit(windows)),
        *(0.1, "m", dataset.manifest.frame, dataset.manifest.fields, weights, card),
    )
    return save_package(package, folder)


def table(nodes=3, frames=20):
    """A file of positions that says neither unit nor up axis."""
    rows = [f"{0.1 * t:.1f},{n},{0.1 * t * (n + 1):.4f},{0.02 * t * t:.4f},{n}" for t in range(frames) for n in range(nodes)]
    return "\n".join(["time,node,x,y,z", *rows])


def bvh(real_data):
    return (real_data / "mocap" / "cmu-131-bvh" / "131_01.bvh").read_text()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Folders of a model that turns along, of one that does not, and of one in the plane."""
    made = {"steady": ("egnn", 3), "loose": ("mlp", 3), "planar": ("egnn", 2)}
    return [saved(tmp_path_factory.mktemp("packages") / name, *kind) for name, kind in made.items()]


@pytest.fixture(scope="module")
def serve(packages):
    """Starts the service and gives its address, and what ends it."""
    pytest.importorskip("fastapi", reason="install forecasting[serve] for tests of the service")
    import uvicorn

    from forecasting.service.app import create_app
    from forecasting.service.server import listening
    from forecasting.service.shelf import Served, Shelf

    ends = []

    def start(key=""):
        app = create_app(Shelf([Served.load(folder) for folder in packages]), key=key, quiet=True)
        listener = listening("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)

        def end():
            server.should_exit = True
            thread.join()

        thread.start()
        while not server.started:
            time.sleep(0.01)
        ends.append(end)
        return f"http://127.0.0.1:{listener.getsockname()[1]}", end

    yield start
    for end in ends:
        end()


@pytest.fixture(scope="module")
def address(serve):
    return serve()[0]


@pytest.fixture(scope="module")
def browser():
    """Starts Chromium, as installed on this machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="install the package playwright for tests in a browser")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("install chromium for tests in a browser")
    with playwright.sync_playwright() as running:
        started = [running.chromium.launch(executable_path=program, args=[*FLAGS])]

        def get(*flags):
            if flags:
                started.append(running.chromium.launch(executable_path=program, args=[*FLAGS, *flags]))
            return started[-1]

        yield get
        for each in started:
            each.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page; at the end nothing may have gone wrong on its console, nor been asked for elsewhere."""
    contexts, errors = [], []

    def show(width=1440, at=address, before=lambda page: None, flags=(), **kind):
        context = browser(*flags).new_context(viewport={"width": width, "height": 900}, **kind)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(at) else errors.append(request.url))
        before(page)
        page.goto(at)
        return page

    yield show
    for context in contexts:
        context.close()
    assert [error for error in errors if not NOISE.search(error)] == []


@pytest.fixture
def shown(opened):
    """The page with its first example forecast."""

    def show(*args, **kind):
        page = opened(*args, **kind)
        page.wait_for_selector(".player-stage")
        return page

    return show


def drop(page, name, text):
    page.evaluate(DROP, [name, text])


def given(page, name="tracks.csv", text=None, up="+z"):
    """Drops a file that does not say its unit and perhaps not its up axis, and answers the questions."""
    drop(page, name, text or table())
    page.fill("[name=unit][aria-invalid=true]", "m")
    page.keyboard.press("Enter")
    if up:
        page.select_option("[name=up][aria-invalid=true]", up)
        page.click("text=Read again")
    page.get_by_role("heading", name=name).wait_for()


def picture(page):
    return page.locator(".player-stage").screenshot()
