"""The charged worlds against the published trajectories, their statistics, and the symmetries they declare."""

import numpy as np
import pytest

from forecasting.errors import UsageError
from forecasting.symmetry.transforms import mirror, random_rotation, rotation_about
from forecasting.trajectories.simulators import _streams, charged
from forecasting.trajectories.simulators.base import build_simulator

OCTAHEDRAL = [np.eye(3)[[1, 2, 0]], np.diag([-1.0, 1, 1]), np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, -1]])]


@pytest.fixture(scope="module")
def published():
    return charged.PublishedCharged().runs(3000, 43)


@pytest.fixture(scope="module")
def reference(real_data):
    with np.load(real_data / "others" / "charged5-reference" / "charged5_first200.npz") as archive:
        return {name: archive[name].swapaxes(2, 3) if name != "charges" else archive[name] for name in archive.files}


def test_same_charges_and_first_frames_as_published(published, reference):
    assert np.array_equal(published.charges[:200], reference["charges"][..., 0])
    np.testing.assert_allclose(published.positions[:200, 0], reference["loc"][:, 0], atol=1e-9)
    early = published.first_clipped[:200] > 100
    np.testing.assert_allclose(published.velocities[:200, 0][early], reference["vel"][:, 0][early], atol=1e-9)


def test_trajectories_that_are_never_clipped_equal_the_published_ones_to_the_end(published, reference):
    free = published.first_clipped[:200] == 5000
    assert free.sum() > 80
    np.testing.assert_allclose(published.positions[:200][free], reference["loc"][free], atol=1e-6)
    np.testing.assert_allclose(published.velocities[:200][free], reference["vel"][free], atol=1e-6)


def test_statistics_of_the_published_set(published):
    x, v = published.positions, published.velocities
    moved = x[:, 40] - x[:, 30]
    assert (moved**2).mean() == pytest.approx(0.27, abs=0.01)
    assert ((moved - v[:, 30]) ** 2).mean() == pytest.approx(0.12, abs=0.01)
    assert 0.40 < (published.first_clipped < 3100).mean() < 0.44
    assert x.shape == (3000, 49, 5, 3)


def test_clipped_trajectories_follow_the_published_ones_to_their_first_clip_and_mostly_beyond(published, reference):
    error = np.abs(published.positions[:200] - reference["loc"]).max(axis=(2, 3))
    frame_step = 100 * np.arange(1, 50)
    before = frame_step <= published.first_clipped[:200, None]
    assert error[before].max() < 1e-9
    clipped = published.first_clipped[:200] < 5000
    assert (error[clipped].max(axis=1) < 1e-6).mean() > 0.7  # the others are chaotic: a last bit grows to the size of the motion


