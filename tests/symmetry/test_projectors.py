import copy

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from forecasting.errors import NumericalError, UsageError
from forecasting.symmetry._representations import irreps_generators, irreps_matrices
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector, ProjectorBank, SpatialProjector, frobenius, spectral, weighted, with_bias
from forecasting.symmetry.transforms import parse_irreps
from forecasting.testing.maps import SOME_GROUPS, acting, irreps_strategy, random_map

EXACT = 1e-12
FEATURES = "8x0e+8x1o"
MIXED = "2x0e+1x0o+2x1o+1x1e+1x2e"


def average(group, irreps_in, irreps_out):
    degree = max(degree for _, degree, _ in parse_irreps(irreps_in)) + max(degree for _, degree, _ in parse_irreps(irreps_out))
    actions = (lambda elements, irreps=irreps: irreps_matrices(irreps, elements) for irreps in (irreps_in, irreps_out))
    return SpatialProjector.over(parse_group(group), *actions, degree)


@pytest.mark.parametrize("group", SOME_GROUPS)
@settings(max_examples=12)
@given(irreps_in=irreps_strategy(), irreps_out=irreps_strategy())
def test_random_irreps(group, irreps_in, irreps_out):
    projector, matrix = Projector(parse_group(group), irreps_in, irreps_out), random_map(irreps_in, irreps_out)
    kept, size = projector.project(matrix), matrix.norm()
    assert (kept - average(group, irreps_in, irreps_out).project(matrix)).norm() <= EXACT * size
    assert (kept + projector.residual(matrix) - matrix).norm() <= EXACT * size
    assert (projector.project(kept) - kept).norm() <= EXACT * size
    assert projector.squared_norm(matrix).item() == pytest.approx(kept.square().sum().item(), rel=EXACT)
    assert (projector.squared_residual(matrix) - (matrix - kept).square().sum()).abs() <= EXACT * size**2
    for before, after in zip(acting(group, irreps_in), acting(group, irreps_out), strict=True):
        assert (after @ kept - kept @ before).norm() <= EXACT * size


def about_another_axis(irreps, rotation):
    return torch.from_numpy(irreps_matrices(irreps, rotation[None])[0])


def test_another_axis_is_a_turn_of_the_basis():
    """P about n = D'(R)ᵀ P_y(D'(R) M D(R)ᵀ) D(R) with R n = y."""
    rotation = parse_group("SO(3)").sample(np.random.default_rng(3), 1)[0]
    axis = rotation.T @ [0, 1, 0]
    turn, matrix = about_another_axis(MIXED, rotation), random_map(MIXED, MIXED)
    about_y = Projector(parse_group("C∞v(y)"), MIXED, MIXED)
    about_n = Projector(parse_group(f"C∞v({','.join(map(repr, map(float, axis)))})"), MIXED, MIXED)
    expected = turn.T @ about_y.project(turn @ matrix @ turn.T) @ turn
    assert (about_n.project(matrix) - expected).norm() <= EXACT * matrix.norm()


DIMENSIONS = {
    **{"O(3)": (2, 3, 4), "SO(3)": (2, 3, 4), "O_h": (2, 4, 9), "O": (2, 4, 11), "C∞v(y)": (5, 14, 30), "SO(2)(y)": (6, 19, 44)},
    **{"inversion": (10, 45, 136), "mirror(x)": (10, 45, 136), "identity": (16, 81, 256), "SO(2)(1,2,3)": (6, 19, 44)},
}


@pytest.mark.parametrize("group", DIMENSIONS)
def test_dimensions(group):
    for largest, expected in enumerate(DIMENSIONS[group], start=1):
        irreps = "+".join(f"1x{degree}{'eo'[degree % 2]}" for degree in range(largest + 1))
        projector = Projector(parse_group(group), irreps, irreps)
        assert (projector.dimension, projector.codimension) == (expected, (largest + 1) ** 4 - expected)


