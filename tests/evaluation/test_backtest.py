"""Rolling origins: folds follow each other in time, and nothing of a fold knows what came after its origin."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import UsageError
from forecasting.evaluation.backtest import backtest, fold_config
from forecasting.testing.scenes import random_scene
from forecasting.training import assemble
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.splits import build_split
from forecasting.trajectories.windows import WindowSpec

FRAMES, DT = 120, 0.1
STARTS = (0.0, 3.0, 8.0)
"""[s] of scenes of 12 s each: in one recording, from 0 to 20 s."""


def scenes():
    rng = np.random.default_rng(0)
    made = [random_scene(rng, f"s{index}", frames=FRAMES) for index in range(len(STARTS))]
    return [replace(scene, time=scene.time + start) for scene, start in zip(made, STARTS, strict=True)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return build_dataset(scenes(), tmp_path_factory.mktemp("rolling") / "d")


def spans(dataset, anchors, spec, shared):
    """(W, 2) first and last moment [s] of each window, of its scene's own clock or of the one that all share."""
    start = np.array(STARTS)[anchors[:, 0]] if shared else np.zeros(len(anchors))
    return start[:, None] + DT * (anchors[:, 1:] + np.array([-spec.past, spec.future]))


clocks = pytest.mark.parametrize(("clock", "length"), [("scene", 12.0), ("recording", 20.0)])


@clocks
@given(folds=st.integers(1, 6), history=st.integers(1, 4), horizon=st.integers(1, 3), validation=st.floats(0.1, 0.6))
def test_folds_are_ordered_and_disjoint_and_no_window_crosses_an_origin(
    clock, length, dataset, folds, history, horizon, validation
):
    spec, tested = WindowSpec(history, (horizon,)), []
    for fold in range(1, folds + 1):
        arguments = {"folds": folds, "fold": fold, "validation": validation, "clock": clock}
        found = build_split("rolling", arguments).anchors(dataset, spec)
        origin, end = (length * share / (folds + 1) for share in (fold, fold + 1))
        times = {name: spans(dataset, anchors, spec, clock == "recording") for name, anchors in found.items()}
        slack = 1e-6
        assert (times["train"][:, 1] < origin * (1 - validation) + slack).all()
        assert (times["validation"][:, 0] > origin * (1 - validation) - slack).all()
        assert (times["validation"][:, 1] < origin + slack).all()
        assert (times["test"][:, 0] > origin - slack).all()
        assert (times["test"][:, 1] < end + slack).all()
        tested += [tuple(anchor) for anchor in found["test"].tolist()]
    assert len(tested) == len(set(tested))


@clocks
def test_nothing_that_can_be_used_is_left_out(clock, length, dataset):
    spec = WindowSpec(1, (1,))
    found = build_split("rolling", {"folds": 1, "fold": 1, "clock": clock}).anchors(dataset, spec)
    count = sum(map(len, found.values()))
    cuts = 3 if clock == "scene" else 1
    assert count >= len(dataset.anchors(spec)) - 2 * cuts * len(STARTS)


def config(folder, clock="scene", **training):
    """A small configuration as the command line would compose it."""
    settings = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-2}
    plain = {"path": str(folder), "format": "", "read": {"wide": []}, "only": [], "fields": None, "types": "type"}
    return {
        "data": {**plain, "resample": None, "window": {"history": 2, "horizon": [1, 2]}, "length": None},
        "graph": {"name": "complete", "arguments": {}},
        "model": {"name": "egnn", "arguments": {"hidden": 4, "layers": 1}},
        "relaxation": {"name": "mixed", "arguments": {}},
        "training": {**settings, **training},
        "seed": 0,
        "data_root": str(folder.parent),
        "threads": None,
    }


def known(folder, fold, folds, clock):
    """Everything that training could learn of a fold: windows as graphs, sizes, and the network before its first step."""
    problem, _ = assemble(fold_config(config(folder), folder.parent, folds, fold, clock=clock))
    found = {f"model.{name}": value.numpy() for name, value in problem.model.state_dict().items()}
    for name in ("train", "validation"):
        batch = problem.batch(name, list(range(len(problem.anchors[name]))))
        found |= {f"{name}.{key}": value.numpy() for key, value in batch.to_dict().items() if hasattr(value, "numpy")}
    sizes = problem.builder.normalization
    return found | {"sizes": np.array([sizes.length, sizes.time, *sizes.fields.values()])}


