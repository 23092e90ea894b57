import numpy as np
import pytest
import torch
from hypothesis import given, settings

from forecasting.errors import UsageError
from forecasting.symmetry._representations import irreps_generators
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Chain, Projector, RankSpectrum
from forecasting.testing.maps import irreps_strategy, random_map

EXACT = 1e-12
MIXED, FEATURES = "2x0e+1x0o+2x1o+1x1e+1x2e", "3x0e+3x1o+1x2e+1x3o"
CHAINS = (
    ("O(3)", "SO(3)"),
    ("O(3)", "C∞v(0.1,0.2,0.97)", "SO(2)(0.1,0.2,0.97)"),
    ("E(3)", "O_h", "O", "C_4(x)", "identity"),
    ("D∞h(y)", "C∞h(y)", "inversion"),
    ("SO(2)(z)",),
)


def make(names, irreps_in=MIXED, irreps_out=FEATURES, **kind):
    return Chain([parse_group(name) for name in names], irreps_in, irreps_out, **kind)


@pytest.mark.parametrize("names", CHAINS)
@settings(max_examples=8)
@given(irreps_in=irreps_strategy(3), irreps_out=irreps_strategy(3))
def test_components_are_orthogonal_and_complete(names, irreps_in, irreps_out):
    chain, matrix = make(names, irreps_in, irreps_out), random_map(irreps_in, irreps_out)
    parts, size = chain.components(matrix), matrix.norm()
    assert len(parts) == len(chain.names) == chain.count
    assert chain.names[-1] == "identity"
    assert (sum(parts) - matrix).norm() <= EXACT * size
    inner = torch.tensor([[(a * b).sum() for b in parts] for a in parts])
    norms = chain.squared_norms(matrix)
    torch.testing.assert_close(inner, torch.diag(norms), rtol=0, atol=EXACT * size.item() ** 2)
    assert norms.sum().item() == pytest.approx(size.item() ** 2, rel=EXACT)
    kept = torch.zeros_like(matrix)
    for name, part in zip(chain.names, parts, strict=True):
        kept = kept + part
        assert (Projector(parse_group(name), irreps_in, irreps_out).project(matrix) - kept).norm() <= EXACT * size


def test_effective_map():
    chain, matrix = make(("O(3)", "C∞v(z)", "SO(2)(z)")), random_map(MIXED, FEATURES).requires_grad_()
    gammas = torch.tensor([0.5, -2.0, 0.0], dtype=torch.float64, requires_grad=True)
    parts = chain.components(matrix)
    expected = parts[0] + 0.5 * parts[1] - 2 * parts[2]
    torch.testing.assert_close(chain.effective(matrix, gammas), expected, rtol=EXACT, atol=EXACT)
    assert torch.autograd.gradcheck(chain.effective, (matrix, gammas))
    strict = Projector(parse_group("O(3)"), MIXED, FEATURES).project(matrix)
    torch.testing.assert_close(chain.effective(matrix, torch.zeros_like(gammas)), strict, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(chain.effective(matrix, torch.ones_like(gammas)), matrix, rtol=EXACT, atol=EXACT)


def test_small_components_keep_their_digits_in_float32():
    chain, matrix = make(("O(3)", "C∞v(z)")), random_map(MIXED, FEATURES)
    first, second, _ = chain.components(matrix)
    found = chain.squared_norms((first + 1e-4 * second).float())
    assert found[1].item() == pytest.approx(1e-8 * second.square().sum().item(), rel=1e-2)
    assert found[2] <= 1e-13 * first.square().sum()


def test_bias_column():
    chain = make(("O(3)", "C∞v(z)"), bias=True)
    assert chain.shape == (random_map(MIXED, FEATURES).shape[0], random_map(MIXED, FEATURES).shape[1] + 1)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        *[((), "at least one"), (("SO(3)", "O(3)"), r"SO\(3\) does not hold O\(3\)"), (("O(2)(x)", "C∞v(x)"), "same group")],
        *[(("O(3)", "SO(2)(x)", "SO(2)(y)"), "does not hold"), (("C∞v(z)", "inversion"), "does not hold")],
    ],
)
def test_what_is_no_chain(names, says):
    with pytest.raises(UsageError, match=says):
        make(names)


@settings(max_examples=10)
@given(irreps_in=irreps_strategy(), irreps_out=irreps_strategy())
def test_lie_penalty_is_the_spectrum_weighted_by_the_casimir(irreps_in, irreps_out):
    """Σ_a |X'_a W − W X_a|² = Σ_L L(L+1) |W_L|², and |W − P_SO(3) W|² = Σ_{L≥1} |W_L|²."""
    matrix, lie = random_map(irreps_in, irreps_out), parse_group("SO(3)").generators()
    before, after = (torch.from_numpy(irreps_generators(irreps, lie)) for irreps in (irreps_in, irreps_out))
    spectrum = RankSpectrum(irreps_in, irreps_out)(matrix)
    size = matrix.square().sum().item()
    casimir = sum(rank * (rank + 1) * part.item() for (rank, _), part in spectrum.items())
    assert (after @ matrix - matrix @ before).square().sum().item() == pytest.approx(casimir, rel=EXACT, abs=EXACT)
    assert sum(part.item() for part in spectrum.values()) == pytest.approx(size, rel=EXACT)
    broken = sum(part.item() for (rank, _), part in spectrum.items() if rank)
    rotations = Projector(parse_group("SO(3)"), irreps_in, irreps_out)
    assert rotations.squared_residual(matrix).item() == pytest.approx(broken, rel=EXACT, abs=EXACT)
    everything = Projector(parse_group("O(3)"), irreps_in, irreps_out)
    assert everything.squared_norm(matrix).item() == pytest.approx(spectrum.get((0, 1), torch.zeros(())).item(), abs=EXACT)


def test_spectrum_names_what_breaks_the_symmetry():
    """A constant force is (1, −), a magnetic field (1, +), a line (2, +)."""
    direction = np.array([0.3, -0.5, 0.8])
    field = torch.from_numpy(np.cross(np.eye(3), direction))
    line = torch.from_numpy(np.outer(direction, direction) - np.eye(3) * (direction @ direction) / 3)
    gravity = torch.from_numpy(direction[:, None])
    for irreps_in, matrix, label in (("1x0e", gravity, (1, -1)), ("1x1o", field, (1, 1)), ("1x1o", line, (2, 1))):
        spectrum = RankSpectrum(irreps_in, "1x1o")(matrix)
        assert spectrum[label].item() == pytest.approx(matrix.square().sum().item())
        assert list(spectrum) == sorted(spectrum)