def test_vectors_and_scalars_hide_the_cube():
    """P_O = P_SO(3) and P_Oh = P_O(3) on l ≤ 1."""
    irreps = "2x0e+1x0o+2x1o+1x1e"
    matrix = random_map(irreps, irreps)
    for cube, all_of_it in (("O", "SO(3)"), ("O_h", "O(3)")):
        kept = [Projector(parse_group(group), irreps, irreps).project(matrix) for group in (cube, all_of_it)]
        assert (kept[0] - kept[1]).norm() <= EXACT * matrix.norm()


@pytest.mark.parametrize("group", SOME_GROUPS)
def test_conjugation_moves_a_map_by_twice_its_residual(group):
    """E_g |g M g⁻¹ − M|² = 2 |M − P M|², by exact quadrature."""
    elements, weights = parse_group(group).quadrature(8)
    acts, matrix = torch.from_numpy(irreps_matrices(MIXED, elements)), random_map(MIXED, MIXED)
    moved = (acts @ matrix @ acts.mT - matrix).square().sum((-2, -1))
    found = Projector(parse_group(group), MIXED, MIXED).squared_residual(matrix)
    assert (torch.from_numpy(weights) @ moved).item() == pytest.approx(2 * found.item(), rel=EXACT, abs=EXACT)


