"""Names and ids that stay in a file until they are asked for."""

import mmap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.mapped_texts import GrowingTexts, SceneInfos, Texts


def written(path, groups):
    with GrowingTexts(path) as texts:
        for group in groups:
            texts.append(group)
    with path.open("rb") as file:
        return Texts.open(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.text(max_size=5), max_size=5), max_size=5), st.data())
def test_what_was_appended_is_there(tmp_path_factory, groups, data):
    plain = [text for group in groups for text in group]
    found = written(tmp_path_factory.mktemp("texts") / "t.arrow", groups)
    assert list(found) == plain
    assert len(found) == len(plain)
    chosen = data.draw(st.slices(len(plain)) if plain else st.just(slice(0, 0)))
    assert found[chosen] == plain[chosen]


def test_single_texts(tmp_path):
    found = written(tmp_path / "t.arrow", [["a", "b"]])
    assert (found[0], found[-1], found[:], found.index("b"), "c" in found) == ("a", "b", ["a", "b"], 1, False)
    with pytest.raises(IndexError):
        found[2]


def test_scenes_of_which_the_same_is_known_share_it():
    found = SceneInfos(['{"path": "a"}', '{"path": "b"}'], np.array([0, 1, 1]))
    assert [info["path"] for info in found] == ["a", "b", "b"]
    assert [info["path"] for info in found[1:]] == ["b", "b"]
    assert found[1] is found[2]


def test_released_arrays_are_read_again(tmp_path):
    dataset = random_dataset(tmp_path / "set")
    before = [dataset.trajectory(index) for index in range(len(dataset))]
    dataset.rows.release()
    for one, two in zip(before, dataset.trajectories(), strict=True):
        assert (one.scene, one.node_ids.tolist(), one.source) == (two.scene, two.node_ids.tolist(), two.source)
        np.testing.assert_array_equal(one.positions, two.positions)


def test_a_map_of_an_earlier_layout_is_not_opened(tmp_path):
    dataset = random_dataset(tmp_path / "set")
    names = list(dataset.scenes)
    (place,) = (tmp_path / "set").glob(".map-*")
    place.rename(place.with_name(place.name.rpartition("-")[0]))
    assert list(Dataset(tmp_path / "set").scenes) == names
    assert place.is_dir()