def test_the_first_scenes_of_a_longer_run_are_the_same(published):
    few = charged.PublishedCharged().runs(3, 43)
    assert np.array_equal(few.positions, published.positions[:3])
    scenes = list(charged.PublishedCharged().scenes(2, 43))
    assert np.array_equal(scenes[1].positions, published.positions[1])
    assert scenes[1].time[0] == pytest.approx(0.1)
    assert scenes[1].fields["velocity"].irreps == "1o"


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("block", [1, 7, 64])
def test_neither_blocks_nor_threads_change_a_bit(monkeypatch, block, workers):
    world = charged.PublishedCharged(steps=301)
    expected = world.runs(20, 43)
    monkeypatch.setattr(_streams, "BLOCK", block)
    monkeypatch.setattr(_streams.os, "cpu_count", lambda: workers)
    found = world.runs(20, 43)
    for name in ("positions", "velocities", "charges", "first_clipped"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_one_stream_is_marked_train_validation_test():
    world = charged.CleanCharged(steps=201)
    scenes = list(world.partitioned({"test": 1, "train": 2, "validation": 1}, 3))
    assert [scene.partition for scene in scenes] == ["train", "train", "validation", "test"]
    for scene, plain in zip(scenes, world.scenes(4, 3), strict=True):
        assert np.array_equal(scene.positions, plain.positions)


@pytest.mark.parametrize("counts", [{}, {"train": 0}, {"train": -1, "test": 2}, {"tset": 2}])
def test_numbers_of_scenes_that_make_no_sense_are_refused(counts):
    with pytest.raises(UsageError):
        list(charged.CleanCharged(steps=201).partitioned(counts, 0))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_start_no_stream_are_refused(seed):
    with pytest.raises(UsageError, match="seed must be from 0"):
        list(charged.CleanCharged(steps=201).scenes(1, seed))


def run(world, matrix, x, v, q):
    """Simulate rotated initial states and rotate the result back."""
    turned = (np.einsum("ij,sjn->sin", matrix, part) for part in (x, v))
    positions, _, _, first = world._integrate(*turned, q)
    return positions @ matrix, first


@pytest.fixture(scope="module")
def close_pairs():
    """Bodies so near to each other that most forces are clipped soon."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(_streams.BLOCK, 3, 5)) * 0.3
    return x, rng.normal(size=x.shape) * 0.3, rng.choice([-1.0, 1.0], size=(_streams.BLOCK, 5))


@pytest.mark.parametrize("index", range(len(OCTAHEDRAL)))
def test_octahedral_elements_commute_with_the_published_world(close_pairs, index):
    world = charged.PublishedCharged(steps=51, sample_every=10)
    plain, first = run(world, np.eye(3), *close_pairs)
    turned, _ = run(world, OCTAHEDRAL[index], *close_pairs)
    assert (first < 51).mean() > 0.1
    np.testing.assert_allclose(turned, plain, atol=1e-11)


def test_a_rotation_commutes_with_the_clean_world_and_not_with_the_published_one(close_pairs):
    rotation = random_rotation(np.random.default_rng(1))
    errors = {}
    for kind in (charged.CleanCharged, charged.PublishedCharged):
        world = kind(steps=51, sample_every=10)
        plain, first = run(world, np.eye(3), *close_pairs)
        turned, first_turned = run(world, rotation, *close_pairs)
        errors[kind] = np.abs(turned - plain).max(axis=(1, 2, 3)), np.minimum(first, first_turned)
    clean, first = errors[charged.CleanCharged]
    assert (first < 51).mean() > 0.1
    assert clean.max() < 1e-8
    broken, first = errors[charged.PublishedCharged]
    assert broken[first == 51].max() < 1e-9
    assert np.median(broken[first < 51]) > 1e-4


def test_gravity_falls_along_the_axis_and_keeps_what_it_says(close_pairs):
    axis = np.array([0.3, -0.5, 0.81])
    world = charged.CleanCharged(steps=51, sample_every=50, gravity=9.81, axis=tuple(axis))
    free = charged.CleanCharged(steps=51, sample_every=50)
    plain, _ = run(world, np.eye(3), *close_pairs)
    fall = (plain - run(free, np.eye(3), *close_pairs)[0]).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(fall / np.linalg.norm(fall), -axis / np.linalg.norm(axis), atol=1e-3)
    kept = rotation_about(axis, 1.0) @ mirror(np.cross(axis, [1.0, 0, 0]))
    np.testing.assert_allclose(run(world, kept, *close_pairs)[0], plain, atol=1e-8)
    assert np.abs(run(world, random_rotation(np.random.default_rng(2)), *close_pairs)[0] - plain).max() > 1e-3
    assert world.symmetry == "C_inf_v about the axis, translations"
    assert charged.PublishedCharged().symmetry == "O_h, translations"


def test_translations_commute(close_pairs):
    x, v, q = close_pairs
    world = charged.CleanCharged(steps=51, sample_every=50)
    shift = np.array([100.0, -20, 3])
    moved = world._integrate(x + shift[:, None], v, q)[0] - shift
    np.testing.assert_allclose(moved, world._integrate(x, v, q)[0], atol=1e-7)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"axis": [0, 0, 0]}, "not all 0"),
        ({"steps": 10}, "steps > sample_every"),
        ({"bodies": 0}, "bodies"),
        ({"bodies": 2.5}, r"bodies must be a whole number of at least 1, found 2\.5"),
        ({"gravity": float("nan")}, "gravity must be a finite number"),
        ({"gravity": "down"}, "gravity must be a finite number"),
        ({"axis": 3}, "three numbers"),
        ({"axis": ["a", "b", "c"]}, "three numbers"),
        ({"axis": [0, 0, 1, 0]}, "three numbers"),
        ({"gravty": 1.0}, "did you mean 'gravity'"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(UsageError, match=message):
        build_simulator("nbody_charged", parameters)
