"""Mixed symmetries and places: the translations are let go, and taken back where the data do not need them."""

import numpy as np
import pytest
import torch

from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models.relaxed import linear_layers, place_layers, split_layers
from forecasting.relaxation.methods import build_relaxation
from forecasting.relaxation.mixed import LEAN, REFIT, SEARCH
from forecasting.symmetry.residual import BatchFields
from forecasting.testing.runs import SMALLEST
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

N = np.array([1.0, 2.0, 2.0]) / 3
FAR = np.array([4.0, -3.0, 5.0])
READS = {"nothing": np.zeros((3, 3)), "along": np.outer(N, N), "across": np.eye(3) - np.outer(N, N), "all": np.eye(3)}
"""What may be read of a place, in the order in which `translated` counts."""


@pytest.fixture
def graphs(tmp_path):
    def make(dim=3):
        dataset = random_dataset(tmp_path / "data", scenes=3, dim=dim)
        spec, topology = WindowSpec(2, (1, 2)), Complete()
        windows = dataset.windows(spec, dataset.anchors(spec))
        schema = schema_of(dataset.manifest, spec, topology)
        return schema, GraphBuilder(schema, topology, Normalization.fit(windows), torch.float64).build(windows)

    return make


def start(schema, name="egnn", **arguments):
    """A network and the method, as a run has them before its first step; what breaks the rotations keeps N."""
    torch.manual_seed(1)
    relaxation = build_relaxation("mixed", arguments)
    chain = list(relaxation.chain_for(schema.dim))
    model = build_model(name, schema, {**SMALLEST[name], "chain": chain}).double().eval()
    n = torch.from_numpy(N if schema.dim == 3 else np.array([0.6, 0.8, 0.0]))
    with torch.no_grad():
        for layer in linear_layers(model).values():
            layer.matrix.zero_()
        layer.matrix[-3:, -1] = n
        for place in place_layers(model).values():
            place.matrix[-3:] = torch.outer(n, n)
    relaxation.attach(model)
    return model, relaxation


def reading(model):
    (across,) = {tuple(layer.across.flatten().tolist()) for layer in place_layers(model).values()}
    return np.array(across).reshape(3, 3)


def needing(model, needed):
    """Validation of data that need to read `needed` of places: 1 for a network that does, 2 for one that does not."""

    def validate():
        seen = reading(model)
        return 1.0 if np.allclose(seen @ needed, needed, atol=1e-6) else 2.0

    return validate


def forecast(model, batch):
    with torch.no_grad():
        return model(batch).displacement


def shifted(model, batch, offset):
    return BatchFields.of(model.schema.specs).act(batch, np.eye(3), np.asarray(offset))


@pytest.mark.parametrize(
    ("dim", "arguments", "chain"),
    [
        (3, {}, ("translations", "O(3)", "SO(3)")),
        (2, {}, ("translations", "C∞v(z)", "SO(2)(z)")),
        (3, {"chain": ["O(3)", "C_4(z)"]}, ("translations", "O(3)", "C_4(z)")),
        (3, {"chain": ["translations", "O(3)"]}, ("translations", "O(3)")),
        (3, {"translation": False}, ("O(3)", "SO(3)")),
        (2, {"translation": False}, ("C∞v(z)", "SO(2)(z)")),
        (3, {"chain": ["translations", "O(3)"], "translation": False}, ("O(3)",)),
    ],
)
def test_chains_begin_with_the_translations_unless_they_are_kept(dim, arguments, chain):
    assert build_relaxation("mixed", arguments).chain_for(dim) == chain


@pytest.mark.parametrize("name", SMALLEST)
def test_without_translation_no_network_knows_places(graphs, name):
    schema, batch = graphs()
    model, relaxation = start(schema, name, translation=False)
    assert model.place is None
    assert not place_layers(model)
    relaxation.before_step(model, 0.5, lambda: 1.0)
    relaxation.before_step(model, 0.8, lambda: 1.0)
    assert int(relaxation.stage) == REFIT
    assert int(relaxation.translated) == 0
    assert "translations" not in relaxation.final_chain()
    assert torch.equal(forecast(model, shifted(model, batch, FAR)), forecast(model, batch))


