"""Scenes of a block are those that the rows give one by one, and what is clean in a block is clean by every check."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.symmetry.transforms import Orthogonal
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.block_checks import clean
from forecasting.trajectories.formats import FORMATS, ReadOptions, long_form
from forecasting.trajectories.formats.arrow_table import blocks_of_table
from forecasting.trajectories.formats.parquet_table import ParquetFormat
from forecasting.trajectories.ingest import IngestOptions, prepare_all
from forecasting.trajectories.reading import SceneNames, write_trajectories
from forecasting.trajectories.scene_block import SceneBlock, one_by_one, runs
from forecasting.trajectories.trajectory import Field
from forecasting.trajectories.validation import validate


def same(one, two):
    for name in ("scene", "unit", "frame", "partition", "source"):
        assert getattr(one, name) == getattr(two, name)
    for name in ("time", "positions", "valid", "node_ids", "node_types", "edges", "edge_types"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), strict="node_" not in name and "edge_" not in name)
    assert one.fields.keys() == two.fields.keys()
    for name, item in one.fields.items():
        other = two.fields[name]
        assert (item.irreps, item.unit, item.translates) == (other.irreps, other.unit, other.translates)
        np.testing.assert_array_equal(item.values, other.values)


def made(seed, count=12, **kind):
    rng = np.random.default_rng(seed)
    shapes = rng.integers(1, 5, (count, 2)).tolist()
    return [random_scene(rng, f"s{i}", frames=1 + t, nodes=n, **kind) for i, (t, n) in enumerate(shapes)]


def blocks(path, options=None, suffix="parquet"):
    return list(FORMATS[suffix].blocks(path, options or ReadOptions()))


def only_block(path, **options):
    (block,) = blocks(path, ReadOptions(**options))
    assert isinstance(block, SceneBlock)
    return block


KINDS = {
    "plain": {},
    "in a plane": {"dim": 2},
    "a velocity": {"velocity": True},
    "some with gaps": {"gaps": True},
    "one type": {"types": ("one",)},
}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_table_gives_the_same_scenes_at_once_and_one_by_one(tmp_path, suffix, kind, monkeypatch):
    scenes = made(3, **{"gaps": False, **kind})
    write_trajectories(tmp_path / f"t.{suffix}", scenes)
    found = blocks(tmp_path / f"t.{suffix}", suffix=suffix)
    assert any(isinstance(item, SceneBlock) and len(item) > 1 for item in found)
    monkeypatch.setattr(long_form, "FEW_ROWS", 0)
    alone = blocks(tmp_path / f"t.{suffix}", suffix=suffix)
    assert not any(isinstance(item, SceneBlock) for item in alone)
    for one, two in zip(one_by_one(found), alone, strict=True):
        same(one, two)


TABLE = {"scene": ["a"] * 4 + ["b"] * 4, "time": [0.0, 0, 1, 1] * 2, "node": [1, 2] * 4, "x": range(8), "y": range(8)}
ODD = {
    "a node at another place": {"node": [1, 2, 2, 1, 1, 2, 1, 2]},
    "a frame with one node less": {"time": [0.0, 0, 1, 2, 0, 0, 1, 1]},
    "a time that goes back": {"time": [1.0, 1, 0, 0, 0, 0, 1, 1]},
    "a place that is not there": {"x": [0, None, 2, 3, 4, 5, 6, 7], "y": [0, None, 2, 3, 4, 5, 6, 7]},
    "texts that are numbers": {"node": ["1", "2"] * 4},
    "texts that are none": {"node": ["n1", "2"] * 4},
    "texts that are nearly numbers": {"node": ["--5", "7"] * 2 + ["9" * 5000, "-0"] * 2},
    "texts and numbers": {"node": ["n1", "2"] * 2 + ["1", "2"] * 2},
    "numbers with fractions": {"node": [1.0, 2.5] * 4},
    "whole numbers with a point": {"node": [1.0, 2.0] * 4},
    "types": {"type": ["p", "q"] * 4},
    "a type that is missing": {"type": [None, "q"] * 4},
    "frames for times": {"time": None, "frame": [0, 0, 3, 3] * 2},
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_odd_tables_too(tmp_path, change, monkeypatch):
    columns = {name: values for name, values in {**TABLE, **change}.items() if values is not None}
    pa.parquet.write_table(pa.table({name: pa.array(list(values)) for name, values in columns.items()}), tmp_path / "t.parquet")
    options = ReadOptions(unit="m", rate=10.0 if "frame" in columns else None)
    found = list(one_by_one(blocks(tmp_path / "t.parquet", options)))
    monkeypatch.setattr(long_form, "FEW_ROWS", 0)
    for one, two in zip(found, blocks(tmp_path / "t.parquet", options), strict=True):
        same(one, two)


def encoded(values, indices=(0, 1) * 4):
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), values)


ENCODED = {
    "numbers of many digits": {"node": encoded(pa.array([10**18, 10**18 + 1]))},
    "numbers too large for a sign": {"node": encoded(pa.array([2**63 + 1, 2**63 + 2], pa.uint64()))},
    "fractions": {"node": encoded(pa.array([0.1, 2.1], pa.float32()))},
    "large whole numbers with a point": {"node": encoded(pa.array([1e16, 2e16]))},
    "one text twice": {"node": encoded(pa.array(["a", "b", "a"]), (0, 1, 0, 1, 0, 2, 0, 2))},
    "one text twice, in other frames": {"node": encoded(pa.array(["a", "b", "a"]), (0, 1, 2, 1, 0, 1, 0, 1))},
    "frames whose time is infinite": {"time": None, "frame": [0, 0, 1e308, 1e308] * 2},
}


@pytest.mark.parametrize("change", ENCODED.values(), ids=ENCODED)
def test_odd_tables_in_memory(change, monkeypatch):
    columns = {name: pa.array(values) for name, values in {**TABLE, **change}.items() if values is not None}
    options = ReadOptions(unit="m", rate=0.1 if "frame" in columns else None)
    items = list(blocks_of_table(pa.table(columns), "t", options))
    found = list(one_by_one(items))
    monkeypatch.setattr(long_form, "FEW_ROWS", 0)
    for one, two in zip(found, blocks_of_table(pa.table(columns), "t", options), strict=True):
        same(one, two)
        assert one.node_ids.dtype == two.node_ids.dtype
    for item in items:
        if isinstance(item, SceneBlock):
            assert not any(validate(scene) for scene, good in zip(item, clean(item), strict=True) if good)


@pytest.mark.parametrize("batch", [1, 3, 7, 50, 1 << 16])
def test_scenes_may_end_anywhere_in_a_batch(tmp_path, batch, monkeypatch):
    scenes = made(5, gaps=False)
    write_trajectories(tmp_path / "t.parquet", scenes)
    monkeypatch.setattr("forecasting.trajectories.formats.parquet_table.BATCH", batch)
    for one, two in zip(ParquetFormat().read(tmp_path / "t.parquet", ReadOptions()), scenes, strict=True):
        same(one, replace(two, source=one.source))


def test_a_block_is_as_its_scenes_are(tmp_path):
    write_trajectories(tmp_path / "t.parquet", made(7, gaps=False, velocity=True))
    block = only_block(tmp_path / "t.parquet")
    scenes = list(block)
    np.testing.assert_array_equal(block.dt, [scene.dt for scene in scenes])
    turn = Orthogonal(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))
    for change in (lambda it: it.in_unit("cm"), lambda it: it.transformed(turn)):
        for one, two in zip(change(block), map(change, scenes), strict=True):
            same(one, two)
    for one, two in zip(block.part(2, 5), scenes[2:5], strict=True):
        same(one, two)
    with pytest.raises(IndexError):
        block[len(block)]


FAULTS = (
    lambda scene, rng: scene,
    lambda scene, rng: scene,
    lambda scene, rng: replace(scene, positions=np.where(rng.random(scene.positions.shape) < 0.1, np.inf, scene.positions)),
    lambda scene, rng: replace(scene, positions=scene.positions + 1e4 * (rng.random(scene.positions.shape) < 0.02)),
    lambda scene, rng: replace(scene, positions=scene.positions * (rng.random(scene.valid.shape[1]) < 0.7)[:, None]),
    lambda scene, rng: replace(scene, fields={**scene.fields, "charge": Field(np.full((scene.valid.shape[1], 1), np.nan))}),
    lambda scene, rng: replace(scene, fields={**scene.fields, "charge": Field(np.full((scene.valid.shape[1], 1), np.inf))}),
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, len(FAULTS) - 1), min_size=8, max_size=8))
def test_what_is_clean_in_a_block_is_clean_by_every_check(tmp_path_factory, seed, faults):
    path = tmp_path_factory.mktemp("clean") / "t.parquet"
    rng = np.random.default_rng(seed)
    scenes = [FAULTS[fault](scene, rng) for fault, scene in zip(faults, made(seed, 8, gaps=False), strict=True)]
    scenes = [replace(scene, fields={**scene.fields, "charge": replace(scene.fields["charge"], unit="e")}) for scene in scenes]
    write_trajectories(path, scenes)
    for item in blocks(path):
        if isinstance(item, SceneBlock):
            found = clean(item)
            for scene, good in zip(item, found, strict=True):
                assert not (good and validate(scene))


def test_usual_scenes_are_clean(tmp_path):
    write_trajectories(tmp_path / "t.parquet", made(1, 100, gaps=False))
    block = only_block(tmp_path / "t.parquet")
    assert [len(scene.time) > 1 for scene in block] == clean(block).tolist()


def test_only_what_is_clean_stays_together(tmp_path):
    scenes = made(11, 9, gaps=False)
    scenes = [replace(s, time=s.time + 0.0) for s in scenes]
    scenes[4] = replace(scenes[4], positions=np.full_like(scenes[4].positions, np.inf))
    write_trajectories(tmp_path / "t.parquet", scenes)
    noted = []
    options = IngestOptions(read=ReadOptions(on_error="mask"))
    found = list(prepare_all(blocks(tmp_path / "t.parquet"), options, noted.append))
    assert any("non_finite" in str(finding) for finding in noted)
    assert [scene.scene for scene in one_by_one(found)] == [scene.scene for scene in scenes if scene.scene != "s4"]
    assert any(isinstance(item, SceneBlock) for item in found)
    alone = prepare_all(blocks(tmp_path / "t.parquet"), replace(options, resample=0.1), noted.append)
    assert not any(isinstance(item, SceneBlock) for item in alone)


def test_names_that_were_there_before(tmp_path):
    write_trajectories(tmp_path / "t.parquet", made(13, 6, gaps=False))
    block = only_block(tmp_path / "t.parquet")
    found = list(one_by_one(SceneNames(["s3"]).unique_all([block])))
    assert [scene.scene for scene in found] == ["s0", "s1", "s2", "t/s3", "s4", "s5"]
    assert len(found[3].edges) == len(block[3].edges)


@given(st.lists(st.booleans(), max_size=20))
def test_runs_are_the_flags_again(flags):
    found = list(runs(np.array(flags, dtype=bool)))
    assert [flag for first, last, flag in found for _ in range(first, last)] == flags
    assert all(one[2] != two[2] for one, two in pairwise(found))
