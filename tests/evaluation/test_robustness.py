"""Curves and tables: flat where a model has the symmetry, as another implementation finds them, and honest where they stop."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from forecasting.errors import DataError
from forecasting.evaluation import _curves
from forecasting.evaluation import robustness as module
from forecasting.evaluation._curves import _is_length
from forecasting.evaluation._moved_windows import by_dropout, by_noise, by_order, by_rate, selected
from forecasting.evaluation.robustness import robustness
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.residual import BatchFields, Typed, equivariance_error
from forecasting.trajectories.windows import WindowSpec

MIXED = {"hidden": 6, "layers": 2, "chain": ["O(3)", "identity"]}


def curves(package, dataset, **options):
    found = robustness(package, dataset, dataset.anchors(package.window), **options)
    return {curve["name"]: curve for curve in found["curves"]}, found


@pytest.mark.parametrize("dim", [2, 3])
def test_a_symmetric_model_is_equal_wherever_its_input_goes(package, dim):
    made, dataset = package("egnn", dim=dim)
    found, whole = curves(made, dataset)
    turns = {name for name in found if name.startswith("rotation")}
    assert len(turns) == (4 if dim == 3 else 1)
    assert ("rotation about z (up)" in turns) == (dim == 3)
    for name in turns | {"translation", "reflection", "order of nodes"}:
        assert max(found[name]["residual"]) < 1e-5
        assert found[name]["error"] == pytest.approx([found["scale"]["error"][3]] * len(found[name]["x"]), rel=1e-4)
    assert found["translation"]["x"][-1] == pytest.approx(1000 * made.normalization.length)
    assert len(found["reflection"]["labels"]) == len(found["reflection"]["x"])
    assert max(found["scale"]["residual"]) > 1e-4
    steps, types = whole["tables"]
    assert len(steps["rows"]) == 2
    assert [row[0] for row in types["rows"]] == ["a", "b"]
    for row in steps["rows"] + types["rows"]:
        assert len(row) == len(steps["columns"])
        assert row[1:3] == pytest.approx(row[3:5], rel=1e-4)
        assert row[5] < 1e-5


def test_constant_velocity_keeps_scale_too_and_is_the_baseline(package):
    made, dataset = package("constant_velocity", velocity=True)
    found, _ = curves(made, dataset)
    for name in ("scale", "translation", "dropout"):
        assert max(found[name]["residual"]) < 1e-6
    for name in ("scale", "translation"):
        assert found[name]["error"] == pytest.approx([found[name]["baseline"]] * len(found[name]["x"]), rel=1e-5)


def test_a_model_without_symmetry_is_caught(package):
    made, dataset = package("mlp")
    found, whole = curves(made, dataset)
    for name in ("rotation about x", "rotation about a random axis", "reflection"):
        curve = found[name]
        still = [x == 0 and name != "reflection" for x in curve["x"]]
        assert all((residual < 1e-9) == same for residual, same in zip(curve["residual"], still, strict=True))
        assert max(curve["residual"]) > 0.03
    assert max(found["translation"]["residual"]) < 1e-6
    assert whole["tables"][0]["rows"][0][5] > 0.03


def rotated(windows, matrix):
    """By hand: charge is a scalar, heading a vector."""
    fields = {"charge": windows.fields["charge"], "heading": windows.fields["heading"] @ matrix.T}
    parts = {name: getattr(windows, name) @ matrix.T for name in ("position", "velocity", "future")}
    return replace(windows, fields=fields, **parts)


def own_sums(package, dataset, matrix):
    """Σ|f(R x) − R f(x)|², Σ|f(x)|² and Σ|f(R x) − R y|² of displacements, window by window, in the unit of the data."""
    model, builder = package.forecaster(torch.float64), package.builder(torch.float64)
    away = size = error = count = 0.0
    for anchor in dataset.anchors(package.window):
        windows = dataset.windows(package.window, anchor[None])
        with torch.no_grad():
            plain, turned = (
                model(builder.build(each))[0][:, 0].numpy() * package.normalization.length
                for each in (windows, rotated(windows, matrix))
            )
        valid = windows.future_valid
        truth = (windows.future - windows.position[:, -1:]) @ matrix.T
        away += ((turned - plain @ matrix.T) ** 2).sum()
        size += (plain**2).sum()
        error += ((turned - truth) ** 2)[valid].sum()
        count += valid.sum()
    return away, size, error / count / 3


@pytest.mark.parametrize(("model", "arguments"), [("mlp", {"hidden": 8}), ("egnn", MIXED), ("segnn", MIXED)])
def test_another_implementation_finds_the_same(package, model, arguments, monkeypatch):
    torch.manual_seed(1)
    monkeypatch.setattr(_curves, "ANGLES", (-120, 60))
    made, dataset = package(model, arguments, scenes=4, frames=8)
    found, _ = curves(made, dataset, dtype=torch.float64)
    for letter in "xyz":
        curve = found[f"rotation about {letter}{' (up)' if letter == 'z' else ''}"]
        for point in (0, 1):
            turn = Rotation.from_euler(letter, curve["x"][point], degrees=True).as_matrix()
            away, size, error = own_sums(made, dataset, turn)
            assert curve["residual"][point] == pytest.approx(np.sqrt(away / size), rel=1e-6)
            assert curve["error"][point] == pytest.approx(error, rel=1e-6)
    group, builder, net = parse_group("O(3)"), made.builder(torch.float64), made.forecaster(torch.float64)
    sums = [own_sums(made, dataset, element) for element in group.sample(np.random.default_rng(4), 4)]
    windows = dataset.windows(made.window, dataset.anchors(made.window))
    act, rng = BatchFields.of(made.schema.specs).act, np.random.default_rng(4)
    theirs = equivariance_error(lambda batch: net(batch)[0], builder.build(windows), act, Typed("1o"), group, 4, rng)
    np.testing.assert_allclose(theirs.samples, [np.sqrt(away / size) for away, size, _ in sums], rtol=1e-6)
    assert theirs.value > 1e-4


def test_points_that_are_not_drawn_do_not_depend_on_chunks_and_seeds(package, monkeypatch):
    made, dataset = package("mlp")
    first, whole = curves(made, dataset)
    assert whole == curves(made, dataset)[1]
    monkeypatch.setattr(module, "CHUNK", 7)
    second, _ = curves(made, dataset, seed=5)
    for name in ("rotation about y", "scale", "time step"):
        assert second[name]["residual"] == pytest.approx(first[name]["residual"], rel=1e-5, abs=1e-7)
        assert second[name]["error"] == pytest.approx(first[name]["error"], rel=1e-5)
    name = "rotation about a random axis"
    assert second[name]["residual"] != pytest.approx(first[name]["residual"], rel=1e-3)


def test_progress_and_limit(package):
    made, dataset = package("static")
    calls = []
    _, found = curves(made, dataset, limit=10, progress=lambda done, total: calls.append((done, total)))
    assert found["windows"] == 10
    assert calls[-1] == (calls[-1][1],) * 2
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    with pytest.raises(DataError, match="no window"):
        robustness(made, dataset, np.zeros((0, 2), dtype=int))


def test_noise_of_measured_positions_and_velocities_has_the_stated_size(package):
    """Constant velocity with noise σ of positions and σ/τ of velocities is off by σ √(1 + (t/τ)²) in every coordinate."""
    made, dataset = package("constant_velocity", spec=WindowSpec(1, (1, 4)), velocity=True)
    found, _ = curves(made, dataset)
    windows = dataset.windows(made.window, dataset.anchors(made.window))
    lead, time = windows.lead[0], made.normalization.time
    way = windows.velocity[:, -1:] * lead[:, None]
    for sigma, residual in zip(found["noise"]["x"], found["noise"]["residual"], strict=True):
        expected = sigma * np.sqrt(3 * len(way) * (1 + (lead / time) ** 2).sum() / (way**2).sum())
        assert residual == pytest.approx(expected, rel=0.1, abs=1e-9)


def test_noise_reaches_velocities_that_follow_from_positions(package):
    made, dataset = package("static")
    windows = dataset.windows(made.window, dataset.anchors(made.window))
    moved = by_noise(windows, made.window, 0.3, None, np.random.default_rng(0)).windows
    both = moved.velocity_valid[:, 0]
    by_hand = (moved.position[:, 1] - moved.position[:, 0]) / 0.1
    np.testing.assert_allclose(moved.velocity[both, 0], by_hand[both], rtol=1e-9)
    off = (moved.position - windows.position)[windows.position_valid]
    assert off.std() == pytest.approx(0.3, rel=0.1)
    assert not moved.position[~windows.position_valid].any()
    assert moved.future is windows.future


def test_dropout_leaves_a_node_and_what_belongs_to_it(package):
    made, dataset = package("static")
    windows = dataset.windows(made.window, dataset.anchors(made.window))
    before = np.diff(windows.offsets)
    for share in (0.0, 0.4, 0.99, 1.0):
        moved = by_dropout(windows, share, np.random.default_rng(0))
        np.testing.assert_array_equal(np.diff(moved.windows.offsets), before - np.minimum(np.floor(share * before), before - 1))
        np.testing.assert_array_equal(moved.windows.node, windows.node[moved.nodes])
        ends = moved.nodes[moved.windows.edge_index]
        known = set(map(tuple, windows.edge_index.T))
        assert {tuple(pair) for pair in ends.T} == {pair for pair in known if set(pair) <= set(moved.nodes)}
    some = selected(windows, np.flatnonzero(windows.window_of_node % 2 == 1))
    np.testing.assert_array_equal(some.anchor_time, windows.anchor_time[1::2])


def test_another_order_is_a_permutation_within_windows(package):
    made, dataset = package("static")
    windows = dataset.windows(made.window, dataset.anchors(made.window))
    moved = by_order(windows, np.random.default_rng(0))
    assert sorted(moved.nodes) == list(range(len(windows.node)))
    assert (moved.nodes != np.arange(len(windows.node))).any()
    np.testing.assert_array_equal(moved.windows.window_of_node, windows.window_of_node[moved.nodes])


@pytest.mark.parametrize(
    ("history", "why", "rates"),
    [(1, "sees one frame", []), (3, "", [1, 2, 3]), (5, "", [1, 2]), (7, "reaches back 12 frames", [])],
)
def test_other_rates_where_there_is_room(package, history, why, rates):
    made, dataset = package("constant_velocity", spec=WindowSpec(history, (1, 3)))
    found, whole = curves(made, dataset)
    assert ("time step" in found) == bool(rates)
    if rates:
        assert found["time step"]["x"] == rates
        assert found["time step"]["residual"][0] < 1e-6
        assert found["time step"]["residual"][1] > 1e-3
        assert not whole["omitted"]
    else:
        assert why in whole["omitted"][0]["because"]


def test_a_coarser_history_is_that_of_every_second_frame(package):
    made, dataset = package("static")
    anchors = dataset.anchors(made.window)
    moved = by_rate(dataset.windows(made.window, anchors), dataset, made.window, 2, 2).windows
    fits = anchors[anchors[:, 1] >= 4]
    by_hand = dataset.windows(replace(made.window, step=2), fits)
    np.testing.assert_array_equal(moved.position, by_hand.position)
    np.testing.assert_array_equal(moved.velocity, by_hand.velocity)
    np.testing.assert_array_equal(moved.lead, dataset.windows(made.window, fits).lead)
    np.testing.assert_array_equal(moved.future, dataset.windows(made.window, fits).future)


@pytest.mark.parametrize(
    ("unit", "length", "grows"),
    [
        *(("m", "m", True), ("m/s", "m", True), ("m / s²", "m", True), ("m·kg", "m", True), ("km", "m", False)),
        *(("rad", "m", False), ("", "m", False), ("charge", "unitless", False)),
        *(("unitless", "unitless", False), ("unitless/s", "unitless", True)),
    ],
)
def test_which_fields_grow_with_lengths(unit, length, grows):
    assert _is_length(unit, length) == grows
