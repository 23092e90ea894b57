import numpy as np
import pytest
import torch

from forecasting.errors import NumericalError, UsageError
from forecasting.symmetry._representations import irreps_generators
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.residual import (
    BatchFields,
    Residual,
    Typed,
    TypedFields,
    equivariance_error,
    equivariance_steps,
    lie_derivative,
    with_fields,
)
from forecasting.testing.maps import SOME_GROUPS, random_map

MIXED = "2x0e+1x0o+2x1o+1x1e+1x2e"
VECTOR = Typed("1o")


def error(function, inputs, fields, output, group, samples=16, seed=0):
    return equivariance_error(function, inputs, fields.act, output, parse_group(group), samples, np.random.default_rng(seed))


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("group", SOME_GROUPS)
def test_projected_linear_maps_have_no_error(group):
    matrix = random_map(MIXED, MIXED)
    kept, fields = Projector(parse_group(group), MIXED, MIXED).project(matrix), TypedFields({"x": MIXED})
    inputs = {"x": normal(7, len(kept))}
    assert error(lambda values: values["x"] @ kept.T, inputs, fields, Typed(MIXED), group).value < 1e-13
    if len(parse_group(group).generators()):
        found = lie_derivative(lambda values: values["x"] @ kept.T, inputs, fields, Typed(MIXED), parse_group(group))
        assert found.value < 1e-13
        assert found.rotations.shape == (len(parse_group(group).generators()),)


@pytest.mark.parametrize("group", ["SO(3)", "C∞v(z)", "O_h"])
def test_the_error_of_a_linear_map_is_its_residual(group):
    """Mean of |f(g x) − g f(x)|² = 2 |M − P M|² for white inputs, here the unit vectors."""
    matrix = random_map(MIXED, MIXED)
    unit = torch.eye(len(matrix), dtype=torch.float64)
    found = error(lambda v: v["x"] @ matrix.T, {"x": unit}, TypedFields({"x": MIXED}), Typed(MIXED), group, 2000)
    expected = (2 * Projector(parse_group(group), MIXED, MIXED).squared_residual(matrix)).sqrt() / matrix.norm()
    assert found.low < expected.item() < found.high
    assert found.high - found.low < 0.03 * found.value
    assert found.samples.shape == (2000,)


def test_in_steps_it_is_the_same_and_gradients_stay_on_between():
    matrix, fields, group = random_map(MIXED, MIXED), TypedFields({"x": MIXED}), parse_group("SO(3)")
    inputs, found, ended = {"x": normal(7, len(matrix))}, [], []

    def function(values):
        found.append(torch.is_grad_enabled())
        return values["x"] @ matrix.T

    steps = equivariance_steps(function, inputs, fields.act, Typed(MIXED), group, 16, np.random.default_rng(0))

    def to_the_end():
        ended.append((yield from steps))

    for _ in to_the_end():
        assert torch.is_grad_enabled()
    assert found == [False] * 17
    plain = error(function, inputs, fields, Typed(MIXED), "SO(3)")
    np.testing.assert_array_equal(ended[0].samples, plain.samples)
    assert (ended[0].low, ended[0].high) == (plain.low, plain.high)


def test_lie_derivative_of_a_linear_map():
    matrix, lie = random_map(MIXED, MIXED), parse_group("SO(3)").generators()
    unit, acts = torch.eye(len(matrix), dtype=torch.float64), torch.from_numpy(irreps_generators(MIXED, lie))
    found = lie_derivative(
        lambda values: values["x"] @ matrix.T, {"x": unit}, TypedFields({"x": MIXED}), Typed(MIXED), parse_group("SO(3)")
    )
    expected = (acts @ matrix - matrix @ acts).square().sum((1, 2)).sqrt() / matrix.norm()
    np.testing.assert_allclose(found.rotations, expected, rtol=1e-12)
    assert found.value == pytest.approx(expected.norm().item(), rel=1e-12)


def central(values):
    """An E(3)-equivariant force on points that carry a charge and a velocity."""
    position, velocity = values["position"], values["velocity"]
    apart = position[:, None] - position[None]
    return (apart * values["charge"] * (-apart.square().sum(-1, keepdim=True)).exp()).sum(1) + velocity


POINTS = TypedFields({"position": "1o", "velocity": "1o", "charge": "0e"}, {"position"})


def points():
    return {"position": normal(6, 3), "velocity": normal(6, 3, seed=1), "charge": normal(6, 1, seed=2), "kind": torch.arange(6)}


