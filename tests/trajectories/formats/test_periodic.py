import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from forecasting.trajectories.formats import _periodic
from forecasting.trajectories.formats._periodic import cell_of, unwrap

Array = NDArray[np.float64]
ALL = np.ones((1, 3), dtype=bool)
SEEDS = st.integers(0, 2**32 - 1)


def cells_of(rng: np.random.Generator, count: int = 1) -> Array:
    """Triclinic cells of lengths 5 to 9 that breathe by a few percent."""
    base = np.diag(rng.uniform(5, 9, size=3)) + np.tril(rng.uniform(-2, 2, size=(3, 3)), -1)
    return base * rng.uniform(0.98, 1.02, size=(count, 1, 1)) if count > 1 else base[None]


def walk(rng: np.random.Generator, cells: Array, steps: int = 40, nodes: int = 6) -> Array:
    """Nodes that wander through many cells by less than half a cell per step."""
    fractional = rng.uniform(-3, 3, size=(1, nodes, 3)) + np.cumsum(rng.uniform(-0.4, 0.45, size=(steps, nodes, 3)), axis=0)
    return fractional @ cells


def wrap(positions: Array, cells: Array) -> Array:
    return positions - np.floor(positions @ np.linalg.inv(cells)) @ cells


def images_between(one: Array, other: Array, cells: Array) -> Array:
    images = (one - other) @ np.linalg.inv(cells)
    np.testing.assert_allclose(images, np.rint(images), atol=1e-9)
    return np.rint(images)


@given(SEEDS, st.booleans())
def test_unwrap_undoes_wrap_up_to_one_image_per_node(seed: int, breathing: bool) -> None:
    rng = np.random.default_rng(seed)
    cells = cells_of(rng, 40 if breathing else 1)
    truth = walk(rng, cells)
    found = wrap(truth, cells)
    unwrap(found, np.ones(truth.shape[:2], dtype=bool), cells, ALL)
    images = images_between(found, truth, cells)
    np.testing.assert_array_equal(images, np.broadcast_to(images[:1], images.shape))


@given(SEEDS)
def test_lattice_vectors_added_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = cells_of(rng)
    first = walk(rng, cells)
    second = first.copy()
    second[1:] += rng.integers(-4, 5, size=second[1:].shape).astype(float) @ cells
    valid = np.ones(first.shape[:2], dtype=bool)
    unwrap(first, valid, cells, ALL)
    unwrap(second, valid, cells, ALL)
    np.testing.assert_allclose(second, first, atol=1e-9)


@given(SEEDS, npst.arrays(np.bool_, (12, 6)))
def test_gaps_are_bridged(seed: int, valid: NDArray[np.bool_]) -> None:
    rng = np.random.default_rng(seed)
    cells = cells_of(rng)
    truth = (rng.uniform(size=(1, 6, 3)) + np.cumsum(rng.uniform(-0.04, 0.04, size=(12, 6, 3)), axis=0)) @ cells
    found = np.where(valid[..., None], wrap(truth, cells), np.nan)
    unwrap(found, valid, cells, ALL)
    assert np.isnan(found[~valid]).all()
    for node in range(6):
        seen = valid[:, node]
        images = images_between(found[seen, node], truth[seen, node], cells[0])
        assert (images == images[:1]).all()


@given(SEEDS)
def test_motion_inside_the_box_stays_to_the_last_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.uniform(-0.2, 0.2, size=(9, 4, 3))
    found = inside.copy()
    unwrap(found, np.ones((9, 4), dtype=bool), cells_of(rng), ALL)
    np.testing.assert_array_equal(found, inside)


def test_only_along_periodic_vectors() -> None:
    cell = np.array([[[10.0, 0, 0], [0, 10.0, 0], [0, 0, 0]]])
    found = np.array([[[9.0, 9.0, 9.0]], [[1.0, 1.0, 1.0]]])
    unwrap(found, np.ones((2, 1), dtype=bool), cell, np.array([[True, False, True]]))
    np.testing.assert_allclose(found[1], [[11.0, 1.0, 1.0]])


def test_infinite_positions_pass(recwarn: pytest.WarningsRecorder) -> None:
    found = np.array([[[9.0, 0, 0]], [[np.inf, 0, 0]], [[1.0, 0, 0]]])
    unwrap(found, np.ones((3, 1), dtype=bool), 10 * np.eye(3)[None], ALL)
    np.testing.assert_allclose(found[:, 0, 0], [9.0, np.inf, 11.0])
    assert not recwarn.list


def test_blocks_of_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    cells = cells_of(rng, 40)
    whole = wrap(walk(rng, cells), cells)
    parts, valid = whole.copy(), np.ones((40, 6), dtype=bool)
    unwrap(whole, valid, cells, ALL)
    monkeypatch.setattr(_periodic, "BLOCK", 80)
    unwrap(parts, valid, cells, ALL)
    np.testing.assert_array_equal(parts, whole)


def test_cells_of_lengths_and_angles() -> None:
    lengths, angles = np.array([3.0, 4.0, 5.0]), np.array([70.0, 80.0, 100.0])
    cell = cell_of(lengths, angles)
    np.testing.assert_allclose(np.linalg.norm(cell, axis=1), lengths)
    for angle, (a, b) in zip(angles, ((1, 2), (0, 2), (0, 1)), strict=True):
        cosine = cell[a] @ cell[b] / (lengths[a] * lengths[b])
        assert np.degrees(np.arccos(cosine)) == pytest.approx(angle)
    np.testing.assert_array_equal(cell_of(lengths, np.full(3, 90.0)), np.diag(lengths))
