"""Data that a package was trained on are known again in another data set, and others are not taken for them."""

from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import PackageError
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.recognition import MOST, Moves
from forecasting.trajectories.windows import WindowSpec

SPEC = WindowSpec(2, (1, 2), stride=2)


def scenes(seed, count=6, **kind):
    rng = np.random.default_rng(seed)
    return [random_scene(rng, f"{seed}-{number}", **kind) for number in range(count)]


def turned_round(scene):
    """The same nodes in another order, under other names, in single precision, without its first frame."""
    order = np.arange(len(scene.node_ids))[::-1]
    return replace(
        scene,
        scene=f"again {scene.scene}",
        time=scene.time[1:] + 5,
        positions=scene.positions[1:, order].astype(np.float32).astype(np.float64),
        valid=scene.valid[1:, order],
        node_ids=np.array([f"n{number}" for number in order]),
        node_types=scene.node_types[order],
        fields={},
        edges=scene.edges[:0],
        edge_types=scene.edge_types[:0],
    )


def bare(scene):
    return replace(scene, fields={})


@pytest.fixture
def moves(tmp_path):
    """Makes the sample of the windows of all these scenes, or of those numbered."""

    def make(several, chosen=None):
        dataset = build_dataset(several, tmp_path / f"set-{len(list(tmp_path.iterdir()))}")
        return Moves.of(dataset, SPEC, dataset.anchors(SPEC, chosen), 2.0)

    return make


FOUND = {
    "the same": (lambda old: old, 1.0),
    "in another order": (lambda old: old[::-1], 1.0),
    "made anew": (lambda old: [turned_round(scene) for scene in old], 1.0),
    "some of them": (lambda old: old[:2], 1.0),
    "others": (lambda old: scenes(8), 0.0),
    "half and half": (lambda old: [bare(scene) for scene in [*old, *scenes(8)]], 0.5),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_was_learned_from_is_known_again(moves, case):
    old = scenes(3)
    made, expected = FOUND[case]
    assert moves(made(old)).share_in(moves(old)) == pytest.approx(expected, abs=0.07)


def test_windows_that_were_not_trained_on_do_not_count(moves):
    old = scenes(3)
    trained = moves(old, [0, 1, 2])
    assert moves(old, [3, 4, 5]).share_in(trained) == 0
    assert moves(old).share_in(trained) == pytest.approx(0.5, abs=0.1)


def test_a_sample_is_small_and_tells_as_much_as_everything(moves):
    long = {"frames": 400, "gaps": False, "nodes": 6}
    old = scenes(3, **long)
    sample = moves(old)
    assert len(sample.hashes) == MOST
    assert len(str(sample.to_plain())) < 24_000
    assert moves([*old[:3], *scenes(8, 3, **long)]).share_in(sample) == pytest.approx(0.5, abs=0.06)
    assert moves(scenes(8, **long)).share_in(sample) == 0


def test_nodes_that_rest_tell_nothing(moves):
    still = [replace(scene, positions=scene.positions * 0 + 1.5) for scene in scenes(3)]
    assert moves(still).share_in(moves(still)) is None


def test_a_sample_comes_back_from_a_package(moves):
    sample = moves(scenes(3))
    assert np.array_equal(Moves.of_plain(sample.to_plain()).hashes, sample.hashes)


DAMAGED = {
    "nothing": {},
    "no text": {"moves": 3},
    "not base64": {"moves": "§"},
    "cut": {"moves": "AAAA"},
    "not increasing": {"moves": "AAAAAAAAAAAAAAAAAAAAAA=="},
    "too long": Moves(np.arange(MOST + 1, dtype=np.uint64)).to_plain(),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_sample_is_refused(case):
    with pytest.raises(PackageError, match="sample of its training data is damaged"):
        Moves.of_plain(DAMAGED[case])
