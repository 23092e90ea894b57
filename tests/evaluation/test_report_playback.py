"""Scenes to play hold what the model really says, also when its input is turned."""

import numpy as np
import pytest

from forecasting.evaluation.playback import LARGEST_NODES, LARGEST_POINTS, playback
from forecasting.evaluation.protocol import partition_anchors
from forecasting.inference.predictor import Predictor
from forecasting.symmetry.transforms import Orthogonal, rotation_about
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import build_dataset


def played(made, dataset, **kind):
    return playback(made, dataset, partition_anchors(made, dataset, "all"), **kind)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_scene_is_what_was_seen_what_came_and_what_is_forecast(package, dim):
    made, dataset = package(dim=dim, gaps=True)
    anchors = partition_anchors(made, dataset, "all")
    scenes = playback(made, dataset, anchors, count=3)
    assert len(scenes) == 3
    known = {
        (str(dataset.scenes[at[0]]), round(float(dataset.windows(made.window, at[None]).anchor_time[0]), 6)): at for at in anchors
    }
    chosen = [known[scene["scene"], round(scene["anchor_time"], 6)] for scene in scenes]
    assert len({tuple(at) for at in chosen}) == 3
    for scene, anchor in zip(scenes, chosen, strict=True):
        windows = dataset.windows(made.window, anchor[None])
        np.testing.assert_allclose(scene["times"], [-0.2, -0.1, 0, 0.1, 0.2], atol=1e-9)
        for name, values, valid in (
            ("history", windows.position, windows.position_valid),
            ("truth", windows.future, windows.future_valid),
        ):
            for node, frame in np.ndindex(valid.shape):
                point = scene[name][frame][node]
                assert (point is None) == (not valid[node, frame])
                if point:
                    np.testing.assert_allclose(point[:dim], values[node, frame], atol=1e-3)
                    assert point[dim:] == [0.0] * (3 - dim)
        forecast = Predictor(made).windows(windows)[0].transpose(1, 2, 0, 3)
        np.testing.assert_allclose(np.array(scene["forecasts"])[..., :dim], forecast, atol=1e-3)
        assert all(a < b for a, b in scene["edges"])


@pytest.mark.parametrize(("model", "symmetric"), [("egnn", True), ("mlp", False)])
def test_turned_inputs_are_answered_by_the_model_itself(package, model, symmetric):
    made, dataset = package(model)
    anchors = partition_anchors(made, dataset, "all")[:1]
    (scene,) = playback(made, dataset, anchors, angles=4)
    assert [each["degrees"] for each in scene["turned"]] == [0, 90, 180, 270]
    assert scene["turned"][0]["residual"] < 1e-6
    matrix = rotation_about(np.array([0.0, 0.0, 1.0]), np.pi / 2)
    windows = dataset.windows(made.window, anchors).transformed(Orthogonal(matrix, "turn"))
    answer = Predictor(made).windows(windows)[0] @ matrix
    np.testing.assert_allclose(scene["turned"][1]["forecasts"], answer.transpose(1, 2, 0, 3), atol=1e-3)
    assert all((each["residual"] < 1e-4) == symmetric for each in scene["turned"][1:])


def test_the_axis_is_the_data_s_up_axis(package, tmp_path, as_up):
    made, _ = package("static")
    scenes = [as_up(random_scene(np.random.default_rng(1), "one"), "-y")]
    dataset = build_dataset(iter(scenes), tmp_path / "y")
    (scene, *_) = played(made, dataset, angles=2)
    assert scene["up"] == "-y"
    assert scene["axis"] == [0, -1, 0]


def test_large_scenes_are_thinned(package, tmp_path):
    made, _ = package("static")
    dataset = build_dataset(
        iter([random_scene(np.random.default_rng(2), "many", nodes=3 * LARGEST_NODES, gaps=False)]), tmp_path / "many"
    )
    scene = played(made, dataset)[0]
    assert len(scene["history"][0]) == len(scene["forecasts"][0][0]) == len(scene["node_types"]) == LARGEST_NODES
    assert scene["nodes"] == 3 * LARGEST_NODES
    assert np.array(scene["edges"]).max() < LARGEST_NODES
    assert sum(np.array(each["forecasts"])[..., 0].size for each in scene["turned"]) <= LARGEST_POINTS
