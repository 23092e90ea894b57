"""The page in a real browser, before the real service: opening, choosing, playing, turning, and what goes wrong."""

import json
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
from forecasting.service.viewer import assets
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


def test_nothing_comes_from_elsewhere_and_nothing_is_inline():
    found = assets()
    html = found["index.html"][0].decode()
    for wanted in re.findall(r'(?:src|href)="([^"]+)"', html):
        assert wanted.removeprefix("/viewer/") in found
    assert not re.search(r"<style|style=|<script(?! type=\"module\" src=)| on\w+=", html)
    for name, (content, _) in found.items():
        if name.endswith(".js") and "three" not in name:
            assert not re.search(r"https?://|innerHTML|eval\(|console\.", content.decode()), name
            for module in re.findall(r'from "\./([^"]+)"', content.decode()):
                assert ("player/" if name.startswith("player/") else "") + module in found


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_starts_with_an_example_and_fits(shown, width, scheme):
    page = shown(width, color_scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.hidden = false; each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#examples [aria-pressed=true]").count() == 1
    assert page.locator("#units option").all_text_contents()[:2] == ["m", "cm"]
    assert "from what happened" in page.inner_text("#facts")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize("clip", ["made", "real"])
def test_a_dropped_file_is_asked_its_unit_forecast_and_played(shown, request, clip):
    page = shown()
    if clip == "made":
        given(page)
    else:
        given(page, "131_01.bvh", bvh(request.getfixturevalue("real_data")), up="")
    assert "from what happened" in page.inner_text("#facts")
    before = picture(page)
    page.click(".player button")
    page.locator(".player button", has_text="Pause").wait_for()
    assert picture(page) != before
    page.locator(".player button", has_text="Play").wait_for()  # at its end
    assert page.inner_text(".player-time") == "+0.400 s"


def test_a_model_that_turns_along_and_one_that_does_not(shown):
    page = shown()
    given(page)
    said = []
    for model in ("steady", "loose"):
        page.select_option("#package", label=model)
        page.locator("#view[aria-busy]").wait_for(state="detached")
        page.focus(".player-stage")
        if model == "steady":
            page.keyboard.press("]")
        page.locator(".player-said", has_text=re.compile("turned by 15°: the forecast (turns along exactly|differs)")).wait_for()
        said.append(page.inner_text(".player-said"))
    assert "turns along exactly" in said[0]
    assert "differs from the plain one turned along" in said[1]
    assert "plain forecast, turned along" in page.inner_text(".player-legend")


def test_the_page_turns_as_the_program_does(shown):
    """What it sends is turned, and its residual is that of the answers."""
    page = shown()
    given(page)
    page.select_option("#package", label="loose")
    page.locator("#view[aria-busy]").wait_for(state="detached")
    exchanges = []
    for control, key in (("#anchor", "ArrowLeft"), (".player-stage", "[")):
        page.focus(control)
        with page.expect_response("**/predict") as exchange:
            page.keyboard.press(key)
        page.locator("#view[aria-busy]").wait_for(state="detached")
        exchanges.append((json.loads(exchange.value.request.post_data), exchange.value.json()))
    page.locator(".player-said", has_text="turned by 345°: the forecast").wait_for()
    (plain, straight), (turned, answer) = exchanges
    angle = np.deg2rad(345)
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    np.testing.assert_allclose(turned["scenes"][0]["positions"], np.array(plain["scenes"][0]["positions"]) @ matrix.T, atol=1e-12)
    one, two = (np.array(each["forecasts"][0]["positions"]) for each in (straight, answer))
    motion = one - np.array(straight["forecasts"][0]["anchor"])[:, None, None]
    expected = np.sqrt(((two @ matrix - one) ** 2).sum() / (motion**2).sum())
    said = float(re.search(r"residual ([0-9.e-]+)\)", page.inner_text(".player-said"))[1])
    assert said == pytest.approx(expected, rel=0.06)


def test_vectors_turn_and_numbers_do_not(shown):
    fields = {"heading": [[[1, 2, 3]]], "mixed": [[4, 1, 2, 3]], "charge": [[5]]}
    kinds = {"heading": ("1o", True), "mixed": ("0e+1x1o", False), "charge": ("0e", False)}
    plain = {name: {"irreps": irreps, "per_frame": per_frame} for name, (irreps, per_frame) in kinds.items()}
    turned = shown().evaluate(
        """async ([scene, kinds]) => { const { turnedScene, turnOf } = await import("/viewer/turning.js");
        return turnedScene(scene, turnOf(scene, 90), kinds); }""",
        [{"up": "+z", "positions": [[[1, 2, 3], None]], "fields": fields}, plain],
    )
    assert np.round(turned["positions"][0][0], 12).tolist() == [-2, 1, 3]
    assert turned["positions"][0][1] is None
    found = {name: np.round(values, 12).ravel().tolist() for name, values in turned["fields"].items()}
    assert found == {"heading": [-2, 1, 3], "mixed": [4, -2, 1, 3], "charge": [5]}


def test_ellipsoids_are_drawn_as_they_are(shown):
    """Their root gives them back, and their outline is as long and as wide as what is seen of them."""
    shape = np.array([[2, 0.3, 0.1], [0.3, 1, 0.2], [0.1, 0.2, 0.7]])
    root, rows, (long, wide, angle) = shown().evaluate(
        """async (shape) => { const { rootOf, View } = await import("/viewer/player/geometry.js"), view = new View();
        view.look({ dim: 3, up: "+y" }, { middle: [0, 0, 0], radius: 1 }, 30);
        return [rootOf(shape), view.rows, view.outline(shape)]; }""",
        shape.tolist(),
    )
    np.testing.assert_allclose(np.array(root) @ np.transpose(root), shape, atol=1e-12)
    np.testing.assert_allclose(np.array(rows) @ np.transpose(rows), np.eye(3), atol=1e-12)
    seen = (np.array(rows) @ shape @ np.transpose(rows))[:2, :2]
    axis = np.array([np.cos(-angle), np.sin(-angle)])
    np.testing.assert_allclose([long**2 * wide**2, axis @ seen @ axis], [np.linalg.det(seen), long**2], atol=1e-12)


def test_a_bad_file_says_why_and_what_was_shown_stays(shown):
    page = shown()
    title, before = page.inner_text("#title"), picture(page)
    drop(page, "bad.csv", "a,b\n1,2\n")
    page.locator("#problem", has_text="bad.csv").wait_for()
    assert "no known format" in page.inner_text("#problem")
    assert page.inner_text("#title") == title
    assert picture(page) == before
    given(page)
    assert not page.is_visible("#problem")


def test_the_frame_to_forecast_from_is_chosen(shown):
    page = shown()
    given(page)
    assert page.inner_text("#moment") == "frame 16 of 20, at 1.5 s"
    page.focus("#anchor")
    page.keyboard.press("End")
    page.locator("#facts", has_text="nothing to compare").wait_for()
    assert page.inner_text("#moment") == "frame 20 of 20, at 1.9 s"
    page.keyboard.press("Home")
    page.locator("#facts", has_text="from what happened").wait_for()
    assert page.inner_text("#moment") == "frame 3 of 20, at 0.2 s"


def test_keys_reach_and_move_everything(shown):
    page = shown()
    for _ in range(30):
        page.keyboard.press("Tab")
        at = page.evaluate("[document.activeElement.className, getComputedStyle(document.activeElement).outlineStyle]")
        if at[0] == "player-stage":
            break
    assert at == ["player-stage", "solid"]
    clock = page.inner_text(".player-time")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text(".player-time") != clock
    for key in ("Shift+ArrowLeft", "Shift+ArrowUp", "+", "]"):
        before = picture(page)
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        assert picture(page) != before, key
    page.keyboard.press(" ")
    assert page.inner_text(".player button") == "Pause"


def test_a_planar_package_forecasts_planar_scenes(shown):
    page = shown()
    page.select_option("#package", label="planar")
    given(page, text="\n".join(line.rsplit(",", 1)[0] for line in table().splitlines()), up="")
    assert page.inner_text(".player-up") == ""
    page.focus(".player-stage")
    page.keyboard.press("]")
    page.locator(".player-said", has_text="turns along exactly").wait_for()


def test_scenes_of_a_file_are_chosen_and_unseen_nodes_are_counted(shown):
    page = shown()
    head, *rows = table().splitlines()
    late = [row for row in rows if not row.startswith("1.5,2,")]  # node 2 is not there at the frame that is chosen first
    given(page, text="\n".join([f"scene,{head}", *(f"whole,{row}" for row in rows), *(f"gap,{row}" for row in late)]))
    page.select_option("#scene", label="gap")
    page.locator("#facts", has_text="1 of 3 nodes were not seen").wait_for()
    page.select_option("#scene", label="whole")
    page.locator("#facts", has_text="were not seen").wait_for(state="detached")


def test_files_that_belong_together_go_together(shown, real_data):
    page = shown()
    folder = real_data / "mocap" / "cmu-walk-35-amc"
    page.set_input_files("#file", [folder / "35.asf", folder / "35_01.amc"])
    page.locator("#problem", has_text="is in asf, the model in m").wait_for()
    page.click("#settings summary")
    page.fill("[name=unit]", "m")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="35_01.amc").wait_for()


