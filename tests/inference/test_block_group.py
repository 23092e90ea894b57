"""Scenes of a block are forecast to the bit as each of them alone, and refused with the same words."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.errors import ForecastingError, NumericalError
from forecasting.graphs.topology import Complete
from forecasting.inference import block_group
from forecasting.inference.block_group import BlockGroup, groups_of
from forecasting.inference.predictor import Anchors, Predictor
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.reading import write_trajectories
from forecasting.trajectories.scene_block import one_by_one
from forecasting.trajectories.trajectory import Field


@pytest.fixture(autouse=True)
def every_block_is_a_group(monkeypatch):
    monkeypatch.setattr(block_group, "ENOUGH", 1)


def scenes(count=8, **kind):
    rng = np.random.default_rng(4)
    return [random_scene(rng, f"s{i}", frames=6 + i % 3, nodes=1 + i % 5, **{"gaps": False, **kind}) for i in range(count)]


def table(folder, given, **options):
    write_trajectories(folder / "t.parquet", given)
    return list(FORMATS["parquet"].blocks(folder / "t.parquet", ReadOptions(**options)))


def as_groups(predictor, items):
    return [type(group) for group in groups_of(items, predictor.package, len(predictor.builder.topology.extra_types))]


def assert_same(one, two):
    for name in ("scene", "anchor_time", "unit", "frame", "source"):
        assert getattr(one, name) == getattr(two, name)
    for name in ("time", "positions", "weights", "anchor", "node_ids", "node_types"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def text_ids(scene):
    return replace(scene, node_ids=np.array([f"n{node}" for node in scene.node_ids]))


def constant_in_every_frame(scene):
    item = scene.fields["charge"]
    values = np.repeat(item.values[None], len(scene.time), axis=0)
    return replace(scene, fields={**scene.fields, "charge": replace(item, values=values)})


def called_like_the_topologys(scene):
    return replace(scene, edge_types=np.full(len(scene.edges), Complete().extra_types[0]))


CASES = {
    "as they are": (lambda scene: scene, {}),
    "in another unit": (lambda scene: scene.in_unit("cm"), {}),
    "another unit for each axis": (lambda scene: scene, {"unit": "x=2m,y=0.5m,z=4m"}),
    "another up axis": (lambda scene: scene, {"up": "y"}),
    "ids that are text": (text_ids, {}),
    "a constant field in every frame": (constant_in_every_frame, {}),
    "connections called like the topology's own": (called_like_the_topologys, {}),
    "a field more": (lambda scene: replace(scene, fields={**scene.fields, "mass": Field(np.ones((len(scene.node_ids), 1)))}), {}),
}


@pytest.mark.parametrize("every", [None, 2])
@pytest.mark.parametrize("model", ["egnn", "mlp"])
@pytest.mark.parametrize("case", CASES, ids=CASES.keys())
def test_to_the_bit(package, tmp_path, case, model, every):
    change, options = CASES[case]
    predictor = Predictor(package(model)[0], dtype=torch.float64)
    items = table(tmp_path, [change(scene) for scene in scenes()], **options)
    assert as_groups(predictor, items) == [BlockGroup]
    found = list(predictor.trajectories(items, Anchors(every)))
    alone = list(predictor.trajectories(one_by_one(items), Anchors(every)))
    assert len(found) == len(alone) >= 8
    for one, two in zip(found, alone, strict=True):
        assert_same(one, two)


def test_order_stays_where_blocks_and_scenes_alternate(package, tmp_path):
    given = scenes(12)
    gaps = [random_scene(np.random.default_rng(i), f"g{i}", frames=6, nodes=4) for i in range(3)]
    mixed = [*given[:5], gaps[0], *given[5:9], gaps[1], gaps[2], *given[9:]]
    predictor = Predictor(package()[0], dtype=torch.float64)
    items = table(tmp_path, mixed)
    assert as_groups(predictor, items).count(BlockGroup) == 3
    found = list(predictor.trajectories(items))
    assert [one.scene for one in found] == [scene.scene for scene in mixed]
    for one, two in zip(found, predictor.trajectories(one_by_one(items)), strict=True):
        assert_same(one, two)


def last(change):
    return lambda given: [*given[:-1], change(given[-1])]


WRONG = {
    "a field is missing": lambda given: [replace(scene, fields={}) for scene in given],
    "a type is unknown": last(lambda scene: replace(scene, node_types=np.array(["tram", *scene.node_types[1:]]))),
    "another rate": last(lambda scene: replace(scene, time=scene.time * 2)),
    "another hand": lambda given: [replace(scene, frame=replace(scene.frame, handedness="left")) for scene in given],
    "a plane": lambda given: scenes(dim=2),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_the_model_cannot_take_is_said_in_the_same_words(package, tmp_path, change):
    predictor = Predictor(package()[0])
    items = table(tmp_path, change(scenes()))
    with pytest.raises(ForecastingError) as found:
        list(predictor.trajectories(items))
    with pytest.raises(ForecastingError) as alone:
        list(predictor.trajectories(one_by_one(items)))
    assert str(found.value) == str(alone.value)


def test_the_first_scene_in_another_unit_is_named_although_it_is_in_no_block(package, tmp_path):
    gaps = random_scene(np.random.default_rng(0), "first", frames=6, nodes=4)
    predictor = Predictor(package()[0])
    with pytest.raises(ForecastingError, match="'first' is in px"):
        list(predictor.trajectories(table(tmp_path, [gaps, *scenes()], unit="px")))


def test_a_forecast_that_is_not_finite_is_named_by_file_and_scene(package, tmp_path):
    given = scenes()
    heading = given[5].fields["heading"]
    given[5] = replace(given[5], fields={**given[5].fields, "heading": replace(heading, values=heading.values * np.nan)})
    predictor = Predictor(package()[0])
    for items in (table(tmp_path, given), one_by_one(table(tmp_path, given))):
        with pytest.raises(NumericalError, match=r"t\.parquet: scene 's5' from .* is not finite"):
            list(predictor.trajectories(items))


def test_small_blocks_are_put_together(package, tmp_path, monkeypatch):
    monkeypatch.setattr(block_group, "ENOUGH", 10_000)
    predictor = Predictor(package()[0])
    assert BlockGroup not in as_groups(predictor, table(tmp_path, scenes()))
