"""Every model with every relaxation takes its steps on charged bodies and on running people, stopped or not."""

import csv
import json
from copy import deepcopy
from itertools import pairwise, product
from math import isfinite

import pytest
import torch

from forecasting.cli.configuration import compose
from forecasting.cli.main import main
from forecasting.errors import UsageError
from forecasting.packages import load_package
from forecasting.relaxation.methods import RELAXATIONS
from forecasting.testing.runs import QUICKEST, SMALLEST, assert_same, checkpoint, quiet, trace
from forecasting.training import assemble, train
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.simulators.base import build_simulator

LEARNED = "matrix"
STATE = {
    "strict": (),
    **dict.fromkeys(("free", "augmentation", "rpp", "projection", "sampled", "remul"), (LEARNED,)),
    "annealed": (LEARNED, "dial"),
    **dict.fromkeys(("ace_equality", "ace_inequality", "ace_resilient"), (LEARNED, "gamma", "duals", "steps")),
    "per": (LEARNED, "strengths", "smallest", "tuned"),
    "mixed": (LEARNED, "gamma", "stage", "looks", "axis", "steps"),
}
"""Method -> last names of what must change within two steps, besides the weights."""

STEPS = ("training.epochs=2", "training.checkpoint_every_steps=1", "training.learning_rate=0.01", "training.validate_every=1")
WORLDS = {
    "charged": ("data.split.arguments={limit: {train: 4}, anchor: 12}", "data.window.horizon=[3, 6]", "training.batch_size=4"),
    "cmu_run": ("data.split.arguments.limit={train: 5, validation: 3, test: 3}", "training.batch_size=5"),
}
"""Experiment -> what makes it an experiment of two steps: two epochs of one batch."""

