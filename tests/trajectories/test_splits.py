"""Splits: nothing of one partition is seen in another."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import DataError, UsageError
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.splits import PARTITIONS, build_split, scored_anchors
from forecasting.trajectories.windows import WindowSpec

SPEC = WindowSpec(3, (1, 2))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    rng = np.random.default_rng(0)
    marks = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    scenes = (replace(random_scene(rng, f"s{i}", frames=40), partition=mark) for i, mark in enumerate(marks))
    return build_dataset(scenes, tmp_path_factory.mktemp("splits") / "d")


def frames(anchors, spec):
    return {(s, a + k) for s, a in anchors.tolist() for k in range(-spec.past, spec.future + 1)}


@given(train=st.floats(0.2, 0.6), validation=st.floats(0.1, 0.3), embargo=st.floats(0, 0.5), history=st.integers(1, 4))
def test_time_split_shares_no_frame_and_keeps_the_embargo(dataset, train, validation, embargo, history):
    spec = WindowSpec(history, (1, 3))
    found = build_split("time", {"train": train, "validation": validation, "embargo": embargo}).anchors(dataset, spec)
    used = {name: frames(found[name], spec) for name in PARTITIONS}
    for early, late in (("train", "validation"), ("validation", "test")):
        for scene in range(len(dataset)):
            before = [frame for at, frame in used[early] if at == scene]
            after = [frame for at, frame in used[late] if at == scene]
            if before and after:
                assert min(after) - max(before) >= 1 + np.floor(embargo / 0.1 - 1e-9)


def test_scene_split_is_disjoint_whole_and_reproducible(dataset):
    found = build_split("scene", {"seed": 3}).anchors(dataset, SPEC)
    parts = [set(found[name][:, 0]) for name in PARTITIONS]
    assert sorted(sum(map(list, parts), [])) == list(range(8))
    again = build_split("scene", {"seed": 3}).anchors(dataset, SPEC)
    assert all(np.array_equal(found[name], again[name]) for name in PARTITIONS)
    other = build_split("scene", {"seed": 4}).anchors(dataset, SPEC)
    assert any(set(other[name][:, 0]) != part for name, part in zip(PARTITIONS, parts, strict=True))


def test_partition_split_takes_the_first_scenes_and_one_frame(dataset):
    found = build_split("partition", {"limit": {"train": 3}, "anchor": 10}).anchors(dataset, SPEC)
    assert found["train"].tolist() == [[0, 10], [1, 10], [2, 10]]
    assert found["test"].tolist() == [[6, 10], [7, 10]]
    with pytest.raises(UsageError, match="does not fit"):
        build_split("partition", {"anchor": 39}).anchors(dataset, SPEC)


def test_published_split(dataset, tmp_path):
    lists = {f"{name}_case_ids": np.array(cases) for name, cases in (("train", [1, 4]), ("val", [0]), ("test", [7]))}
    lists |= {
        "train_starts": np.array([[3, 9, 5], [2, 8, 6]]),
        "val_starts": np.array([[4, 1]]),
        "test_starts": np.array([[7, 3]]),
    }
    np.savez(tmp_path / "split.npz", **lists)
    arguments = {"file": str(tmp_path / "split.npz"), "shift": 1, "limit": {"train": 4}}
    found = build_split("published", arguments).anchors(dataset, SPEC)
    assert found["train"].tolist() == [[1, 4], [1, 10], [4, 3], [4, 9]]
    assert found["validation"].tolist() == [[0, 5], [0, 2]]
    np.savez(tmp_path / "far.npz", **{**lists, "test_case_ids": np.array([99])})
    with pytest.raises(DataError, match="names scene 99"):
        build_split("published", {"file": str(tmp_path / "far.npz")}).anchors(dataset, SPEC)
    with pytest.raises(DataError, match="not a published split"):
        build_split("published", {"file": str(tmp_path / "none.npz")}).anchors(dataset, SPEC)


def test_leave_one_out(dataset):
    arguments = {"test": ["s2"], "unused": ["s3"], "validation_from": {"s0": 2.0}, "fraction": 0.25}
    found = build_split("leave_one_out", arguments).anchors(dataset, SPEC)
    assert set(found["test"][:, 0]) == {2}
    assert set(found["train"][:, 0]) == set(found["validation"][:, 0]) == {0, 1, 4, 5, 6, 7}
    assert frames(found["train"], SPEC).isdisjoint(frames(found["validation"], SPEC))
    assert max(a for s, a in found["train"].tolist() if s == 0) + SPEC.future == 19
    assert max(a for s, a in found["train"].tolist() if s == 1) + SPEC.future == 29


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("tim", {}, "did you mean 'time'"),
        ("time", {"trian": 0.5}, "did you mean 'train'"),
        ("time", {"train": 0.9, "validation": 0.2}, "leave a rest"),
        ("time", {"embargo": -1}, "negative"),
        ("published", {}, "needs the argument 'file'"),
    ],
)
def test_wrong_splits_are_named(kind, arguments, message):
    with pytest.raises(UsageError, match=message):
        build_split(kind, arguments)


def test_scenes_that_are_not_there_are_named(dataset):
    with pytest.raises(UsageError, match="no scene is called 's22'; did you mean 's2'"):
        build_split("leave_one_out", {"test": ["s22"]}).anchors(dataset, SPEC)


def test_only_windows_with_something_to_score_are_kept(dataset):
    anchors = dataset.anchors(SPEC)
    kept = scored_anchors(dataset, WindowSpec(3, (1, 2), score="complete"), anchors, chunk=7)
    windows = dataset.windows(WindowSpec(3, (1, 2), score="complete"), anchors)
    scored = [bool(windows.future_valid[slice(*windows.offsets[i : i + 2])].any()) for i in range(len(anchors))]
    assert np.array_equal(kept, anchors[scored])
