"""Every configuration file composes, every default is what the code takes, every wrong key is named."""

from dataclasses import fields
from pathlib import Path

import pytest

from forecasting.cli.configuration import as_overrides, compose, restore, save
from forecasting.config_files import config_directory
from forecasting.errors import UsageError
from forecasting.graphs.features import GraphSchema
from forecasting.models import build_model
from forecasting.packages.package import build_topology
from forecasting.training.settings import TrainingSettings
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.splits import build_split
from forecasting.trajectories.windows import WindowSpec

CONFIGS = config_directory()
MISSING = {"graph=radius": ["graph.arguments.radius=1.0"], "experiment=cmu_run": ["data.split.arguments.file=x"]}
SCHEMA = GraphSchema(3, 2, 1, 3, ("a",), ("near",), {"charge": "0e"})


def choices():
    for group in ("graph", "model", "training", "experiment"):
        for path in sorted((CONFIGS / group).glob("*.yaml")):
            yield f"{group}={path.stem}"


@pytest.mark.parametrize("choice", list(choices()))
def test_every_choice_composes_and_builds(choice):
    config = compose(["data.path=x", choice, *MISSING.get(choice, [])])
    data = config["data"]
    horizon = data["window"]["horizon"]
    WindowSpec(**{**data["window"], "horizon": tuple(range(1, horizon + 1)) if isinstance(horizon, int) else tuple(horizon)})
    build_split(data["split"]["kind"], data["split"]["arguments"])
    build_topology(config["graph"]["name"], config["graph"]["arguments"])
    build_model(config["model"]["name"], SCHEMA, {**config["model"]["arguments"], **_no_fields(config["model"]["arguments"])})
    TrainingSettings.of(config["training"], config["seed"])


def _no_fields(arguments):
    return {name: None for name in ("scalars", "products") if name in arguments}


def test_the_training_defaults_are_those_of_the_code():
    config = compose(["data.path=x"])["training"]
    assert TrainingSettings.of(config) == TrainingSettings()
    assert set(config) == {item.name for item in fields(TrainingSettings)} - {"seed"}


def test_every_reading_option_is_in_the_file():
    config = compose(["data.path=x"])["data"]["read"]
    assert set(config) == {item.name for item in fields(ReadOptions)} - {"fallback_unit", "fallback_up", "entries"}


def test_the_command_line_wins_over_the_experiment():
    config = compose(
        ["experiment=zebrafish", "data.path=x", "model=gnn", "training.epochs=3", "graph=nearest", "graph.arguments.k=2"]
    )
    assert config["model"]["name"] == "gnn"
    assert config["training"]["epochs"] == 3
    assert config["training"]["batch_size"] == 32
    assert config["graph"] == {"name": "nearest", "arguments": {"k": 2}}


TEXTS = ["a b", "it's", "x=1,y=2", "C:\\data", "C:\\data\\", "\\'", ""]
PLAIN = [*TEXTS, None, True, 3, 2.5, [1, 2], ["a", "b c"], {"node": "p id"}, Path("/a b/c.csv")]


@pytest.mark.parametrize("value", PLAIN)
def test_plain_values_survive_the_grammar(value):
    config = compose(as_overrides({"data.path": "x", "data.format": value}))
    expected = str(value) if isinstance(value, Path) else value
    assert config["data"]["format"] == expected


def test_a_run_keeps_its_configuration(tmp_path):
    config = compose(["data.path=x", "experiment=gravity", "training.epochs=7"])
    save(config, tmp_path / "config.yaml")
    again = restore(str(tmp_path), [])
    assert {**again, "run": None} == config
    assert restore(str(tmp_path), ["training.epochs=9"])["training"]["epochs"] == 9
    with pytest.raises(UsageError, match=r"did you mean 'training\.epochs'"):
        restore(str(tmp_path), ["training.epoch=9"])
