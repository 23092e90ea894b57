"""A set of names that forgets how they were written, but not that they were there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.trajectories import name_set
from forecasting.trajectories.name_set import NameSet


@pytest.fixture(autouse=True, scope="module")
def few_recent():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name_set, "RECENT", 5)
        yield


@given(st.lists(st.lists(st.text("ab", max_size=3), max_size=12), max_size=8))
def test_it_finds_the_first_name_that_was_there(groups):
    found, plain = NameSet(), set()
    for names in groups:
        again = next((index for index, name in enumerate(names) if name in plain or name in names[:index]), None)
        assert found.add_new(names) == again
        plain.update(names[:again])
        assert all(name in found for name in plain)
        assert not any(name in found for name in ("c", "abab", "\0") if name not in plain)


@given(st.lists(st.text("ab", max_size=3)))
def test_one_by_one(names):
    found = NameSet(names)
    assert all(name in found for name in names)
    assert "c" not in found


def test_many_names_take_little_room():
    found = NameSet()
    for first in range(0, 20_000, 100):
        assert found.add_new([f"scene-{index}" for index in range(first, first + 100)]) is None
    assert sum(one.nbytes for one in found._older) <= 16 * 20_000
    assert len(found._older) < 20
    assert found.add_new(["new", "scene-12345"]) == 1
