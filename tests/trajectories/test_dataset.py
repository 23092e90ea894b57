"""Data sets: what goes in comes out, whole or not at all."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import assert_same_trajectory
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import Dataset, build_dataset
from forecasting.trajectories.trajectory import Frame, Source
from forecasting.trajectories.units import Unit


@pytest.fixture
def scenes():
    rng = np.random.default_rng(0)
    first = random_scene(rng, "one", nodes=4, velocity=True)
    second = random_scene(rng, "two", nodes=6, velocity=True, types=("b", "c"))
    second = replace(second, time=second.time + 7.3, partition="test", source=Source("x.csv", "csv", {"rate": 10}))
    third = replace(random_scene(rng, "three", nodes=2, velocity=True), node_ids=np.array(["head", "tail"]))
    return [first, second, replace(third, edges=np.zeros((0, 2), dtype=np.int64), edge_types=np.zeros(0, dtype="<U4"))]


def test_what_goes_in_comes_out(scenes, tmp_path):
    dataset = build_dataset(iter(scenes), tmp_path / "d", symmetry="O(3)", provenance={"by": "test"})
    assert list(dataset.scenes) == ["one", "two", "three"]
    assert dataset.manifest.symmetry == "O(3)"
    for index, scene in enumerate(scenes):
        assert_same_trajectory(dataset.trajectory(index), scene)
        found = dataset.trajectory(index)
        assert found.partition == scene.partition
        assert found.source == scene.source


def test_the_map_is_made_again_when_it_is_gone_and_when_opened_anew(scenes, tmp_path):
    dataset = build_dataset(scenes, tmp_path / "d")
    before = np.array(dataset.rows.position)
    for place in (tmp_path / "d").glob(".map-*"):
        shutil.rmtree(place)
    assert np.array_equal(Dataset(tmp_path / "d").rows.position, before)


def test_scenes_in_another_known_unit_are_converted(scenes, tmp_path):
    centimetres = [scenes[0], scenes[1].in_unit("cm")]
    dataset = build_dataset(centimetres, tmp_path / "d")
    assert dataset.manifest.unit == "m"
    found = dataset.trajectory(1)
    np.testing.assert_allclose(found.positions, scenes[1].positions, rtol=1e-12)
    np.testing.assert_allclose(found.fields["velocity"].values, scenes[1].fields["velocity"].values, rtol=1e-12)


WRONG = {
    "two of one name": (lambda s: [s[0], s[0]], DataError, "same name"),
    "nothing": (lambda s: [], DataError, "no scene"),
    "other fields": (lambda s: [s[0], replace(s[1], fields={})], DataError, "fields"),
    "other frame": (lambda s: [s[0], replace(s[1], frame=Frame("+y"))], DataError, "frame"),
    "other dimension": (lambda s: [s[0], random_scene(np.random.default_rng(0), dim=2, velocity=True)], DataError, "dim"),
    "nothing seen": (
        lambda s: [replace(s[0], valid=np.zeros_like(s[0].valid))],
        DataError,
        "no observed position",
    ),
    "units that cannot be converted": (lambda s: [s[0], replace(s[1], unit=Unit("px"))], UsageError, "px"),
}


@pytest.mark.parametrize("case", WRONG, ids=WRONG.keys())
def test_what_cannot_be_one_data_set_is_refused_and_leaves_nothing(scenes, tmp_path, case):
    change, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        build_dataset(change(scenes), tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_rebuild_keeps_the_old_data_set(scenes, tmp_path):
    build_dataset(scenes, tmp_path / "d")
    with pytest.raises(DataError):
        build_dataset([], tmp_path / "d")
    assert len(Dataset(tmp_path / "d")) == 3


def test_shards_that_were_changed_are_noticed(scenes, tmp_path):
    build_dataset(scenes, tmp_path / "d")
    path = tmp_path / "d" / "nodes-00000.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match="not those that the manifest describes"):
        _ = Dataset(tmp_path / "d").rows
    path.unlink()
    with pytest.raises(DataError, match=r"lacks nodes-00000\.parquet"):
        _ = Dataset(tmp_path / "d").rows


@pytest.mark.parametrize(("text", "message"), [("{", "damaged"), ('{"schema_version": 9}', "schema version 9")])
def test_a_wrong_manifest_is_refused(scenes, tmp_path, text, message):
    build_dataset(scenes, tmp_path / "d")
    (tmp_path / "d" / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=message):
        Dataset(tmp_path / "d")
    with pytest.raises(DataError, match="no manifest"):
        Dataset(tmp_path)