@pytest.mark.parametrize(
    ("change", "kept", "broken"),
    [
        (lambda values: 0, ("E(3)", "T(3)", "O_h"), ()),
        (lambda values: torch.tensor([0.0, 0.0, 1.0]), ("C∞v(z)", "T(3)", "C_4(z)"), ("O(3)", "inversion", "SO(2)(x)")),
        (lambda values: torch.linalg.cross(values["position"], values["velocity"]), ("SO(3)", "O"), ("inversion", "T(3)")),
        (lambda values: values["position"], ("O(3)",), ("T(3)", "T(2)", "SE(3)")),
        (lambda values: values["position"][:, 2:] * torch.tensor([0.0, 0.0, 1.0]), ("T(2)", "D∞h(z)"), ("T(3)", "SO(3)")),
        (lambda values: values["velocity"] ** 3, ("O_h", "T(3)"), ("SO(3)",)),
        (
            lambda values: torch.linalg.cross(
                values["velocity"], torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand(6, 3)
            ),
            ("C∞h(z)",),
            ("C∞v(z)", "D∞(z)"),
        ),
    ],
    ids=["force", "gravity", "cross", "origin", "well", "cube", "magnet"],
)
def test_which_symmetry_a_function_has(change, kept, broken):
    def function(values):
        return central(values) + change(values)

    for group in (*kept, *broken):
        found = error(function, points(), POINTS, VECTOR, group)
        continuous = len(parse_group(group).generators()) + len(parse_group(group).shifts()) > 0
        lie = lie_derivative(function, points(), POINTS, VECTOR, parse_group(group)).value if continuous else found.value
        if group in kept:
            assert max(found.value, found.high, lie) < 1e-12
        else:
            assert min(found.value, found.low) > 1e-2
            assert lie > 1e-2 or parse_group(group).discrete().any()


def test_positions_as_output():
    """Where translations act on the output, adding them is right and leaving them out is wrong; the origin does not matter."""
    moved, still = Typed("1o", translates=True), VECTOR
    step = lambda values: values["position"] + 0.1 * central(values)  # noqa: E731
    far = {**points(), "position": points()["position"] + 1e3}
    assert error(step, points(), POINTS, moved, "E(3)").value < 1e-12
    assert error(step, points(), POINTS, still, "T(3)").value > 0.1
    assert lie_derivative(step, points(), POINTS, moved, parse_group("E(3)")).value < 1e-12
    lopsided = lambda values: step(values) * torch.tensor([1.0, 1.0, 1.01])  # noqa: E731
    near = error(lopsided, points(), POINTS, moved, "T(3)").value
    assert error(lopsided, far, POINTS, moved, "T(3)").value == pytest.approx(near, rel=1e-9)


def test_finite_differences_agree():
    def function(values):
        return torch.tanh(values["position"]) + values["velocity"] ** 2

    group, step = parse_group("SE(3)"), 1e-6
    found = lie_derivative(function, points(), POINTS, VECTOR, group)
    plain = function(points())
    for generator, value in zip(group.generators(), found.rotations, strict=True):
        turn = torch.linalg.matrix_exp(torch.from_numpy(step * generator)).numpy()
        moved = function(POINTS.act(points(), turn, np.zeros(3)))
        slope = (moved - VECTOR.act(plain, turn, np.zeros(3))).norm() / step / plain.norm()
        assert value == pytest.approx(slope.item(), rel=1e-4)
    for shift, value in zip(group.shifts(), found.shifts, strict=True):
        slope = (function(POINTS.act(points(), np.eye(3), step * shift)) - plain).norm() / step / plain.norm()
        assert value == pytest.approx(slope.item(), rel=1e-4)


def test_e3nn_finds_the_same():
    """`e3nn.util.test.equivariance_error` sees no error in what has none, and the same largest one where there is one."""
    from e3nn import o3
    from e3nn.util.test import equivariance_error as theirs

    torch.manual_seed(0)
    product = o3.FullyConnectedTensorProduct("2x0e+2x1o", "1x0e+1x1o", "2x0e+2x1o+1x1e").double()
    x, y = normal(9, 8), normal(9, 4, seed=1)
    fields = TypedFields({"x": "2x0e+2x1o", "y": "1x0e+1x1o"})
    for change in (0.0, 0.1):

        def function(x, y, change=change):
            return product(x, y) + change * torch.tensor([0.0] * 2 + [0.0, 0.0, 1.0] * 3)

        found = error(
            lambda values, f=function: f(values["x"], values["y"]), {"x": x, "y": y}, fields, Typed("2x0e+2x1o+1x1e"), "O(3)"
        )
        oracle = theirs(function, [x, y], [fields.irreps["x"], fields.irreps["y"]], ["2x0e+2x1o+1x1e"], ntrials=16)
        worst = max(float(value.max()) for value in oracle.values())
        assert (found.value < 1e-6) == (worst < 1e-6) == (change == 0)
        if change:
            shift = function(x, y) - product(x, y)
            expected = 2**0.5 * (shift.norm() / function(x, y).norm()).item()
            assert found.value == pytest.approx(expected, rel=0.35)
            assert 0.2 < worst / change < 2.01