@pytest.mark.parametrize("needed", READS)
def test_places_are_dropped_as_far_as_validation_does_not_need_them(graphs, needed):
    schema, batch = graphs()
    model, relaxation = start(schema)
    validate = needing(model, READS[needed])
    assert not relaxation.before_step(model, 0.1, validate)
    assert int(relaxation.stage) == SEARCH
    assert relaxation.before_step(model, 0.5, validate)
    assert int(relaxation.stage) == LEAN
    np.testing.assert_allclose(np.abs(relaxation.axis.numpy() @ N), 1, atol=1e-6)
    np.testing.assert_allclose(reading(model), np.eye(3))
    assert relaxation.before_step(model, 0.75, validate)
    assert int(relaxation.stage) == REFIT
    assert int(relaxation.translated) == list(READS).index(needed)
    assert relaxation.trace(model)["translated"] == list(READS).index(needed)
    np.testing.assert_allclose(reading(model), READS[needed], atol=1e-6)
    assert not relaxation.before_step(model, 0.9, validate)
    assert torch.equal(forecast(model, shifted(model, batch, FAR)), forecast(model, batch)) == (needed == "nothing")


def test_the_tolerance_decides(graphs):
    schema, _ = graphs()
    for tolerance, translated in ((1.5, 3), (2.5, 0)):
        model, relaxation = start(schema, tolerance=tolerance)
        relaxation.before_step(model, 0.8, needing(model, READS["all"]))
        assert int(relaxation.translated) == translated


def test_places_that_are_dropped_stay_dropped(graphs):
    """What was blinded gets no gradient along what it does not read, so that it never comes back."""
    schema, batch = graphs()
    model, relaxation = start(schema)
    relaxation.before_step(model, 0.8, needing(model, READS["along"]))
    relaxation.levels.learns = False
    optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        model(batch).displacement.square().mean().backward()
        optimizer.step()
    across = np.array([2.0, -1.0, 0.0])
    plain = forecast(model, batch)
    torch.testing.assert_close(forecast(model, shifted(model, batch, across)), plain, rtol=0, atol=1e-6)
    assert (forecast(model, shifted(model, batch, 4 * N)) - plain).abs().max() > 1e-3


def test_in_the_plane_there_is_all_or_nothing(graphs):
    schema, _ = graphs(dim=2)
    for needed, translated in (("nothing", 0), ("all", 1)):
        model, relaxation = start(schema)
        relaxation.before_step(model, 0.5, needing(model, READS[needed]))
        relaxation.before_step(model, 0.8, needing(model, READS[needed]))
        assert int(relaxation.translated) == translated
        np.testing.assert_allclose(reading(model), READS[needed])


def test_places_have_levels_and_duals_of_their_own(graphs):
    schema, _ = graphs()
    model, relaxation = start(schema)
    traced = relaxation.trace(model)
    for name in place_layers(model):
        assert any(key.startswith(f"c/{name}") for key in traced), sorted(traced)
        assert any(key.startswith(f"dual/{name}") for key in traced), sorted(traced)
    before = {key: value.clone() for key, value in relaxation.state_dict().items()}
    for _ in range(3):
        relaxation.after_step(model, 0.2)
    moved = {key for key, value in relaxation.state_dict().items() if not torch.equal(value, before[key])}
    assert moved


@pytest.mark.parametrize("needed", READS)
def test_a_run_that_goes_on_has_its_places_as_they_were(graphs, needed):
    schema, batch = graphs()
    model, relaxation = start(schema)
    relaxation.before_step(model, 0.5, needing(model, READS[needed]))
    relaxation.before_step(model, 0.8, needing(model, READS[needed]))
    again, resumed = start(schema)
    again.load_state_dict(model.state_dict())
    resumed.load_state_dict(relaxation.state_dict())
    resumed.follow(again)
    assert int(resumed.translated) == list(READS).index(needed)
    assert resumed.trace(again) == relaxation.trace(model)
    assert resumed.final_chain() == relaxation.final_chain()
    assert resumed.final_chain()[0] == "translations"
    np.testing.assert_array_equal(reading(again), reading(model))
    assert torch.equal(forecast(again, batch), forecast(model, batch))
    for layer, same in zip(split_layers(model).values(), split_layers(again).values(), strict=True):
        assert layer.chain.names == same.chain.names
    assert not resumed.before_step(again, 0.85, lambda: 1.0)


def test_the_duals_are_told_map_by_map(graphs):
    schema, _ = graphs()
    model, relaxation = start(schema)
    counts = {name: len(layer.gammas) for name, layer in split_layers(model).items()}
    duals = relaxation.get_submodule("prices")[0].duals
    duals.copy_(torch.arange(1.0, len(duals) + 1))
    told = relaxation.duals(model)
    assert {name: len(each) for name, each in told.items()} == counts
    assert sum(told.values(), []) == duals.tolist()
    assert build_relaxation("strict", {}).duals(model) == {}
