"""Networks with heads learn: under every relaxation, in parts, and what single forecasts cannot."""

import pytest
import torch

from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.objectives.losses import LOSSES
from forecasting.packages import load_package
from forecasting.testing.runs import QUICKEST, quiet
from forecasting.testing.scenes import random_dataset
from forecasting.training import assemble, train
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

from .conftest import config

HEADS = {"hypotheses": {"name": "hypotheses", "count": 3}, "scale": {"name": "scale"}}


@pytest.mark.parametrize("method", ["strict", "annealed", "ace_resilient", "per", "sampled", "remul", "mixed"])
@pytest.mark.parametrize("head", HEADS)
def test_every_kind_of_method_trains_heads(data, tmp_path, method, head):
    plain = config(data, (method, QUICKEST[method]), epochs=2, loss="distance" if method == "remul" else "mse", accumulate=2)
    plain["model"]["arguments"]["head"] = HEADS[head]
    problem, settings = assemble(plain)
    before = {name: value.clone() for name, value in problem.model.state_dict().items() if name.startswith("ending")}
    result = train(problem, settings, tmp_path / "run", say=quiet)
    package = load_package(result.package)
    assert package.arguments["head"] == HEADS[head]
    assert any(not torch.equal(value, package.weights[name]) for name, value in before.items())


@pytest.fixture
def fork(tmp_path):
    """Scenes that go on straight, or turn back: nothing in them says which."""
    dataset = random_dataset(tmp_path / "fork", scenes=40, gaps=False, frames=6, types=("one",))
    spec = WindowSpec(2, (1, 2))
    windows = dataset.windows(spec, dataset.anchors(spec))
    builder = GraphBuilder(schema_of(dataset.manifest, spec, Complete()), Complete(), Normalization.fit(windows), torch.float64)
    batch = builder.build(windows)
    torch.manual_seed(1)
    side = torch.where(torch.rand(batch.num_graphs) < 0.25, 1.0, -1.0)[batch.batch]
    batch.target = side[:, None, None] * batch.velocity[:, -1:] * batch.lead[batch.batch][..., None]
    return builder.schema, batch


def test_hypotheses_find_both_ways_of_a_fork(fork):
    schema, batch = fork
    errors = {}
    for name, head in (("one", None), ("two", {"name": "hypotheses", "count": 2})):
        torch.manual_seed(0)
        model = build_model("egnn", schema, {"hidden": 8, "layers": 2, "head": head}).double()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(150):
            optimizer.zero_grad()
            found = model(batch)
            LOSSES["mse"](found, batch, 3).backward()
            optimizer.step()
        away = (found.displacement - batch.target[:, None]).norm(dim=-1).mean(-1)
        errors[name] = float(away.detach().min(dim=1).values.mean())
    assert errors["two"] < 0.4 * errors["one"]
    likelier = float(found.weights.detach().max(dim=1).values.mean())
    assert likelier == pytest.approx(0.75, abs=0.1)


@pytest.mark.parametrize("loss", ["mse", "distance"])
def test_scales_find_who_is_hard_to_forecast(fork, loss):
    schema, batch = fork
    size = torch.where(batch.charge[:, 0] > 0, 0.5, 0.05).double()
    torch.manual_seed(2)
    batch.target = size[:, None, None] * torch.randn_like(batch.target)
    model = build_model("egnn", schema, {"hidden": 8, "layers": 2, "head": {"name": "scale"}}).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        found = model(batch)
        LOSSES[loss](found, batch, 3).backward()
        optimizer.step()
    last = found.scale[:, 0, -1]
    loud, quiet_ = (float(last[batch.charge[:, 0] * sign > 0].mean()) for sign in (1, -1))
    assert loud == pytest.approx(0.5, rel=0.3)
    assert quiet_ < 0.2 * loud