def test_graph_batches(tmp_path):
    """A model in this project by the registry of graph fields: no error where it has the symmetry, some where it has not."""
    from forecasting.graphs.build import GraphBuilder, schema_of
    from forecasting.graphs.topology import Complete
    from forecasting.models import build_model
    from forecasting.testing.scenes import random_dataset
    from forecasting.trajectories.normalization import Normalization
    from forecasting.trajectories.windows import WindowSpec

    spec, data = WindowSpec(3, (1, 2)), random_dataset(tmp_path / "data")
    windows = data.windows(spec, data.anchors(spec))
    schema = schema_of(data.manifest, spec, Complete())
    batch = GraphBuilder(schema, Complete(), Normalization.fit(windows), torch.float64).build(windows)
    fields, before = BatchFields.of(schema.specs), batch["position"].clone()
    for name, equivariant in (("egnn", True), ("gnn", False)):
        torch.manual_seed(0)
        model = build_model(name, schema, {"hidden": 8}).double().eval()
        with torch.no_grad():
            for value in model.parameters():
                value.add_(0.1 * torch.randn_like(value))
        group = parse_group("E(3)")
        found = equivariance_error(
            lambda moved, m=model: m(moved)[0], batch, fields.act, VECTOR, group, 4, np.random.default_rng(0)
        )
        lie = lie_derivative(
            lambda values, m=model: m(with_fields(batch, values))[0], fields.values(batch), fields.fields, VECTOR, group
        )
        assert (max(found.value, lie.value) < 1e-10) == equivariant
        assert (min(found.value, lie.value) > 1e-3) == (not equivariant)
    assert torch.equal(batch["position"], before)


def test_float32():
    inputs = {name: value.float() if value.is_floating_point() else value for name, value in points().items()}
    assert error(central, inputs, POINTS, VECTOR, "E(3)").value < 3e-6


def test_draws_are_reproducible_and_can_be_pooled():
    function = lambda values: values["velocity"] ** 3  # noqa: E731
    one, same, other = (error(function, points(), POINTS, VECTOR, "SO(3)", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.samples, same.samples)
    assert (one.value, one.low, one.high) == (same.value, same.low, same.high)
    pooled = Residual.of(np.concatenate([one.samples, other.samples]), np.random.default_rng(0))
    assert pooled.value**2 == pytest.approx((one.value**2 + other.value**2) / 2)
    assert pooled.low <= pooled.value <= pooled.high


def test_what_is_refused():
    rng, so3 = np.random.default_rng(0), parse_group("SO(3)")
    with pytest.raises(UsageError, match="at least 2"):
        equivariance_error(central, points(), POINTS.act, VECTOR, so3, 1, rng)
    with pytest.raises(UsageError, match="finite"):
        lie_derivative(central, points(), POINTS, VECTOR, parse_group("O_h"))
    with pytest.raises(UsageError, match="not on '2e'"):
        Typed("2e", translates=True)
    with pytest.raises(UsageError, match="did you mean 'position'"):
        TypedFields({"position": "1o"}, {"positions"})
    with pytest.raises(UsageError, match="no input 'velocities'"):
        error(central, points(), TypedFields({"velocities": "1o"}), VECTOR, "SO(3)")
    with pytest.raises(UsageError, match="does not hold the irreps"):
        error(central, points(), TypedFields({"velocity": "2e"}), VECTOR, "SO(3)")
    with pytest.raises(NumericalError, match="not finite"):
        error(lambda values: values["velocity"] / 0, points(), POINTS, VECTOR, "SO(3)")
    corner = {"velocity": torch.tensor([[1.0, 0.0, 0.0]])}
    with pytest.raises(NumericalError, match="output is zero"):
        error(
            lambda values: values["velocity"] * torch.tensor([0.0, 1.0, 1.0]),
            corner,
            TypedFields({"velocity": "1o"}),
            VECTOR,
            "O",
        )
    nothing = error(lambda values: 0 * values["velocity"], points(), POINTS, VECTOR, "O(3)")
    assert (nothing.value, nothing.high) == (0, 0)
