"""The contract of a group, as tests to inherit."""

from itertools import product
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.symmetry._representations import axial_vectors, irreps_matrices
from forecasting.symmetry.groups import LinearGroup, parse_group
from forecasting.symmetry.projectors import Projector, SpatialProjector

Array = NDArray[np.float64]

EXACT = 1e-12
IRREPS_IN, IRREPS_OUT = "2x0e+1x0o+2x1o+1x1e+1x2e+1x3o", "1x0e+2x1o+1x2o+1x2e+1x4e"
DEGREE = 7


class GroupContract:
    """Inherit and name the group as a user writes it.

    Attributes:
        group_name: read by `parse_group`.
        planar: whether the group keeps planar data in their plane.
    """

    group_name: ClassVar[str]
    planar: ClassVar[bool] = False

    @pytest.fixture
    def group(self) -> LinearGroup:
        """The group."""
        return parse_group(self.group_name)

    @pytest.fixture
    def elements(self, group: LinearGroup) -> Array:
        """(6, 3, 3) random elements."""
        return group.sample(np.random.default_rng(0), 6)

    @pytest.fixture
    def matrix(self) -> torch.Tensor:
        """A random map of mixed irreps."""
        shape = SpatialProjector.over(parse_group("identity"), _act_in, _act_out, 0).before.shape[-1]
        high = _act_out(np.eye(3)[None]).shape[-1]
        return torch.randn(high, shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def test_its_name_is_the_group(self, group: LinearGroup) -> None:
        assert parse_group(group.name) == group
        assert hash(parse_group(group.name)) == hash(group)
        assert str(group) == group.name

    def test_generators_are_a_lie_algebra(self, group: LinearGroup) -> None:
        """Antisymmetric, independent, closed under the bracket, and turned into each other by the single elements."""
        lie = group.generators()
        assert lie.shape[1:] == (3, 3)
        np.testing.assert_array_equal(lie, -lie.swapaxes(1, 2))
        flat = lie.reshape(-1, 9)
        assert np.linalg.matrix_rank(flat) == len(lie) if len(lie) else True
        made = [a @ b - b @ a for a, b in product(lie, lie)] + [g @ a @ g.T for g, a in product(group.discrete(), lie)]
        assert np.linalg.matrix_rank(np.concatenate([flat, np.array(made).reshape(-1, 9)]), tol=1e-9) == len(lie)
        np.testing.assert_allclose(np.linalg.norm(axial_vectors(lie), axis=1), 1, atol=EXACT)

    def test_components_are_a_group(self, group: LinearGroup) -> None:
        """Orthogonal, the identity first, closed under products and inverses."""
        components = group.components()
        np.testing.assert_array_equal(components[0], np.eye(3))
        np.testing.assert_allclose(
            components @ components.swapaxes(1, 2), np.broadcast_to(np.eye(3), components.shape), atol=EXACT
        )
        rng = np.random.default_rng(0)
        for first, second in rng.integers(len(components), size=(20, 2)):
            assert group.has(components[first] @ components[second].T)

    def test_samples_belong_to_it(self, group: LinearGroup, elements: Array) -> None:
        assert elements.shape == (6, 3, 3)
        np.testing.assert_allclose(elements @ elements.swapaxes(1, 2), np.broadcast_to(np.eye(3), (6, 3, 3)), atol=EXACT)
        assert all(group.has(element) for element in elements)
        assert all(group.has(first @ second) for first, second in product(elements, elements))
        assert not group.has(np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])) or len(group.generators()) == 3
        np.testing.assert_array_equal(elements, group.sample(np.random.default_rng(0), 6))
        assert group.sample(np.random.default_rng(0), 0).shape == (0, 3, 3)

    def test_samples_are_uniform(self, group: LinearGroup) -> None:
        """Means of g, g ⊗ g and g ⊗ g ⊗ g agree with the exact quadrature within five standard errors."""
        samples = group.sample(np.random.default_rng(1), 4000)
        elements, weights = group.quadrature(3)
        assert weights.sum() == pytest.approx(1)
        assert all(group.has(element) for element in elements)
        for power in (1, 2, 3):
            drawn, exact = (_power(each, power).reshape(len(each), -1) for each in (samples, elements))
            limit = 5 * drawn.std(axis=0) / np.sqrt(len(samples)) + EXACT
            assert (np.abs(drawn.mean(axis=0) - weights @ exact) <= limit).all()

    def test_its_place_among_groups(self, group: LinearGroup) -> None:
        everything, nothing = parse_group("E(3)"), parse_group("identity")
        assert group.contains(group)
        assert everything.contains(group)
        assert group.contains(nothing)
        assert nothing.contains(group) == (
            len(group.components()) == 1 and len(group.generators()) == 0 and len(group.shifts()) == 0
        )

    def test_translations_turn_into_each_other(self, group: LinearGroup, elements: Array) -> None:
        shifts = group.shifts()
        np.testing.assert_allclose(shifts @ shifts.T, np.eye(len(shifts)), atol=EXACT)
        for element in elements:
            turned = shifts @ element.T
            np.testing.assert_allclose(turned @ shifts.T @ shifts, turned, atol=EXACT)

    def test_planar_data(self, group: LinearGroup, elements: Array) -> None:
        """In two dimensions a group leaves z alone or is refused."""
        if self.planar:
            assert group.for_dimension(2) is group
            np.testing.assert_allclose(elements[:, :, 2], np.broadcast_to([0, 0, 1], (6, 3)), atol=EXACT)
        else:
            with pytest.raises(UsageError, match="two dimensions"):
                group.for_dimension(2)
        assert group.for_dimension(3) is group

    def test_projector_is_the_exact_average(self, group: LinearGroup, matrix: torch.Tensor) -> None:
        """Equal to the group sum or quadrature, with norms and dimension, in float64."""
        projector = Projector(group, IRREPS_IN, IRREPS_OUT)
        average = SpatialProjector.over(group, _act_in, _act_out, DEGREE)
        size = matrix.norm()
        kept = projector.project(matrix)
        assert (kept - average.project(matrix)).norm() <= EXACT * size
        assert (projector.residual(matrix) - average.residual(matrix)).norm() <= EXACT * size
        assert (projector.squared_norm(matrix) - average.squared_norm(matrix)).abs() <= EXACT * size**2
        assert (projector.squared_residual(matrix) - average.squared_residual(matrix)).abs() <= EXACT * size**2
        elements, weights = group.quadrature(DEGREE)
        traces = [np.trace(act(elements), axis1=1, axis2=2) for act in (_act_in, _act_out)]
        assert projector.dimension == pytest.approx(weights @ (traces[0] * traces[1]))
        assert projector.dimension + projector.codimension == matrix.numel()

    def test_projector_is_orthogonal_and_equivariant(self, group: LinearGroup, elements: Array, matrix: torch.Tensor) -> None:
        """P P = P, ⟨P A, B⟩ = ⟨A, P B⟩, and P M commutes with every element."""
        projector, size = Projector(group, IRREPS_IN, IRREPS_OUT), matrix.norm()
        kept, other = projector.project(matrix), matrix.flip(0, 1)
        assert (projector.project(kept) - kept).norm() <= EXACT * size
        assert ((kept * other).sum() - (matrix * projector.project(other)).sum()).abs() <= EXACT * size**2
        for before, after in zip(_act_in(elements), _act_out(elements), strict=True):
            assert (torch.from_numpy(after) @ kept - kept @ torch.from_numpy(before)).norm() <= EXACT * size


def _act_in(matrices: Array) -> Array:
    return irreps_matrices(IRREPS_IN, matrices)


def _act_out(matrices: Array) -> Array:
    return irreps_matrices(IRREPS_OUT, matrices)


def _power(matrices: Array, power: int) -> Array:
    made = matrices
    for _ in range(power - 1):
        made = np.einsum("n...,nij->n...ij", made, matrices)
    return made
