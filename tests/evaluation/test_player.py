"""The report's page in a real browser: it fits telephones and screens, plays, turns, and takes keys."""

import shutil

import pytest

from forecasting import player
from forecasting.evaluation._report_figures import draw_all
from forecasting.evaluation._report_page import render_report
from forecasting.testing.reports import example_errors, example_result

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TURN = 'input[aria-label="turn the input"]'
TIME = 'input[aria-label="time"]'


def test_the_player_is_small_and_fetches_nothing():
    text = player.script()
    assert len(text.encode()) < 25_000
    for word in ("http:", "https:", "fetch(", "import ", "import(", "export ", "innerHTML", "eval("):
        assert word not in text


@pytest.fixture(scope="module")
def browser():
    """Chromium, as installed on this machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="install the package playwright for tests in a browser")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("install chromium for tests in a browser")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page with everything and a page with hostile names, as files."""
    folder = tmp_path_factory.mktemp("pages")
    hostile = example_result()
    hostile["playback"][0]["scene"] = "</script><script>document.title='taken'</script>" * 3
    small = {**example_errors(), "playback": hostile["playback"]}
    for name, result in (("whole", example_result()), ("hostile", small)):
        text = render_report(
            "a model " + "with-a-long-name-" * 8, result, draw_all(result, folder / name), [("data", "0123456789abcdef" * 8)]
        )
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def opened(browser, pages):
    """Opens a page; at the end nothing may have been said on its console."""
    contexts, errors = [], []

    def show(name="whole", width=390, **kind):
        context = browser.new_context(viewport={"width": width, "height": 800}, **kind)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith("file:") else errors.append(request.url))
        page.goto((pages / f"{name}.html").as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert errors == []


def drawn(page):
    return page.evaluate("document.querySelector('.player-stage canvas').toDataURL()")


def clock(page):
    return page.inner_text(".player-time")


def slide(page, which, value):
    page.eval_on_selector(which, "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "hostile"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_fits(opened, name, width):
    page = opened(name, width)
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title() != "taken"
    page.emulate_media(media="print")
    assert not page.is_visible(TIME)
    assert page.is_visible(".player-stage")


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1440])
def test_a_scene_plays_to_its_end(opened, width):
    page = opened(width=width)
    end = clock(page)
    assert end == "+2.00 s"
    page.click(".player button")
    page.wait_for_function("before => document.querySelector('.player-time').textContent !== before", arg=end)
    assert page.inner_text(".player button") == "Pause"
    page.wait_for_function("document.querySelector('.player button').textContent === 'Play'", timeout=15_000)
    assert clock(page) == end
    slide(page, TIME, 0)
    assert clock(page) == "−1.00 s"


@pytest.mark.slow
def test_turning_shows_what_the_model_says(opened):
    page = opened()
    plain = drawn(page)
    slide(page, TURN, 1)
    turned = drawn(page)
    assert turned != plain
    assert "turned by 90°" in page.inner_text(".player-said")
    assert "residual 0.090" in page.inner_text(".player-said")
    assert "plain forecast, turned along" in page.inner_text(".player-legend")
    slide(page, TURN, 0)
    assert drawn(page) == plain
    page.select_option(".player select", "1")
    assert drawn(page) != plain


@pytest.mark.slow
def test_keys_look_around_play_and_zoom(opened):
    page = opened()
    page.focus(".player-stage")
    for key in ("ArrowLeft", "ArrowRight", "Shift+ArrowLeft", "Shift+ArrowUp", "+", "-", "[", "]"):
        before = drawn(page)
        page.keyboard.press(key)
        assert drawn(page) != before, key
    page.keyboard.press("ArrowLeft")
    assert clock(page) == "+1.50 s"
    page.keyboard.press(" ")
    assert page.inner_text(".player button") == "Pause"
    before = drawn(page)
    page.mouse.wheel(0, -200)
    page.wait_for_function("before => document.querySelector('.player-stage canvas').toDataURL() !== before", arg=before)


@pytest.mark.slow
def test_without_motion_it_goes_from_frame_to_frame(opened):
    page = opened(reduced_motion="reduce")
    slide(page, TIME, 0)
    page.click(".player button")
    seen = set()
    for _ in range(12):
        page.wait_for_timeout(100)
        seen.add(float(page.get_attribute(".player-stage", "data-time")))
    assert seen <= {-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0}
    assert len(seen) > 1
