"""Prices: zero where a group keeps the maps, equal to what they should be elsewhere, and one known tuning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models.base import build_model
from forecasting.models.relaxed import dialled, linear_layers
from forecasting.objectives.losses import mse
from forecasting.relaxation.activation import ActivationPrice
from forecasting.relaxation.base import Moment
from forecasting.relaxation.levels import Fixed, Learned, Triangle
from forecasting.relaxation.methods import RELAXATIONS, build_relaxation
from forecasting.relaxation.operators import LeaningPrice, PriorPrice, ProjectionPrice, tuned_strengths
from forecasting.relaxation.sampled import AnchoredPrice, SampledPrice, turned
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.transforms import rotation_about
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

SPEC = WindowSpec(2, (1, 2))


@pytest.fixture
def moment(tmp_path):
    """A step of a small relaxed EGNN in float64."""
    dataset = random_dataset(tmp_path / "data", scenes=4, velocity=True)
    windows = dataset.windows(SPEC, dataset.anchors(SPEC))
    builder = GraphBuilder(schema_of(dataset.manifest, SPEC, Complete()), Complete(), Normalization.fit(windows), torch.float64)
    torch.manual_seed(0)
    model = build_model("egnn", builder.schema, {"hidden": 6, "layers": 2, "chain": ["O(3)"]}).double()
    batch = builder.build(windows)
    dim = builder.schema.dim
    return Moment(model, batch, builder.schema, model(batch), lambda forecast, part: mse(forecast, part, dim), 0.0)


def keep(model, group):
    """Project every map onto what a group keeps."""
    for layer in linear_layers(model).values():
        projector = Projector(parse_group(group), layer.irreps_in, layer.irreps_out, bias=True)
        layer.matrix.data = projector.project(layer.matrix.data)


def again(moment):
    return replace(moment, forecast=moment.model(moment.batch))


PRICES = {
    "activation": (ActivationPrice, "SO(3)"),
    "projection": (lambda: ProjectionPrice("C∞v(z)", keep=0.0, leave=1.0), "C∞v(z)"),
    "leaning": (lambda: LeaningPrice(("O(3)", "SO(2)(z)"), strength=1.0), "SO(2)(z)"),
    "prior": (PriorPrice, "O(3)"),
    "sampled": (lambda: SampledPrice(group="C∞v(y)"), "C∞v(y)"),
}


@pytest.mark.parametrize("name", PRICES)
def test_what_a_group_keeps_costs_nothing(moment, name):
    make, group = PRICES[name]
    price = make()
    price.attach(moment.model)
    before = float(price(again(moment)))
    keep(moment.model, group)
    after = float(price(again(moment)))
    assert before > 1e-6
    assert after < 1e-5 * before


def test_norms_of_the_projection_price(moment):
    layers = list(linear_layers(moment.model).values())
    expected = {"squared": 0.0, "frobenius": 0.0, "spectral": 0.0}
    for layer in layers:
        projector = Projector(parse_group("SO(2)(z)"), layer.irreps_in, layer.irreps_out, bias=True)
        matrix = layer.effective()
        for part, weight in ((projector.project(matrix), 0.3), (projector.residual(matrix), 0.7)):
            expected["squared"] += weight * float(part.square().sum())
            expected["frobenius"] += weight * float(part.norm())
            expected["spectral"] += weight * float(torch.linalg.matrix_norm(part, ord=2))
    for norm, value in expected.items():
        price = ProjectionPrice("SO(2)(z)", 0.3, 0.7, norm)
        price.attach(moment.model)
        assert float(price(moment)) == pytest.approx(value, rel=1e-9)
    with pytest.raises(UsageError, match="unknown norm 'nuclear'"):
        ProjectionPrice(norm="nuclear")


@pytest.mark.parametrize("chain", [["O(3)"], ["SO(2)(z)"], ["O(3)", "C∞v(z)"]])
@pytest.mark.parametrize("group", ["O(3)", "SO(2)(z)", "C∞v(z)", "identity"])
def test_both_parts_are_those_of_the_effective_maps(moment, chain, group):
    """In one pass over the free matrices where a map has one level and its group holds G, else from the maps themselves."""
    for index, layer in enumerate(linear_layers(moment.model).values()):
        layer.split_along(chain)
        layer.dial.fill_(0.5)
        layer.gamma.data.fill_(1.0 + index)
    expected = 0.0
    for layer in linear_layers(moment.model).values():
        projector = Projector(parse_group(group), layer.irreps_in, layer.irreps_out, bias=True)
        expected += float(projector.squared_norms(layer.effective()) @ torch.tensor([0.3, 0.7], dtype=torch.float64))
    price = ProjectionPrice(group, 0.3, 0.7)
    price.attach(moment.model)
    assert float(price(moment)) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_strengths_are_tuned_by_hand():
    strengths = torch.tensor([0.0, 2.0, 2.0, 2.0])
    residuals = torch.tensor([9.0, 1.0, 2.0, 4.0])
    torch.testing.assert_close(tuned_strengths(strengths, residuals, 2.0), torch.tensor([0.0, 2.0, 0.5, 0.125]))


def test_strengths_are_tuned_once_by_the_least_residual_of_each_group(moment):
    price = LeaningPrice(("O(3)", "C∞v(x)", "C∞v(z)"), strength=1.0, tune_at=0.5, window=0.2, normalized=False)
    price.attach(moment.model)
    seen = []
    for progress in (0.1, 0.35, 0.45, 0.55, 0.6, 0.9):
        price.after_step(moment.model, progress)
        if 0.3 <= progress <= 0.55:
            seen.append(price.residuals(moment.model).detach())
        if progress < 0.5:
            assert price.strengths.tolist() == [0.0, 1.0, 1.0]
        with torch.no_grad():
            for layer in linear_layers(moment.model).values():
                layer.matrix.mul_(0.9 + 0.2 * torch.rand_like(layer.matrix))
        if progress == 0.55:
            tuned = price.strengths.clone()
    least = torch.stack(seen).min(0).values.float()
    torch.testing.assert_close(tuned, tuned_strengths(torch.tensor([0.0, 1.0, 1.0]), least, 2.0))
    assert torch.equal(price.strengths, tuned)


def test_codimensions_normalise_what_groups_forbid(moment):
    price = LeaningPrice(("O(3)", "inversion"), normalized=True)
    price.attach(moment.model)
    found = price.shares.tolist()
    assert 0 < found[1] < found[0] < 1


def test_the_anchored_price_is_the_loss_of_the_turned_truth(moment):
    torch.manual_seed(3)
    price = float(AnchoredPrice(strength=2.0, group="SO(2)(z)")(moment))
    with dialled(moment.model, 0.0):  # the strict network turns along, so that its loss is the same
        strict = again(moment)
        torch.manual_seed(3)
        found = float(AnchoredPrice(strength=2.0, group="SO(2)(z)")(strict))
        assert found == pytest.approx(2 * float(strict.loss(strict.forecast, strict.batch)), rel=1e-9)
    assert price != pytest.approx(found, rel=1e-6)


def test_turned_batches_turn_every_field(moment):
    matrix = rotation_about(np.array([0.0, 0.0, 1.0]), 1.0)
    moved = turned(moment.batch, moment.schema, matrix)
    there = torch.from_numpy(matrix)
    torch.testing.assert_close(moved.target, moment.batch.target @ there.T)
    torch.testing.assert_close(moved.heading, moment.batch.heading @ there.T)
    torch.testing.assert_close(moved.charge, moment.batch.charge)
    assert torch.equal(moved.edge_index, moment.batch.edge_index)


@pytest.mark.parametrize(("progress", "dial"), [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0)])
def test_the_triangle(progress, dial):
    assert Triangle().dial(progress) == pytest.approx(dial)
    assert Triangle().deployed == 0.0


def test_fixed_and_learned_levels():
    assert (Fixed().dial(0.3), Fixed().learns, Fixed().deployed) == (1.0, False, 1.0)
    assert (Learned().learns, Learned().deployed, Learned(strict=True).deployed) == (True, 1.0, 0.0)


@pytest.mark.parametrize("name", sorted(set(RELAXATIONS.names()) - {"strict"}))
def test_a_model_with_nothing_to_relax_is_refused(moment, name):
    model = build_model("mlp", moment.schema, {})
    with pytest.raises(UsageError, match=r"nothing to relax|has none|no parts"):
        build_relaxation(name, {}).attach(model)


def test_unknown_methods_and_arguments_are_named():
    with pytest.raises(UsageError, match="unknown relaxation 'mixd'; did you mean 'mixed'"):
        build_relaxation("mixd", {})
    with pytest.raises(UsageError, match="relaxation 'per' has no argument 'powr'; did you mean 'power'"):
        build_relaxation("per", {"powr": 3})
    with pytest.raises(UsageError, match="lean_at"):
        build_relaxation("mixed", {"lean_at": 0.9, "refit_at": 0.5})
