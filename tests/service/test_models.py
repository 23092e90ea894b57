"""The packages that are served: how they are addressed, and what is said of them."""

from dataclasses import replace

import pytest

from forecasting.service.app import create_app
from forecasting.service.problems import Problem
from forecasting.service.shelf import Shelf


@pytest.fixture
def named(shelf):
    """A shelf with the packages `walk`, `walk@home` and `walk@home@2`, whose digests begin with a, b and c."""
    names = zip(("walk", "walk@home", "walk@home@2"), "abc", strict=True)
    return Shelf([replace(shelf.served[0], name=name, digest=letter * 64) for name, letter in names])


@pytest.mark.parametrize(
    ("wanted", "digest"),
    [
        ("walk", "a"),
        ("walk@aaa", "a"),
        ("walk@home", "b"),
        ("walk@home@b", "b"),
        ("walk@home@" + "b" * 12, "b"),
        ("walk@home@2", "c"),
        ("walk@home@2@c", "c"),
        (None, "a"),
    ],
)
def test_names_with_an_at_sign(named, wanted, digest):
    assert named.find(wanted).digest[0] == digest


@pytest.mark.parametrize("wanted", ["walk@b", "walk@home@c", "@a", "@", "", "home", "walk@home@2@b", "w" * 10_000])
def test_names_that_nobody_has(named, wanted):
    with pytest.raises(Problem, match="no package") as found:
        named.find(wanted)
    assert found.value.status == 404
    assert len(found.value.detail) < 500


def test_a_name_that_could_be_two(shelf):
    one = shelf.served[0]
    both = Shelf([replace(one, name="walk", digest="b" * 64), replace(one, name="walk@b", digest="c" * 64)])
    with pytest.raises(Problem, match="say which"):
        both.find("walk@b")
    assert both.find("walk@bb").digest[0] == "b"
    assert both.find("walk@b@c").digest[0] == "c"


def test_what_regions_there_are(shelf, asker):
    calibration = shelf.served[0].package.calibration
    steps_only = replace(
        shelf.served[0], name="steps", package=replace(shelf.served[0].package, calibration={**calibration, "joint": None})
    )
    ask = asker(create_app(Shelf([*shelf.served, steps_only]), quiet=True))
    found = {one["name"]: (one["calibrated"], one["levels"], one["joint"]) for one in ask("GET", "/models").json()["models"]}
    nothing = (False, [], False)
    assert found == {"space": (True, [0.9], True), "plane": nothing, "free": nothing, "steps": (True, [0.9], False)}
