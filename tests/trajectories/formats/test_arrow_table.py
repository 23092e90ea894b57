"""Scenes go through a table in memory and come back as they were, taken apart at once or row by row."""

import numpy as np
import pyarrow as pa
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.formats.arrow_table import scenes_of_table, table_of
from forecasting.trajectories.formats.long_form import LongTable


def scenes(count=4, **kind):
    rng = np.random.default_rng(2)
    return [random_scene(rng, f"s {index}", nodes=1 + index, frames=3 + index, **kind) for index in range(count)]


def same(one, two):
    for name in ("scene", "unit", "frame", "partition"):
        assert getattr(one, name) == getattr(two, name)
    for name in ("time", "positions", "valid", "node_ids", "node_types", "edges", "edge_types"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.fields.keys() == two.fields.keys()
    for name, item in one.fields.items():
        other = two.fields[name]
        assert (item.irreps, item.unit, item.translates) == (other.irreps, other.unit, other.translates)
        np.testing.assert_array_equal(item.values, other.values)


@pytest.fixture
def one_by_one(monkeypatch):
    """Names of the scenes that were not taken apart all at once."""
    found = []
    plain = LongTable._pivot
    monkeypatch.setattr(LongTable, "_pivot", lambda self, scene, *about: found.append(scene) or plain(self, scene, *about))
    return found


@pytest.mark.parametrize(
    "kind", [{}, {"dim": 2}, {"gaps": False}, {"gaps": False, "velocity": True}, {"gaps": False, "types": ("a",)}]
)
def test_there_and_back(kind, one_by_one):
    given = scenes(**kind)
    for one, two in zip(scenes_of_table(table_of(given), "here", ReadOptions()), given, strict=True):
        same(one, two)
    assert one_by_one == [scene.scene for scene in given if not scene.valid.all()]


def test_ids_that_are_text(one_by_one):
    from dataclasses import replace

    given = [replace(one, node_ids=np.array([f"n{node}" for node in one.node_ids])) for one in scenes(gaps=False)]
    for one, two in zip(scenes_of_table(table_of(given), "here", ReadOptions()), given, strict=True):
        same(one, two)
    assert not one_by_one


def test_rows_in_another_order_are_the_same_scenes(one_by_one):
    given = scenes(1, gaps=False) + scenes(gaps=False)[3:]
    table = table_of(given)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(table))
        order = order[np.argsort(order >= 3, kind="stable")]  # the first scene has three rows
        shuffled = table.take(pa.array(order))
        for one, two in zip(scenes_of_table(shuffled, "here", ReadOptions()), given, strict=True):
            node = [one.node_ids.tolist().index(name) for name in two.node_ids]
            np.testing.assert_array_equal(one.positions[:, node], two.positions)
            np.testing.assert_array_equal(one.time, two.time)
    assert "s 3" in one_by_one


WRONG = {
    "a type that changes": ("type", lambda values: [*values[:-1], "tram"], "another type"),
    "a constant field that changes": ("charge", lambda values: [*values[:-1], 7.0], "constant in time"),
    "a node twice": ("node", lambda values: [*values[:-1], values[-2]], "repeats node"),
    "a scene that goes on later": ("scene", lambda values: [*values[:-1], values[0]], "another one began"),
    "a time that is none": ("time", lambda values: [*values[:-1], float("nan")], "no finite time"),
    "a scene without a name": ("scene", lambda values: ["", *values[1:]], "has no scene"),
}


@pytest.mark.parametrize("case", WRONG, ids=WRONG.keys())
def test_rows_that_cannot_stand(case):
    column, change, message = WRONG[case]
    table = table_of(scenes(gaps=False))
    values = pa.array(change(table[column].to_pylist()))
    table = table.set_column(table.schema.get_field_index(column), column, values)
    with pytest.raises(DataError, match=message):
        list(scenes_of_table(table, "here", ReadOptions()))


def test_nothing_to_write():
    with pytest.raises(UsageError, match="no scenes"):
        table_of([])
