"""What the page draws and turns: scenes, forecasts and regions, by keys and by models."""

import json
import re

import numpy as np
import pytest

from .conftest import given, picture, table


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


def test_without_webgl_it_draws_on_a_canvas(shown):
    page = shown(flags=("--disable-3d-apis",))
    before = picture(page)
    page.focus(".player-stage")
    page.keyboard.press("ArrowLeft")
    assert picture(page) != before
