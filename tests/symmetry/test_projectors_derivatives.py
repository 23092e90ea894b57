"""The forms of `_forms` have written-out derivatives: they are those of plain matrix products, under every transform of torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.symmetry._families import Families
from forecasting.symmetry._runs import runs_of
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Chain
from forecasting.testing.maps import irreps_strategy, random_map

EXACT = 1e-12
BEFORE, AFTER = "2x0e+3x1o+1x0e", "2x1o+1x0e+1x2e"
CHAINS = {"diagonal": ("O(3)",), "one axis": ("O(3)", "C∞v(z)"), "any axis": ("O(3)", "C∞v(1,2,3)", "SO(2)(1,2,3)")}


def plain(chain, before=BEFORE, after=AFTER):
    """(families, N, N) P_k as dense matrices, column by column."""
    rows, columns = chain.shape
    units = torch.eye(rows * columns, dtype=torch.float64).view(-1, rows, columns)
    return torch.stack([chain.component(units, family).flatten(1).T for family in range(chain.count)])


@pytest.fixture(params=CHAINS)
def chain(request):
    return Chain([parse_group(name) for name in CHAINS[request.param]], BEFORE, AFTER)


@pytest.fixture
def stack():
    return torch.stack([random_map(BEFORE, AFTER, seed) for seed in range(4)])


def test_norms_and_slopes_are_those_of_dense_projectors(chain, stack):
    dense, slopes = plain(chain), torch.rand(4, chain.count, dtype=torch.float64)
    flat = stack.flatten(1)
    expected = torch.einsum("kij,li,lj->lk", dense, flat, flat)
    torch.testing.assert_close(chain.squared_norms(stack), expected, rtol=EXACT, atol=EXACT)
    (found,) = torch.autograd.grad((chain.squared_norms(stack.requires_grad_()) * slopes).sum(), stack)
    wanted = 2 * torch.einsum("lk,kij,lj->li", slopes, dense, flat.detach()).view_as(stack)
    torch.testing.assert_close(found, wanted, rtol=EXACT, atol=EXACT)


def test_every_order_and_mode(chain):
    matrix, factors = random_map(BEFORE, AFTER).requires_grad_(), torch.rand(chain.count, dtype=torch.float64, requires_grad=True)
    for function, inputs in ((chain.squared_norms, (matrix,)), (chain.combine, (matrix, factors))):
        assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, inputs)
        rows = [torch.autograd.functional.jacobian(function, inputs, vectorize=mapped) for mapped in (False, True)]
        torch.testing.assert_close(*rows, rtol=EXACT, atol=EXACT)


def test_maps_over_matrices_and_over_factors(chain, stack):
    norms = chain.squared_norms(stack)
    for axis in (0, 1, 2):
        found = torch.func.vmap(chain.squared_norms, axis)(stack.movedim(0, axis).contiguous())
        torch.testing.assert_close(found, norms, rtol=EXACT, atol=EXACT)
    each = torch.func.vmap(torch.func.grad(lambda matrix: chain.squared_norms(matrix).square().sum()))(stack)
    whole = torch.func.grad(lambda matrices: chain.squared_norms(matrices).square().sum())(stack)
    torch.testing.assert_close(each, whole, rtol=EXACT, atol=EXACT)
    factors = torch.rand(5, chain.count, dtype=torch.float64)
    found = torch.func.vmap(chain.combine, (None, 0))(stack[0], factors)
    torch.testing.assert_close(found, torch.stack([chain.combine(stack[0], one) for one in factors]), rtol=EXACT, atol=EXACT)
    push = torch.func.jvp(lambda values: chain.combine(stack[0], values), (factors[0],), (factors[1],))[1]
    torch.testing.assert_close(push, found[1], rtol=EXACT, atol=EXACT)


def test_slices_and_transposes_are_read_where_they_stand(chain, stack):
    """A view that begins inside another tensor, or is not contiguous."""
    for view in (stack[2], stack[1:3], stack.mT.contiguous().mT, stack.flip(-1).flip(-1)[1::2]):
        again = view.clone(memory_format=torch.contiguous_format)
        assert torch.equal(chain.squared_norms(view), chain.squared_norms(again))
        assert torch.equal(chain.component(view, 1), chain.component(again, 1))


@settings(max_examples=15, deadline=None)
@given(before=irreps_strategy(2), after=irreps_strategy(2))
def test_compiled_code_has_the_same_numbers(before, after):
    """Without a compiler: only the way that it takes, by index."""
    chain, matrix = Chain([parse_group(name) for name in CHAINS["any axis"]], before, after), random_map(before, after)
    factors = torch.arange(1.0, chain.count + 1, dtype=torch.float64)
    expected = chain.squared_norms(matrix), chain.combine(matrix, factors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        found = chain.squared_norms(matrix), chain.combine(matrix, factors)
    torch.testing.assert_close(found, expected, rtol=EXACT, atol=EXACT)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), unique=True, min_size=1, max_size=12))
def test_runs_hold_their_components_in_order(components):
    runs = runs_of(components)
    found = [(run.start[0] + k * run.step[0], run.start[1] + k * run.step[1]) for run in runs for k in range(run.length)]
    assert found == components
    assert len(runs) <= len(components)


def test_components_that_stand_alone_are_not_mixed():
    eye = np.eye(4)
    mean = np.array([[0, 1, 1, 0]]).T / np.sqrt(2)
    families = Families.of([eye[:, :1], np.concatenate([mean, eye[:, 3:]], axis=1)])
    assert families.sizes == (1, 2)
    np.testing.assert_array_equal(families.alone, [[1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(families.mixed, [1, 2])
    np.testing.assert_allclose(np.abs(families.basis), [[0.5**0.5, 0.5**0.5]])
    np.testing.assert_array_equal(families.owner, [[0, 1]])
