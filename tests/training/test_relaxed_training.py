"""Every method with every model: it trains, its state moves, and a stopped run ends like one that was not."""

import shutil

import pytest
import torch

from forecasting.models.relaxed import linear_layers, relaxed_layers
from forecasting.packages import load_package
from forecasting.relaxation.methods import RELAXATIONS
from forecasting.testing.runs import QUICKEST, checkpoint, quiet, trace
from forecasting.training import train

MODELS = ("egno", "newton", "segnn")
"""That relax, besides EGNN, with which every stop is tried."""


def test_every_method_is_here():
    assert set(QUICKEST) == set(RELAXATIONS.names())


@pytest.mark.parametrize("name", QUICKEST)
def test_stopped_and_continued(problem, tmp_path, name):
    make = {"relaxation": (name, QUICKEST[name]), "epochs": 2, "ema_decay": 0.9}
    whole = tmp_path / "whole"
    built, settings = problem(**make)
    done = train(built, settings, whole, say=quiet, keep_all_checkpoints=True)
    assert done.steps >= 4
    end = checkpoint(whole)["state_dict"]
    assert all(torch.isfinite(value).all() for value in end.values() if value.is_floating_point())
    for step in sorted((whole / "checkpoints").glob("step-*.ckpt"))[:-1]:
        again = tmp_path / step.stem
        shutil.copytree(whole, again, ignore=shutil.ignore_patterns("step-*", "package"))
        shutil.copy(step, again / "checkpoints" / "last.ckpt")
        train(*problem(**make), again, resume=True, say=quiet)
        found = checkpoint(again)["state_dict"]
        assert found.keys() == end.keys()
        for key, value in end.items():
            assert torch.equal(found[key], value), key
        if name != "strict":
            assert trace(again) == trace(whole)
        weights = "package/weights.safetensors"
        assert (again / weights).read_bytes() == (whole / weights).read_bytes()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", QUICKEST)
def test_every_model_with_every_method(problem, tmp_path, name, model):
    make = {"relaxation": (name, QUICKEST[name]), "model": model, "epochs": 1, "batch_size": 12}
    built, settings = problem(**make)
    before = {key: value.detach().clone() for key, value in built.model.named_parameters()}
    done = train(built, settings, tmp_path / "whole", say=quiet, keep_all_checkpoints=True)
    assert done.steps >= 2
    assert any(not torch.equal(value, before[key]) for key, value in built.model.named_parameters())
    end = checkpoint(tmp_path / "whole")["state_dict"]
    assert all(torch.isfinite(value).all() for value in end.values() if value.is_floating_point())
    again = tmp_path / "again"
    shutil.copytree(tmp_path / "whole", again, ignore=shutil.ignore_patterns("step-*", "package"))
    shutil.copy(tmp_path / "whole" / "checkpoints" / "step-000001.ckpt", again / "checkpoints" / "last.ckpt")
    train(*problem(**make), again, resume=True, say=quiet)
    found = checkpoint(again)["state_dict"]
    assert all(torch.equal(found[key], value) for key, value in end.items())
    load_package(again).forecaster()


@pytest.mark.parametrize("name", QUICKEST)
def test_the_state_of_a_method_moves_and_is_logged(problem, tmp_path, name):
    built, settings = problem(relaxation=(name, QUICKEST[name]), epochs=2)
    before = {key: layer.matrix.detach().clone() for key, layer in linear_layers(built.model).items()}
    train(built, settings, tmp_path / "run", say=quiet)
    layers = relaxed_layers(built.model)
    if name == "strict":
        assert not layers
        assert not (tmp_path / "run" / "relaxation.csv").exists()
        return
    assert any(not torch.equal(layers[key].matrix, value) for key, value in before.items())
    rows = trace(tmp_path / "run")
    named = {key: {value for _, name, value in rows if name == key} for _, key, _ in rows}
    assert all(len(values) > 1 for key, values in named.items() if key.startswith("c/"))
    moving = {"ace_": "dual/", "per": "lambda/", "mixed": "stage", "annealed": "gamma/"}
    for prefix, state in moving.items():
        if name.startswith(prefix):
            assert any(len(values) > 1 for key, values in named.items() if key.startswith(state))


@pytest.mark.parametrize(
    ("name", "strict"), [("annealed", True), ("ace_equality", True), ("ace_resilient", False), ("free", False)]
)
def test_the_package_is_what_the_method_deploys(problem, tmp_path, name, strict):
    built, settings = problem(relaxation=(name, {}), epochs=2)
    result = train(built, settings, tmp_path / "run", say=quiet)
    model = load_package(result.package).forecaster()
    assert all(float(layer.dial) == (0.0 if strict else 1.0) for layer in relaxed_layers(model).values())


def test_mixed_packages_the_chain_it_found(problem, tmp_path):
    built, settings = problem(relaxation=("mixed", QUICKEST["mixed"]), epochs=2)
    result = train(built, settings, tmp_path / "run", say=quiet)
    package = load_package(result.package)
    assert package.arguments["chain"][:2] == ["translations", "O(3)"]
    assert package.arguments["chain"][2].startswith("C∞v(")
    package.forecaster()


def test_perceptron_branches_are_priced_by_samples(problem, tmp_path):
    built, settings = problem(relaxation=("sampled", {"chain": ["mlp"]}), epochs=2)
    train(built, settings, tmp_path / "run", say=quiet)
    assert relaxed_layers(built.model)
    assert not linear_layers(built.model)
