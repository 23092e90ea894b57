"""What the page opens, asks and shows, and what goes wrong."""

import re

import pytest

from forecasting.service.viewer import assets

from .conftest import KEY, bvh, drop, given, picture, table


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
