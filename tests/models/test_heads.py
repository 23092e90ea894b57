"""Heads keep every law of the networks they end, and start from what they should."""

import pytest
import torch

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.models.heads import MOST, build_head
from forecasting.testing import models
from forecasting.testing.runs import SMALLEST
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

HEADS = {"hypotheses": {"name": "hypotheses", "count": 3}, "scale": {"name": "scale"}}
SMALL = {"hidden": 6, "layers": 2}
EQUIVARIANT = {"egnn": SMALL, "segnn": SMALL, "egno": SMALL, "newton": SMALLEST["newton"]}
PLAIN = {"gnn": SMALL, "mlp": SMALL}
NETWORKS = EQUIVARIANT | PLAIN


class _HeadContract(models.ForecasterContract):
    """The contract on gaps, types and several steps, in space and in the plane."""

    @pytest.fixture(params=[3, 2], ids=["space", "plane"])
    def dataset(self, request, tmp_path):
        return random_dataset(tmp_path / "data", dim=request.param)

    @pytest.fixture
    def spec(self):
        return WindowSpec(4, (1, 2, 3))


def _contract(model, head):
    follows = ("translated", "yaw", "so3", "mirrored") if model in EQUIVARIANT else ("translated",)
    about = {"model": model, "arguments": {**NETWORKS[model], "head": HEADS[head]}, "follows": follows}
    return type(f"Test_{model}_{head}", (_HeadContract,), about)


globals().update({f"Test_{model}_{head}": _contract(model, head) for model in NETWORKS for head in HEADS})


@pytest.fixture
def graphs(tmp_path):
    dataset = random_dataset(tmp_path / "data")
    spec, topology = WindowSpec(3, (1, 2, 4)), Complete()
    windows = dataset.windows(spec, dataset.anchors(spec))
    builder = GraphBuilder(schema_of(dataset.manifest, spec, topology), topology, Normalization.fit(windows), torch.float64)
    return builder.schema, builder.build(windows)


def made(model, schema, head, **arguments):
    torch.manual_seed(0)
    return build_model(model, schema, {**NETWORKS[model], **arguments, "head": head}).double().eval()


@pytest.mark.parametrize("model", NETWORKS)
def test_the_single_head_is_no_head(graphs, model):
    schema, batch = graphs
    plain, single = made(model, schema, None), made(model, schema, {"name": "single"})
    assert plain.state_dict().keys() == single.state_dict().keys()
    assert not [name for name in plain.state_dict() if name.startswith("ending")]
    assert torch.equal(plain(batch).displacement, single(batch).displacement)
    assert plain(batch).scale is None


@pytest.mark.parametrize("model", NETWORKS)
def test_hypotheses_start_apart_and_equally_likely(graphs, model):
    schema, batch = graphs
    moved, weights, _ = made(model, schema, HEADS["hypotheses"])(batch)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (moved[:, first] - moved[:, second]).norm(dim=-1).max() > 1e-7
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / 3))


@pytest.mark.parametrize("model", NETWORKS)
def test_scales_start_in_proportion_to_the_lead_time(graphs, model):
    schema, batch = graphs
    found = made(model, schema, {"name": "scale", "start": 0.2})(batch)
    expected = 0.2 * (batch.lead / batch.lead[:, -1:])[batch.batch][:, None]
    torch.testing.assert_close(found.scale, expected, rtol=1e-4, atol=0)
    assert torch.equal(found.displacement, made(model, schema, {"name": "scale", "start": 0.3})(batch).displacement)


@pytest.mark.parametrize("model", EQUIVARIANT)
@pytest.mark.parametrize("head", HEADS)
def test_relaxed_networks_take_heads(graphs, model, head):
    """With places known and layers relaxed, weights and scales are there, and depend on where the world is turned to."""
    schema, batch = graphs
    network = made(model, schema, HEADS[head], chain=["translations", "O(3)"])
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.3 * torch.randn_like(value))
    moved, weights, scale = network(batch)
    assert moved.shape[1] == weights.shape[1] == (3 if head == "hypotheses" else 1)
    assert (scale is not None) == (head == "scale")
    assert all(torch.isfinite(part).all() for part in (moved, weights) + (() if scale is None else (scale,)))


WRONG = {
    "unknown": ({"name": "hypothesis"}, "did you mean 'hypotheses'"),
    "argument": ({"name": "hypotheses", "counts": 3}, "did you mean 'count'"),
    "one": ({"name": "hypotheses", "count": 1}, "from 2 to"),
    "many": ({"name": "hypotheses", "count": MOST + 1}, "from 2 to"),
    "text": ({"name": "hypotheses", "count": "3"}, "from 2 to"),
    "negative": ({"name": "scale", "start": -1}, "above 0"),
    "nameless": ({"count": 3}, "expected its name"),
    "a word": ("scale", "expected its name"),
}


@pytest.mark.parametrize("case", WRONG, ids=WRONG.keys())
def test_what_is_no_head_is_said(graphs, case):
    choice, message = WRONG[case]
    with pytest.raises(UsageError, match=message):
        build_head(choice, 4, graphs[0])


@pytest.mark.parametrize(("model", "arguments"), [("newton", {"correction": 0}), ("mlp", {"hidden": 0})])
def test_a_network_without_scalars_takes_one_forecast(graphs, model, arguments):
    with pytest.raises(UsageError, match="take head="):
        made(model, graphs[0], HEADS["scale"], **arguments)
