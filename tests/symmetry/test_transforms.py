import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from forecasting.errors import UsageError
from forecasting.symmetry.transforms import (
    Orthogonal,
    Translation,
    irreps_dim,
    mirror,
    parse_irreps,
    random_rotation,
    rotation_about,
    wigner_d,
)

SEEDS = st.integers(0, 2**32 - 1)
IRREPS = ("0e", "0o", "1o", "1e", "2e", "2o", "3o", "2x0e+1o+1e+2o")


def rotation(seed: int) -> np.ndarray:
    return random_rotation(np.random.default_rng(seed))


@given(SEEDS)
def test_random_rotations_are_rotations(seed: int) -> None:
    matrix = rotation(seed)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_random_rotations_have_no_favourite_direction() -> None:
    rng = np.random.default_rng(0)
    turned = np.stack([random_rotation(rng) for _ in range(4000)])
    np.testing.assert_allclose(turned.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose((turned**2).mean(axis=0), 1 / 3, atol=0.03)


def test_rotation_about_an_axis_is_right_handed() -> None:
    quarter = rotation_about(np.array([0.0, 0.0, 2.0]), np.pi / 2)
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    axis = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(rotation_about(axis, 1.234) @ axis, axis, atol=1e-12)


def test_mirror_turns_its_normal_round() -> None:
    normal = np.array([1.0, 1.0, 0.0])
    np.testing.assert_allclose(mirror(normal) @ normal, -normal, atol=1e-12)
    np.testing.assert_allclose(mirror(normal) @ [0, 0, 1], [0, 0, 1], atol=1e-12)
    assert np.linalg.det(mirror(normal)) == pytest.approx(-1.0)


@pytest.mark.parametrize("irreps", IRREPS)
@settings(max_examples=8, deadline=None)
@given(first=SEEDS, second=SEEDS, mirrored=st.booleans())
def test_acting_twice_is_acting_with_the_product(irreps: str, first: int, second: int, mirrored: bool) -> None:
    a, b = rotation(first), rotation(second)
    if mirrored:
        b = b @ mirror(np.array([0.3, -0.4, 1.0]))
    values = np.random.default_rng(first).normal(size=(2, 5, irreps_dim(irreps)))
    twice = Orthogonal(a).act(Orthogonal(b).act(values, irreps), irreps)
    np.testing.assert_allclose(twice, Orthogonal(a @ b).act(values, irreps), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(twice, axis=-1), np.linalg.norm(values, axis=-1), rtol=1e-5)


@pytest.mark.parametrize(("irreps", "sign"), [("0e", 1), ("0o", -1), ("1o", -1), ("1e", 1), ("2e", 1), ("2o", -1), ("3o", -1)])
def test_inversion_shows_the_parity(irreps: str, sign: int) -> None:
    values = np.random.default_rng(0).normal(size=(4, irreps_dim(irreps)))
    np.testing.assert_allclose(Orthogonal(-np.eye(3)).act(values, irreps), sign * values, atol=1e-6)


def test_axial_vectors_turn_like_a_cross_product() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 3))
    for matrix in (random_rotation(rng), random_rotation(rng) @ mirror(np.array([1.0, 0.0, 0.0]))):
        transform = Orthogonal(matrix)
        crossed = np.cross(transform.act(a, "1o"), transform.act(b, "1o"))
        np.testing.assert_allclose(transform.act(np.cross(a, b), "1e"), crossed, atol=1e-12)


def test_degree_two_turns_like_a_traceless_product() -> None:
    from e3nn import o3

    rng = np.random.default_rng(0)
    matrix = random_rotation(rng)
    points = rng.normal(size=(6, 3))

    def harmonics(values: np.ndarray) -> np.ndarray:
        import torch

        return o3.spherical_harmonics(2, torch.from_numpy(values), normalize=False).numpy()

    turned = Orthogonal(matrix).act(harmonics(points), "2e")
    np.testing.assert_allclose(turned, harmonics(points @ matrix.T), atol=1e-5)
    np.testing.assert_allclose(wigner_d(2, np.eye(3)), np.eye(5), atol=1e-6)


@given(st.floats(-10, 10))
def test_the_plane_turns_about_z(angle: float) -> None:
    matrix = rotation_about(np.array([0.0, 0.0, 1.0]), angle)
    values = np.random.default_rng(0).normal(size=(5, 3))
    flat = np.column_stack([values[:, :2], np.zeros(5), values[:, 2]])
    planar = Orthogonal(matrix).act(values, "1o+0e")
    spatial = Orthogonal(matrix).act(flat, "1o+0e")
    np.testing.assert_allclose(planar, spatial[:, [0, 1, 3]], atol=1e-12)


def test_nothing_leaves_the_plane() -> None:
    with pytest.raises(UsageError, match="leaves the plane"):
        Orthogonal(rotation_about(np.array([1.0, 0.0, 0.0]), 0.5), "tilt").act(np.ones((4, 2)), "1o")
    with pytest.raises(UsageError, match="5 components cannot hold"):
        Orthogonal(np.eye(3)).act(np.ones((4, 5)), "1o")
    with pytest.raises(UsageError, match="planar data hold scalars and vectors only"):
        irreps_dim("2e", 2)


def test_translations_move_positions_only() -> None:
    shift = Translation(np.array([1.0, 2.0, 3.0]))
    values = np.zeros((2, 3))
    np.testing.assert_array_equal(shift.act(values, "1o", translates=True), [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(shift.act(values[:, :2], "1o", translates=True), [[1, 2]] * 2)
    assert shift.act(values, "1o") is values


def test_irreps_are_read() -> None:
    assert parse_irreps("2x0e + 1x1o+2e") == [(2, 0, 1), (1, 1, -1), (1, 2, 1)]
    assert irreps_dim("2x0e+1o+2e") == 10
    assert irreps_dim("2x0e+1o", 2) == 4
    for text in ("", "1", "vector", "1x", "1.5x0e", "1o+"):
        with pytest.raises(UsageError, match="not irreps"):
            parse_irreps(text)