def altered(scene, frame):
    """The same scene until `frame`; behind it other places, other fields and other gaps."""
    rng = np.random.default_rng(7)
    late = np.arange(FRAMES) >= frame
    valid = scene.valid & ~(late[:, None] & (rng.random(scene.valid.shape) < 0.3))
    valid[:, 0] = True
    positions = np.where(late[:, None, None], 50 * scene.positions + 1000, scene.positions)
    heading = scene.fields["heading"]
    other = np.where(late[:, None, None], -30 * heading.values, heading.values)
    return replace(
        scene,
        valid=valid,
        positions=np.where(valid[..., None], positions, np.nan),
        fields={**scene.fields, "heading": replace(heading, values=np.where(valid[..., None], other, np.nan))},
    )


@pytest.mark.parametrize("fold", [1, 2, 3])
@pytest.mark.parametrize("clock", ["scene", "recording"])
def test_a_change_of_the_future_changes_no_input_and_no_measure(fold, clock, tmp_path):
    folds, origin = 3, 20.0 * fold / 4
    frames = (
        [30 * fold] * 3 if clock == "scene" else [int(np.clip(np.ceil((origin - start) / DT), 0, FRAMES)) for start in STARTS]
    )
    before = build_dataset(scenes(), tmp_path / "a")
    after = build_dataset(map(altered, scenes(), frames), tmp_path / "b")
    one, two = (known(data.folder, fold, folds, clock) for data in (before, after))
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)
    earlier = build_dataset(map(altered, scenes(), [max(frame - 8, 0) for frame in frames]), tmp_path / "c")
    changed = known(earlier.folder, fold, folds, clock)
    assert any(not np.array_equal(value, changed[name]) for name, value in one.items() if value.shape == changed[name].shape)


def test_mean_and_deviation_of_known_errors(dataset, tmp_path):
    from forecasting.training import train

    def still(one):
        problem, settings = assemble(one)
        return {"package": train(problem, settings, one["run"]).package}

    plain = {**config(dataset.folder), "model": {"name": "static", "arguments": {}}}
    plain["relaxation"] = {"name": "strict", "arguments": {}}
    told = []
    result = backtest(
        plain, tmp_path / "b", folds=3, train=still, watch=lambda fold, windows: told.append((fold, windows["test"]))
    )
    errors = [row["mse"] for row in result["folds"]]
    assert [row["fold"] for row in result["folds"]] == [1, 2, 3] == [fold for fold, _ in told]
    assert result["mean"]["mse"] == pytest.approx(np.mean(errors))
    assert result["sd"]["mse"] == pytest.approx(np.std(errors, ddof=1))
    assert all(row["windows"]["test"] == count > 0 for row, (_, count) in zip(result["folds"], told, strict=True))
    with pytest.raises(UsageError, match="holds a backtest already"):
        backtest(plain, tmp_path / "b", folds=3, train=still)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 3, "fold": 4}, "from 1 to folds=3, found 4"),
        ({"folds": 3, "fold": 0}, "from 1 to folds=3, found 0"),
        ({"folds": 3, "fold": 1, "validation": 1.0}, "between 0 and 1"),
        ({"folds": 3, "fold": 1, "clock": "scenes"}, "did you mean 'scene'"),
        ({"folds": 3}, "needs the argument 'fold'"),
    ],
)
def test_wrong_rolling_splits_are_named(arguments, message):
    with pytest.raises(UsageError, match=message):
        build_split("rolling", arguments)


def test_too_many_folds_are_refused_before_anything_is_trained(dataset, tmp_path):
    with pytest.raises(UsageError, match="fold 1 of 30; fewer folds"):
        backtest(config(dataset.folder), tmp_path / "b", folds=30, train=lambda _: pytest.fail("trained"))
    with pytest.raises(UsageError, match="at least 1 fold"):
        backtest(config(dataset.folder), tmp_path / "b", folds=0, train=lambda _: pytest.fail("trained"))
