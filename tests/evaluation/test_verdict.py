"""Verdicts where the truth is planted: the data come from the very network that is judged, so nothing needs to be learned."""

import numpy as np
import pytest
import torch

from forecasting.errors import DataError
from forecasting.evaluation.verdict import Settings, judge, split_for_verdict
from forecasting.graphs.build import schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models.relaxed import place_layers
from forecasting.packages import Package
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.trajectory import Frame, Trajectory
from forecasting.trajectories.units import Unit
from forecasting.trajectories.windows import WindowSpec

CHAIN = ["translations", "O(3)", "SO(3)"]
SPEC = WindowSpec(2, (1, 2))
N = np.array([2.0, -1.0, 2.0]) / 3
PUSH, NOISE, NODES, SCENES = 1.0, 0.005, 6, 90
DUALS = {"relaxed.1": [0.5, 0.25]}
QUICK = Settings(epochs=1, rate=0.01, residual=40, draws=4)
ARGUMENTS = {"hidden": 6, "layers": 2}
SHIFTS = ("translations", "translations along n", "translations across n")


def scenes(starts, futures, dim):
    """One window each: two frames of history, two of future."""
    for index, (start, future) in enumerate(zip(starts, futures, strict=True)):
        positions = np.concatenate([start, future])
        yield Trajectory(
            scene=f"scene-{index:03d}",
            time=0.1 * np.arange(4),
            positions=positions,
            valid=np.ones(positions.shape[:2], dtype=bool),
            node_ids=np.arange(NODES),
            node_types=np.full(NODES, "body"),
            unit=Unit("m"),
            frame=Frame("+z" if dim == 3 else "none"),
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Makes (package, data set): `plant` sets the relaxed maps of a network that makes the data and is then judged."""
    made = {}

    def make(plant, chain=CHAIN, dim=3, count=SCENES):
        key = plant, tuple(chain), dim, count
        if key not in made:
            made[key] = _world(tmp_path_factory.mktemp("world"), *key)
        return made[key]

    return make


def _world(folder, plant, chain, dim, count):
    rng = np.random.default_rng(3)
    places, ways = rng.normal(size=(2, count, 1, NODES, dim))
    places = places + 3 * rng.normal(size=(count, 1, 1, dim))
    starts = np.concatenate([places - 0.3 * ways, places], axis=1)
    blank = build_dataset(scenes(starts, np.repeat(places, 2, axis=1), dim), folder / "blank")
    windows = blank.windows(SPEC, blank.anchors(SPEC))
    schema = schema_of(blank.manifest, SPEC, Complete())
    normalization = Normalization.fit(windows)
    torch.manual_seed(0)
    model = build_model("egnn", schema, {**ARGUMENTS, "chain": chain})
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(torch.zeros_like(value) if name.endswith("matrix") else value)
    if model.place is not None:
        model.place.fit(windows.position[:, -1], normalization.length)
    plant(model)
    package = Package(
        *("egnn", {**ARGUMENTS, "chain": chain}, schema, SPEC, "complete", {}, normalization),
        *(0.1, "m", blank.manifest.frame, blank.manifest.fields, model.state_dict(), {"duals": DUALS}),
    )
    builder = package.builder()
    with torch.no_grad():
        found = builder.positions(package.forecaster()(builder.build(windows)).displacement, windows)[:, 0]
    futures = found + NOISE * normalization.length * rng.normal(size=found.shape)
    futures = futures.reshape(count, NODES, 2, dim).transpose(0, 2, 1, 3)
    return package, build_dataset(scenes(starts, futures, dim), folder / "set")


def pushed(model, n, push=PUSH):
    """The last layer adds a constant push along n (3,)."""
    with torch.no_grad():
        model.relaxed[-1].matrix[:, -1] = push * torch.from_numpy(np.tile(n, 2)).float()


def gravity(model):
    pushed(model, N)


def wind(model):
    pushed(model, np.array([0.6, 0.8, 0.0]))


def breath(model):
    """The error of a network without the push is about 2 % larger than the noise."""
    pushed(model, N, 0.3 * NOISE)


def nothing(_model):
    pass


def trap(model):
    """Along N, nodes are drawn to the middle of the world."""
    with torch.no_grad():
        (*_, last) = place_layers(model).values()
        last.matrix.copy_(-PUSH * torch.from_numpy(np.tile(np.outer(N, N), (2, 1))))


def halves(dataset):
    anchors = dataset.anchors(SPEC)
    return anchors[: 2 * len(anchors) // 3], anchors[2 * len(anchors) // 3 :]


def verdict(package, dataset, settings=QUICK, **how):
    found = judge(package, dataset, *halves(dataset), settings, **how)
    return found, {row["group"]: row for row in found["groups"]}


def answers(rows):
    return {name: row["data"] for name, row in rows.items()}


def test_gravity(world):
    done = []
    found, rows = verdict(*world(gravity), progress=lambda *step: done.append(step))
    kept, broken = dict.fromkeys(("SO(2)(n)", "C∞v(n)"), "kept"), ("O(3)", "SO(3)", "C∞h(n)", "D∞h(n)", "inversion", "O_h")
    shifts = dict.fromkeys(SHIFTS, "kept")
    assert answers(rows) == kept | dict.fromkeys(broken, "broken") | shifts
    away = np.degrees(np.arccos(abs(np.array(found["axis"]["vector"]) @ N)))
    assert away < 0.1
    assert away / 3 < found["axis"]["degrees"] < 0.2
    assert found["axis"]["share"] == pytest.approx(1, abs=1e-3)
    assert found["broken_by"] == "relaxed.1"
    assert found["errors"]["full"] == pytest.approx((NOISE * world(gravity)[0].normalization.length) ** 2, rel=0.15)
    assert found["errors"]["strict"] > 100 * found["errors"]["full"]
    assert [part["dual"] for layer in found["layers"] if layer["layer"] == "relaxed.1" for part in layer["parts"]] == DUALS[
        "relaxed.1"
    ]
    ratio = rows["translations"]["ratio"]
    assert 0.97 < ratio["low"] <= ratio["value"] <= ratio["high"] < 1.02
    assert rows["O(3)"]["ratio"]["low"] > 50
    assert rows["C∞v(n)"]["model"]["residual"] < 1e-3
    assert rows["O(3)"]["model"]["residual"] > 0.1
    assert rows["O(3)"]["error_turned"] > 10 * found["errors"]["full"]
    assert rows["C∞v(n)"]["distance"]["relaxed.1"] < 1e-2
    assert rows["O(3)"]["distance"]["relaxed.1"] == pytest.approx(1, abs=1e-3)
    assert rows["translations along n"]["because"].startswith("It follows: translations is kept")
    assert "The data keep C∞v(n), SO(2)(n), translations" in found["reading"]
    assert "The axis n is (0.66" in found["reading"]
    counts, totals = zip(*done, strict=True)
    assert list(counts) == sorted(counts)
    assert {counts[-1], *totals} == {totals[0]}


def test_it_is_the_same_verdict_again(world):
    one, two = ({**verdict(*world(gravity))[0], "seconds": 0} for _ in range(2))
    assert one == two


def test_nothing_is_broken_where_nothing_is_planted(world):
    found, rows = verdict(*world(nothing))
    assert answers(rows) == dict.fromkeys(rows, "kept")
    assert (found["axis"], found["broken_by"]) == (None, None)
    assert "break" not in found["reading"]


def test_a_trap_along_a_line(world):
    _, rows = verdict(*world(trap))
    assert [rows[name]["data"] for name in SHIFTS] == ["broken", "broken", "kept"]
    assert rows["D∞h(n)"]["data"] == rows["inversion"]["data"] == "kept"
    assert rows["O(3)"]["data"] == rows["SO(3)"]["data"] == "broken"


def test_wind_in_the_plane(world):
    found, rows = verdict(*world(wind, chain=("translations", "C∞v(z)", "SO(2)(z)"), dim=2))
    assert rows["mirror(n)"]["data"] == "kept"
    assert {rows[name]["data"] for name in ("O(2)", "SO(2)", "C_4", "C_2")} == {"broken"}
    assert {rows[name]["data"] for name in rows if name.startswith("translations")} == {"kept"}
    assert abs(np.array(found["axis"]["vector"]) @ [0.6, 0.8, 0]) > np.cos(np.radians(0.3))
    assert found["axis"]["degrees"] is None


def test_a_strict_package_cannot_tell_and_says_what_would(world):
    found, rows = verdict(*world(nothing, chain=()))
    assert answers(rows) == dict.fromkeys(rows, "cannot tell")
    told = "Cannot tell: the model could not break it: train with relaxation=mixed."
    assert {row["because"] for row in rows.values()} == {told}
    assert {row["ratio"] for row in rows.values()} == {None}
    assert max(row["model"]["residual"] for row in rows.values()) < 1e-4
    assert (found["errors"], found["layers"], found["axis"], found["broken_by"]) == ({}, [], None, None)


def test_a_network_that_knows_no_places_cannot_tell_of_translations(world):
    _, rows = verdict(*world(gravity, chain=("O(3)", "SO(3)")))
    assert rows["C∞v(n)"]["data"] == "kept"
    for name in SHIFTS:
        assert rows[name]["data"] == "cannot tell"
        assert "could not know places" in rows[name]["because"]


def test_a_network_whose_strict_part_keeps_less_is_asked_less(world):
    _, rows = verdict(*world(gravity, chain=("SO(3)", "identity")))
    assert rows["SO(3)"]["data"] == "broken"
    assert rows["SO(2)(n)"]["data"] == "kept"
    assert rows["C∞v(n)"]["data"] == "cannot tell"
    assert "the strict part of the network keeps SO(3)" in rows["C∞v(n)"]["because"]


def test_few_scenes_do_not_settle_what_is_near_the_limit(world):
    package, dataset = world(breath)
    anchors = dataset.anchors(SPEC)
    row = judge(package, dataset, anchors[:8], anchors[8:], QUICK)["groups"][0]
    assert (row["group"], row["data"]) == ("O(3)", "cannot tell")
    assert row["ratio"]["low"] < 1.02 < row["ratio"]["high"]
    assert "does not settle" in row["because"]


def test_too_few_scenes(world):
    package, dataset = world(gravity)
    anchors = dataset.anchors(SPEC)
    with pytest.raises(DataError, match=r"7 scenes to compare and 10 windows to learn from are too few \(at least 8 and 1\)"):
        judge(package, dataset, anchors[:7], anchors[10:20], QUICK)
    with pytest.raises(DataError, match="0 windows to learn from"):
        judge(package, dataset, anchors[:20], anchors[:0], QUICK)


def test_own_data_are_split_as_in_training(world):
    anchors = world(gravity)[1].anchors(SPEC)
    own = {"train": anchors[:5], "validation": anchors[5:8], "test": anchors[8:]}
    found = split_for_verdict(world(gravity)[1], own, own["test"])
    assert [part.tolist() for part in found] == [own["test"].tolist(), own["train"].tolist()]


def test_other_data_are_cut_in_two_by_scene(world):
    _, dataset = world(gravity)
    anchors = np.repeat(dataset.anchors(SPEC), 3, axis=0)
    for own in (None, {"train": anchors[:0]}):
        test, learn = split_for_verdict(dataset, own, anchors)
        assert not set(test[:, 0]) & set(learn[:, 0])
        assert sorted([*test.tolist(), *learn.tolist()]) == sorted(anchors.tolist())
        assert len(set(test[:, 0])) == len(set(learn[:, 0])) == SCENES // 2
    with pytest.raises(DataError, match="there is only one; cut the recording into several"):
        split_for_verdict(dataset, None, anchors[:3])
