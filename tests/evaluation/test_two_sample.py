"""The comparison with moved copies: right about symmetric data, and seeing what a world breaks."""

from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import DataError
from forecasting.evaluation._energy import energy_test, holm
from forecasting.evaluation._motion import Motion
from forecasting.evaluation._moved_motion import Move, moves_for
from forecasting.evaluation.two_sample import two_sample
from forecasting.trajectories.trajectory import Frame

NODES = 4


def world(seed: int, scenes: int = 40, moments: int = 6, dim: int = 3, frame: Frame | None = None) -> Motion:
    """Bodies whose scene has a common velocity, so that moments of a scene are alike; isotropic, the same at every place."""
    rng = np.random.default_rng(seed)
    count = scenes * moments
    scene, window = np.repeat(np.arange(scenes), moments), np.repeat(np.arange(count), NODES)
    flat = np.arange(3) < dim
    position, shake, acceleration = rng.normal(size=(3, count, NODES, 3)) * flat
    together = rng.normal(size=(scenes, 1, 3)) * flat
    return Motion(
        dim=dim,
        unit="m",
        frame=frame or Frame(),
        scene=scene,
        anchor=np.tile(np.arange(moments), scenes),
        place=(rng.normal(size=(scenes, 3)) * flat)[scene],
        window=window,
        track=scene[window] * NODES + np.tile(np.arange(NODES), count),
        position=(position - position.mean(axis=1, keepdims=True)).reshape(-1, 3),
        velocity=(together[scene] + 0.3 * shake).reshape(-1, 3),
        acceleration=acceleration.reshape(-1, 3),
    )


def test_symmetric_data_are_called_different_about_as_often_as_the_level_says():
    """60 worlds of a few strongly alike moments: about 5 % of each group's p-values are ≤ 0.05; 9 of 60 has probability 0.3 %."""
    rows = [two_sample(world(seed, scenes=26), seed=seed, permutations=99) for seed in range(60)]
    low = {row["group"]: sum(each[at]["p_value"] <= 0.05 for each in rows) for at, row in enumerate(rows[0])}
    assert low.pop("scale") == 60
    assert max(low.values()) < 9, low
    assert sum(low.values()) > 0
    family = sum(any(row["different"] for row in each if row["group"] != "scale") for each in rows)
    assert family < 9


def drifting(motion: Motion) -> Motion:
    return replace(motion, velocity=motion.velocity + np.array([0, 0, 2.0]))


def falling(motion: Motion) -> Motion:
    return replace(motion, acceleration=motion.acceleration - np.array([0, 0, 2.0]))


def magnetic(motion: Motion) -> Motion:
    """Every velocity turns to the left about z."""
    return replace(motion, acceleration=motion.acceleration + 2 * np.cross(np.array([0, 0, 1.0]), motion.velocity))


def rubbing(motion: Motion) -> Motion:
    return replace(motion, acceleration=motion.acceleration - 2 * motion.velocity)


def windy_there(motion: Motion) -> Motion:
    """It blows outward: what moves how depends on the place."""
    return replace(motion, velocity=motion.velocity + 2 * motion.place[motion.window])


WORLDS = {
    # what a world has -> groups that its motion must be found to break, groups that it keeps
    drifting: ({"mirror(z)", "SO(3)", "O(3)", "time reversal"}, {"SO(2)(z)", "mirror(x)", "mirror(y)"}),
    falling: ({"mirror(z)", "SO(3)", "O(3)"}, {"SO(2)(z)", "mirror(x)", "mirror(y)", "time reversal"}),
    magnetic: ({"mirror(x)", "mirror(y)", "SO(3)", "O(3)", "time reversal"}, {"SO(2)(z)", "mirror(z)"}),
    rubbing: ({"time reversal"}, {"SO(2)(z)", "mirror(x)", "mirror(y)", "mirror(z)", "SO(3)", "O(3)"}),
    windy_there: ({"T(3)"}, {"SO(2)(z)", "mirror(x)", "SO(3)"}),
}