@pytest.mark.parametrize("group", ["SO(3)", "C∞v(z)", "O_h"])
def test_residual_is_half_the_sampled_penalty(group):
    """With white inputs, E |M g x − g M x|² = 2 |M − P M|²."""
    count, projector, matrix = 20_000, Projector(parse_group(group), MIXED, MIXED), random_map(MIXED, MIXED)
    acts = acting(group, MIXED, count)
    x = torch.randn(count, acts.shape[-1], 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    penalty = (matrix @ acts @ x - acts @ (matrix @ x)).square().sum((-2, -1))
    limit = 4 * penalty.std().item() / count**0.5
    assert abs(penalty.mean().item() - 2 * projector.squared_residual(matrix).item()) < limit


@pytest.mark.parametrize("group", ["SO(3)", "O(3)", "C∞v(z)"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_zero_on_equivariant_maps(group, dtype):
    """Nothing cancels: |M − P M| is 0 to the rounding of M itself, and a residual of 1e-4 keeps its digits in float32."""
    projector = Projector(parse_group(group), FEATURES, FEATURES)
    exact = projector.project(random_map(FEATURES, FEATURES))
    kept, limit = exact.to(dtype), {torch.float64: 1e-15, torch.float32: 1e-7, torch.bfloat16: 3e-3}[dtype]
    assert projector.squared_residual(kept).sqrt() <= 2 * limit * exact.norm()
    if dtype == torch.float32:
        rest = projector.residual(random_map(FEATURES, FEATURES, seed=1))
        broken = (exact + 1e-4 * rest).float()
        assert projector.squared_residual(broken).item() == pytest.approx(1e-8 * rest.square().sum().item(), rel=1e-3)
        assert projector.residual(kept).norm() <= 1e-6 * exact.norm()


def test_precision_survives_conversion_and_autocast():
    projector = Projector(parse_group("SO(2)(1,2,3)"), FEATURES, FEATURES)
    matrix = random_map(FEATURES, FEATURES)
    expected = projector.squared_residual(matrix)
    for convert in (torch.nn.Module.half, torch.nn.Module.float, torch.nn.Module.double):
        assert torch.equal(convert(projector).squared_residual(matrix), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert projector.squared_residual(matrix.float()).item() == pytest.approx(expected.item(), rel=1e-6)
        assert projector.project(matrix.float()).dtype == torch.float32
    assert torch.equal(copy.deepcopy(projector).squared_residual(matrix), expected)
    assert not projector.state_dict()
    assert {value.device.type for value in projector.to("meta").buffers()} == {"meta"}


@pytest.mark.gpu
def test_on_a_gpu():
    matrix = random_map(FEATURES, FEATURES)
    members = [parse_group(group) for group in ("O(3)", "C∞v(z)", "SO(2)(x)")]
    expected = ProjectorBank(members, FEATURES, FEATURES).squared_residuals(matrix)
    bank = ProjectorBank(members, FEATURES, FEATURES).to("cuda")
    torch.testing.assert_close(bank.squared_residuals(matrix.cuda()).cpu(), expected, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(bank.squared_residuals(matrix.cuda().float()).cpu(), expected.float(), rtol=1e-5, atol=1e-5)


def test_bias_is_an_input_0e():
    """C∞v(z) keeps a bias along z and scalars; O(3) keeps scalars only."""
    irreps, weight = "1x0e+1x1o+1x0o", torch.zeros(5, 5, dtype=torch.float64)
    bias = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    matrix = with_bias(weight, bias)
    for group, kept in (("O(3)", [1, 0, 0, 0, 0]), ("C∞v(z)", [1, 0, 0, 4, 0]), ("SO(2)(x)", [1, 2, 0, 0, 5])):
        found = Projector(parse_group(group), irreps, irreps, bias=True).project(matrix)
        np.testing.assert_allclose(found[:, -1], kept, atol=EXACT)
        assert not found[:, :-1].any()


def test_many_layers_at_once():
    matrices = [random_map(MIXED, FEATURES, seed) for seed in range(6)]
    projector = Projector(parse_group("D∞h(z)"), MIXED, FEATURES)
    stacked = torch.stack(matrices).unflatten(0, (2, 3))
    alone = torch.stack([projector.squared_residual(matrix) for matrix in matrices])
    torch.testing.assert_close(projector.squared_residual(stacked).flatten(), alone, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(projector.project(stacked)[1, 2], projector.project(matrices[5]), rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(
    "groups",
    [["O(3)", "C∞v(z)", "SO(2)(z)"], ["SO(2)(x)", "O(3)", "SO(2)(y)", "SO(3)", "O_h", "identity"], ["O(2)(z)", "C∞v(z)"]],
)
def test_a_bank_gives_what_its_groups_give(groups):
    members = [parse_group(group) for group in groups]
    bank, matrices = (
        ProjectorBank(members, MIXED, FEATURES, bias=True),
        [random_map(f"{MIXED}+0e", FEATURES, s) for s in range(3)],
    )
    expected = [[Projector(group, MIXED, FEATURES, bias=True).squared_residual(m) for group in members] for m in matrices]
    torch.testing.assert_close(bank.residuals_of(matrices), torch.tensor(expected, dtype=torch.float64), rtol=EXACT, atol=EXACT)
    for index, group in enumerate(members):
        kept = Projector(group, MIXED, FEATURES, bias=True).project(matrices[0]).float()
        assert bank.squared_residuals(kept)[index] <= 1e-12 * kept.square().sum()


@pytest.mark.parametrize("group", ["SO(3)", "SO(2)(1,2,3)", "O_h"])
def test_gradients(group):
    projector = Projector(parse_group(group), "1x0e+2x1o", "1x1o+1x2e")
    matrix = random_map("1x0e+2x1o", "1x1o+1x2e").requires_grad_()
    for function in (projector.project, projector.residual, projector.squared_norm, projector.squared_residual):
        assert torch.autograd.gradcheck(function, matrix, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, matrix)
    (gradient,) = torch.autograd.grad(projector.squared_residual(matrix), matrix)
    torch.testing.assert_close(gradient, 2 * projector.residual(matrix), rtol=EXACT, atol=EXACT)


def test_compiles_as_one_graph():
    projector, matrix = Projector(parse_group("C∞v(z)"), FEATURES, FEATURES), random_map(FEATURES, FEATURES, dtype=torch.float32)
    for function in (projector.project, projector.squared_residual):
        expected = torch.autograd.functional.vjp(function, matrix, function(matrix))
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        found = torch.autograd.functional.vjp(compiled, matrix, function(matrix))
        torch.testing.assert_close(found, expected)


def test_e3nn_linear_maps_are_equivariant():
    from e3nn import o3

    irreps_in, irreps_out = "3x0e+2x1o+2x1e+1x2e+1x3o", "2x0e+3x1o+1x1e+2x2e+1x3o"
    torch.manual_seed(0)
    linear = o3.Linear(irreps_in, irreps_out).double()
    matrix = linear(torch.eye(linear.irreps_in.dim, dtype=torch.float64)).detach().T
    projector = Projector(parse_group("O(3)"), irreps_in, irreps_out)
    assert projector.squared_residual(matrix).sqrt() <= 1e-7 * matrix.norm()
    assert projector.dimension == linear.weight_numel


@settings(max_examples=10)
@given(irreps=irreps_strategy(), seed=st.integers(0, 99))
def test_representations_are_those_of_e3nn(irreps, seed):
    from e3nn import o3

    element = parse_group("O(3)").sample(np.random.default_rng(seed), 1)
    theirs = o3.Irreps(irreps).D_from_matrix(torch.from_numpy(element[0]))
    np.testing.assert_allclose(irreps_matrices(irreps, element)[0], theirs, atol=1e-5)
    lie = parse_group("SO(3)").generators()
    small = irreps_matrices(irreps, np.eye(3) + 1e-7 * lie[:1])[0] - np.eye(theirs.shape[0])
    np.testing.assert_allclose(small / 1e-7, irreps_generators(irreps, lie[:1])[0], atol=1e-5)


def test_norms():
    matrix = random_map(MIXED, FEATURES)
    assert frobenius(matrix).item() == pytest.approx(np.linalg.norm(matrix.numpy()))
    assert spectral(matrix).item() == pytest.approx(np.linalg.norm(matrix.numpy(), 2))
    covariance = matrix.T @ matrix
    root = torch.linalg.cholesky(covariance + 1e-9 * torch.eye(len(covariance), dtype=torch.float64))
    assert weighted(matrix, covariance).item() == pytest.approx((matrix @ root).square().sum().item(), rel=1e-6)
    zero = torch.zeros(3, 4, requires_grad=True)
    frobenius(zero).backward()
    assert not zero.grad.any()


def test_spatial_projector_of_a_finite_sum():
    """Circulant matrices are those that commute with the cyclic shifts."""
    shifts = torch.stack([torch.eye(5, dtype=torch.float64).roll(step, 0) for step in range(5)])
    projector, matrix = SpatialProjector(shifts, shifts), torch.randn(5, 5, dtype=torch.float64)
    kept = projector.project(matrix)
    torch.testing.assert_close(kept, kept.roll((1, 1), (0, 1)))
    torch.testing.assert_close(projector.project(kept), kept)
    assert (projector.squared_norm(matrix) + projector.squared_residual(matrix)).item() == pytest.approx(
        matrix.square().sum().item()
    )
    with pytest.raises(UsageError, match="one matrix in"):
        SpatialProjector(shifts, shifts[:3])


def test_what_is_refused():
    projector = Projector(parse_group("SO(3)"), "2x0e", "1x1o")
    with pytest.raises(UsageError, match=r"matrix \(3, 2\), found \(2, 3\)"):
        projector.project(torch.zeros(2, 3))
    for wrong in ("two vectors", "0x1o", ""):
        with pytest.raises(UsageError, match=r"not irreps|no components"):
            Projector(parse_group("SO(3)"), wrong, "1x1o")
    with pytest.raises(NumericalError, match="close to one another"):
        _ = Projector(_NearlyTrivial("C_4(z)"), "1x1o", "1x1o")


class _NearlyTrivial:
    def __init__(self, name):
        self.name = name

    def generators(self):
        return np.zeros((0, 3, 3))

    def discrete(self):
        turn = np.eye(3)
        turn[0, 1], turn[1, 0] = 1e-8, -1e-8
        return turn[None]