def test_regions_are_shown_where_the_package_gives_them(shown):
    def calibrated(page):
        def models(route):
            answer = route.fetch().json()
            for model in answer["models"]:
                model["levels"] = [0.8, 0.9]
            route.fulfill(json=answer)

        def predict(route):
            body = json.loads(route.request.post_data)
            asked.append(body.pop("interval"))
            answer = route.fetch(post_data=body).json()
            for each in answer["forecasts"]:
                each["interval"] = {**asked[-1], "radius": np.full(np.shape(each["positions"])[:3], 0.3).tolist(), "shape": None}
            route.fulfill(json=answer)

        page.route("**/models", models)
        page.route("**/predict", predict)

    asked = []
    page = shown(before=calibrated)
    assert "where it will be, 90 times in 100" in page.inner_text(".player-legend")
    page.select_option("#region", label="80 %, all steps together")
    page.locator(".player-legend", has_text="80 times").wait_for()
    assert asked[-1] == {"level": 0.8, "joint": True}


def test_a_busy_service_is_asked_again(shown):
    def busy(page):
        page.route("**/predict", lambda route: route.fulfill(status=429, headers={"retry-after": "0"}, json={}), times=1)

    assert "from what happened" in shown(before=busy).inner_text("#facts")


def test_a_service_that_is_gone_is_said(shown, serve):
    at, end = serve()
    page = shown(at=at)
    before = picture(page)
    end()
    drop(page, "tracks.csv", table())
    page.locator("#problem", has_text="does not answer").wait_for()
    assert picture(page) == before


def test_a_key_is_asked_for(opened, serve):
    page = opened(at=serve(KEY)[0])
    page.fill("#access input", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector(".player-stage")
    assert not page.is_visible("#access")


def test_without_webgl_it_draws_on_a_canvas(shown):
    page = shown(flags=("--disable-3d-apis",))
    before = picture(page)
    page.focus(".player-stage")
    page.keyboard.press("ArrowLeft")
    assert picture(page) != before