REFUSED = [
    ("gnn", ("free", {}), "model 'gnn'"),
    ("mlp", ("mixed", {}), "model 'mlp'"),
    *[(model, ("mixed", {"chain": ["mlp"]}), "mixed relaxes linear maps") for model in ("egnn", "segnn", "egno")],
    *[("egnn", (name, {"chain": ["mlp"]}), f"{name} prices linear maps") for name in ("per", "projection", "rpp")],
    *[("newton", (name, {"chain": ["mlp"]}), "newton relaxes one linear map") for name in ("free", "ace_equality", "remul")],
    ("egnn", ("free", {"chain": ["SO(3)", "O(3)"]}), "from large to small groups"),
    ("egnn", ("mixed", {"lean_at": 0.9, "refit_at": 0.5}), "lean_at ≤ refit_at"),
]
"""Model, relaxation and what the refusal says."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture(scope="module")
def charged(folder):
    """A few scenes of the published world, short ones."""
    world = build_simulator("nbody_charged", {"steps": 2000})
    return build_dataset(world.partitioned({"train": 4, "validation": 2, "test": 2}, 0), folder / "charged").folder


@pytest.fixture
def experiment(request, folder):
    """Makes the overrides of an experiment of two steps."""

    def make(name):
        if name == "charged":
            data = [f"data.path={request.getfixturevalue('charged')}"]
        else:
            run = request.getfixturevalue("real_data") / "mocap" / "cmu-run-09-egno"
            data = [f"data.path={run / 'motion_run.npz'}", f"data.split.arguments.file={run / 'split_run.npz'}"]
        return [f"experiment={name}", *data, *WORLDS[name], *STEPS, f"data_root={folder / 'sets'}"]

    return make


@pytest.fixture
def problem(experiment):
    """Makes (problem, settings) of an experiment anew, with another model and relaxation."""
    composed = {}

    def make(name, model, relaxation, **training):
        if name not in composed:
            composed[name] = compose(experiment(name))
        config = deepcopy(composed[name])
        config["model"] = {"name": model, "arguments": dict(SMALLEST.get(model, {}))}
        config["relaxation"] = {"name": relaxation[0], "arguments": relaxation[1]}
        config["training"] |= training
        return assemble(config)

    return make


def states(built):
    """Everything that a run keeps, by the names of its checkpoints."""
    parts = {"model": built.model, "relaxation": built.relaxation}
    return {f"{part}.{name}": value.clone() for part, module in parts.items() for name, value in module.state_dict().items()}


def moved(ending, moments):
    """Whether something with this last name changed between the moments."""
    names = [name for name in moments[-1] if name.split(".")[-1] == ending]
    assert names, f"nothing is called {ending}"
    pairs = [(first.get(name), last[name]) for name in names for first, last in pairwise(moments)]
    return any(one is None or one.shape != two.shape or not torch.equal(one, two) for one, two in pairs)


def logged(run):
    with (run / "metrics.csv").open() as file:
        return [{key: float(value) for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def test_the_grid_is_whole():
    assert set(STATE) == set(QUICKEST) == set(RELAXATIONS.names())


@pytest.mark.parametrize(("name", "model", "method"), list(product(WORLDS, SMALLEST, QUICKEST)))
def test_two_steps_and_one_that_goes_on(problem, tmp_path, name, model, method):
    relaxation = (method, QUICKEST[method])
    built, settings = problem(name, model, relaxation)
    moments = [states(built)]
    assert train(built, settings, tmp_path / "whole", say=quiet).steps == 2
    losses = logged(tmp_path / "whole")
    assert [row["step"] for row in losses] == [1, 2]
    assert all(isfinite(value) for row in losses for value in row.values())

    stopped = train(*problem(name, model, relaxation, max_time_s=1e-9), tmp_path / "parts", say=quiet)
    assert (stopped.steps, stopped.stopped) == (1, "time")
    moments.append(checkpoint(tmp_path / "parts")["state_dict"])
    assert train(*problem(name, model, relaxation), tmp_path / "parts", resume=True, say=quiet).steps == 2
    whole, parts = (checkpoint(tmp_path / run) for run in ("whole", "parts"))
    assert_same(parts, whole)
    assert logged(tmp_path / "parts") == losses
    assert trace(tmp_path / "parts") == trace(tmp_path / "whole")

    moments.append(whole["state_dict"])
    assert all(torch.isfinite(value).all() for value in moments[-1].values() if value.is_floating_point())
    assert any(moved(name.split(".")[-1], moments) for name, _ in built.model.named_parameters())
    assert [ending for ending in STATE[method] if not moved(ending, moments)] == []
    assert bool(trace(tmp_path / "whole")) == (method != "strict")
    one, two = (load_package(tmp_path / run).forecaster().state_dict() for run in ("whole", "parts"))
    assert_same(one, two)


@pytest.mark.parametrize(("model", "relaxation", "words"), REFUSED)
def test_what_cannot_be_relaxed_says_so(problem, model, relaxation, words):
    with pytest.raises(UsageError, match=words):
        problem("charged", model, relaxation)


BY_COMMAND = [
    ("charged", "egnn", "strict"),
    ("cmu_run", "segnn", "annealed"),
    ("charged", "egno", "ace_resilient"),
    ("cmu_run", "segnn", "per"),
    ("cmu_run", "newton", "mixed"),
]


@pytest.mark.parametrize(("name", "model", "method"), BY_COMMAND)
def test_the_command_line_trains_and_goes_on(experiment, tmp_path, capsys, name, model, method):
    def forecast(*arguments):
        capsys.readouterr()
        assert main(["train", *map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    chosen = [f"model={model}", f"relaxation={method}"]
    small = [f"model.arguments.{key}={value}" for key, value in SMALLEST[model].items()]
    quick = [f"relaxation.arguments.{key}={value}" for key, value in QUICKEST[method].items()]
    command = [*experiment(name), *chosen, *small, *quick]
    whole = forecast(*command, f"run={tmp_path / 'whole'}")
    assert (whole["steps"], whole["stopped"]) == (2, "finished")
    first = forecast(*command, f"run={tmp_path / 'parts'}", "training.max_time_s=1e-9")
    assert (first["steps"], first["stopped"]) == (1, "time")
    last = forecast("--resume", tmp_path / "parts", "training.max_time_s=null")
    assert (last["steps"], last["best_validation"]) == (2, whole["best_validation"])
    assert_same(checkpoint(tmp_path / "parts"), checkpoint(tmp_path / "whole"))
    assert load_package(whole["package"]).card["relaxation"]["name"] == method
