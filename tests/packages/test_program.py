"""Exported programs: the model's numbers, for any sizes, without the model's code."""

import dataclasses
import json

import pytest
import torch

from forecasting.cli.main import main
from forecasting.errors import NumericalError, UsageError
from forecasting.packages import program, save_package
from forecasting.packages.program import Program, export, input_specs
from forecasting.testing.packages import small_package


def loaded(path):
    return torch.export.load(path).module()


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("egnn", {"hidden": 4, "layers": 1}),
        ("egnn", {"hidden": 4, "layers": 1, "head": {"name": "hypotheses", "count": 3}}),
        ("segnn", {"hidden": 4, "layers": 1}),
        ("gnn", {"hidden": 4, "layers": 1}),
        ("mlp", {"hidden": 6}),
    ],
)
def test_the_program_gives_the_models_numbers_for_other_sizes(model, arguments, tmp_path):
    package, windows = small_package(tmp_path / "data", model, **arguments)
    about = export(package, tmp_path / "model.pt2")
    names = [each["name"] for each in about["inputs"]]
    batch, run = package.builder().build(windows), loaded(tmp_path / "model.pt2")
    for chosen in ([0], [5], [3, 5, 1, 2], list(range(60))):
        some = batch.select(torch.tensor(chosen), package.schema)
        with torch.no_grad():
            displacement, weights = run(*(some[name] for name in names))[:2]
            expected = package.forecaster()(some)
        torch.testing.assert_close(displacement, expected.displacement, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(weights, expected.weights)


@pytest.mark.slow
def test_a_relaxed_network_can_be_exported_in_double_precision(tmp_path):
    package, _ = small_package(tmp_path / "data", hidden=4, layers=1, chain=["translations", "O(3)", "identity"])
    about = export(package, tmp_path / "model.pt2", "float64")
    assert about["max_difference"] < 1e-11
    described = json.loads((tmp_path / "model.json").read_text())
    assert described == {name: value for name, value in about.items() if name not in ("program", "description")}
    inputs = {each["name"]: each for each in described["inputs"]}
    assert inputs["position"] == {
        "name": "position",
        "axes": ["nodes", 2, 3],
        "dtype": "float64",
        "content": "value",
        "irreps": "1o",
        "unit": "L",
        "translates": False,
    }
    assert (inputs["edge_index"]["axes"], inputs["ptr"]["axes"]) == ([2, "edges"], ["graphs + 1"])
    assert described["outputs"][0]["axes"] == ["nodes", "hypotheses", "horizon", 3]
    assert described["normalization"]["length"] == package.normalization.length


@pytest.mark.parametrize("model", ["static", "constant_velocity", "mean_velocity"])
def test_baselines_can_be_exported(model, tmp_path):
    package, _ = small_package(tmp_path / "data")
    baseline = dataclasses.replace(package, model=model, arguments={}, weights={})
    assert export(baseline, tmp_path / "model.pt2")["max_difference"] == 0


def test_a_program_that_differs_is_not_written(tmp_path, monkeypatch):
    package, _ = small_package(tmp_path / "data", "mlp", hidden=4)
    monkeypatch.setattr(program, "TOLERANCE", {torch.float32: -1.0})
    with pytest.raises(NumericalError, match="nothing was written"):
        export(package, tmp_path / "model.pt2")
    assert not list(tmp_path.glob("model.*"))


HARDER = {
    "higher degrees": {"l_max": 2, "layers": 2},
    "without mirrors": {"symmetry": "SO(3)", "layers": 1},
    "relaxed": {"chain": ["O(3)", "identity"], "layers": 1},
    "several hypotheses": {"head": {"name": "hypotheses", "count": 3}, "layers": 1},
    "scales": {"head": {"name": "scale"}, "layers": 1},
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", HARDER)
def test_every_segnn_can_be_exported(case, dtype, tmp_path):
    package, _ = small_package(tmp_path / "data", "segnn", hidden=6, **HARDER[case])
    assert export(package, tmp_path / "model.pt2", dtype)["max_difference"] < (1e-5 if dtype == "float32" else 1e-12)


def test_a_package_forecasts_after_its_export_as_before(tmp_path):
    """Nothing that tracing saw stays in the model."""
    package, windows = small_package(tmp_path / "data", "segnn", hidden=4, layers=1)
    model, batch = package.forecaster(), package.builder().build(windows)
    with torch.no_grad():
        before = model(batch)
        export(package, tmp_path / "model.pt2")
        torch.testing.assert_close(model(batch), before, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["egno", "newton"])
def test_models_that_cannot_be_exported_say_so(model, tmp_path):
    package, _ = small_package(tmp_path / "data", model, hidden=4)
    with pytest.raises(UsageError, match=f"torch.export cannot follow model '{model}'") as caught:
        export(package, tmp_path / "model.pt2")
    assert "\n" not in str(caught.value)


def test_the_verb_writes_both_files(tmp_path, capsys):
    package, _ = small_package(tmp_path / "data", "mlp", hidden=4)
    folder = save_package(package, tmp_path / "package")
    assert main(["export", str(folder), "-o", str(tmp_path / "a.pt2")]) == 0
    assert "off the model by at most" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.glob("a.*")) == ["a.json", "a.pt2"]
    assert main(["export", str(folder), "-o", str(tmp_path / "a.onnx")]) == 2


def test_inputs_are_what_is_known_before_the_future(tmp_path):
    package, _ = small_package(tmp_path / "data")
    names = [spec.name for spec in input_specs(package.schema)]
    assert not {"target", "target_valid", "window"} & set(names)
    assert names[-2:] == ["batch", "ptr"]
    assert Program(package.forecaster(), names).names == tuple(names)