@pytest.mark.parametrize("change", WORLDS, ids=lambda change: change.__name__)
def test_what_a_world_breaks_is_found_and_nothing_else(change):
    broken, kept = WORLDS[change]
    found = {row["group"]: row for row in two_sample(change(world(7, scenes=150)))}
    assert {name for name in broken if not found[name]["different"]} == set()
    assert {name for name in kept if found[name]["different"]} == set()


def test_sentences_do_not_say_too_much():
    for row in two_sample(falling(world(3, scenes=80))):
        assert row["meaning"] in row["because"]
        if row["different"]:
            assert "distribution of the motion is not symmetric" in row["because"]
            assert "does not say that the law of motion is not" in row["because"]
        else:
            assert "does not prove" in row["because"]


@pytest.mark.parametrize(
    ("dim", "up", "groups"),
    [
        (2, "none", ["SO(2)(z)", "mirror(x)", "mirror(y)", "T(2)", "time reversal", "scale"]),
        (3, "-y", ["SO(2)(y)", "mirror(x)", "mirror(z)", "SO(3)", "O(3)", "T(3)", "time reversal", "scale"]),
        (3, "none", ["SO(2)(z)", "mirror(x)", "mirror(y)", "mirror(z)", "SO(3)", "O(3)", "T(3)", "time reversal", "scale"]),
    ],
)
def test_what_is_compared(dim, up, groups):
    assert [row["group"] for row in two_sample(world(1, dim=dim, frame=Frame(up)), permutations=19)] == groups


def test_the_same_seed_gives_the_same_rows():
    one, again, other = (two_sample(world(2), seed=seed, permutations=49) for seed in (4, 4, 5))
    assert one == again
    assert one[0]["statistic"] != other[0]["statistic"]


def test_few_scenes_are_cut_into_pieces_and_that_is_said():
    rows = two_sample(world(1, scenes=3, moments=60), permutations=49)
    assert rows[0]["block"] == "pieces of time"
    assert rows[0]["blocks"] == 24
    assert "not independent" in rows[0]["because"]
    with pytest.raises(DataError, match="5 moments are too few"):
        two_sample(world(1, scenes=1, moments=5))


def test_many_scenes_are_thinned_out():
    rows = two_sample(world(1, scenes=700, moments=3), permutations=9)
    assert (rows[0]["blocks"], rows[0]["block"]) == (512, "scenes")


def test_moves_keep_lengths_and_blocks():
    motion = world(5, scenes=8)
    block, rng = motion.scene, np.random.default_rng(0)
    for move in (move for move in moves_for(motion) if isinstance(move, Move)):
        moved = move.draw(motion, block, rng)
        size = 2.0 if move.group == "scale" else 1.0
        for name in ("position", "velocity", "acceleration"):
            lengths, before = (np.linalg.norm(getattr(one, name), axis=1) for one in (moved, motion))
            assert np.allclose(lengths, size * before)
        gram = [np.einsum("ni,mi->nm", one.velocity[:NODES], one.velocity[:NODES]) for one in (moved, motion)]
        assert np.allclose(gram[0], size**2 * gram[1])


def test_energy_distance_against_its_definition():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(6, 3)), 1 + rng.normal(size=(6, 3))

    def mean(a, b):
        return np.mean([np.linalg.norm(x - y) for x in a for y in b])

    expected = 1 - (mean(first, first) + mean(second, second)) / (2 * mean(first, second))
    found, _ = energy_test(np.concatenate([first, second]), np.arange(12), np.arange(12) >= 6, rng, 9)
    assert found == pytest.approx(expected)


def test_p_values_of_a_world_of_two_blocks_each():
    """Two blocks against two: 6 labellings in 3 pairs, so a p-value is about 1/3 at best."""
    features = np.repeat([0.0, 0.0, 9.0, 9.0], 5)[:, None]
    _, p = energy_test(features, np.repeat(np.arange(4), 5), np.array([0, 0, 1, 1], dtype=bool), np.random.default_rng(1), 999)
    assert p == pytest.approx(1 / 3, abs=0.06)


@pytest.mark.parametrize(
    ("given", "expected"),
    [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.5, 0.9], [1.0, 1.0]), ([0.02], [0.02])],
)
def test_holm(given, expected):
    assert holm(np.array(given)) == pytest.approx(expected)
