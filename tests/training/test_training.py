"""What a run promises besides exact resume."""

import csv
import math
from dataclasses import replace

import pytest
import torch

from forecasting.errors import DataError, NumericalError, UsageError
from forecasting.evaluation.calibrated import learned_share
from forecasting.objectives.losses import LOSSES
from forecasting.packages import load_package
from forecasting.relaxation.base import Price, Relaxation
from forecasting.training import TrainingSettings, assemble, train
from forecasting.training.loader import StepSampler
from forecasting.training.module import TrainingModule


def quiet(_line):
    pass


def test_learning_lowers_the_loss_and_the_package_forecasts_like_the_best_weights(plain_config, tmp_path):
    plain_config["model"]["arguments"] = {"hidden": 8, "layers": 2, "start": "static"}
    plain_config["training"] |= {"epochs": 20, "checkpoint_every_steps": 1000}
    built, settings = assemble(plain_config)
    untrained = TrainingModule(built, settings, 1).validation_loss()
    result = train(built, settings, tmp_path / "run", say=quiet)
    rows = [line.split(",") for line in (tmp_path / "run" / "metrics.csv").read_text().splitlines()[1:]]
    losses = [float(row[3]) for row in rows]
    assert min(losses) < 0.5 * untrained
    assert result.best_validation == pytest.approx(min(losses), rel=1e-6)
    package = load_package(result.package)
    batch = built.batch("validation", list(range(len(built.anchors["validation"]))))
    with torch.inference_mode():
        loss = LOSSES["mse"](package.forecaster()(batch), batch, 3)
    assert float(loss) == pytest.approx(result.best_validation, rel=1e-5)


def test_a_package_knows_the_windows_that_it_was_trained_on(plain_config, tmp_path):
    problem, settings = assemble(plain_config)
    package = load_package(train(problem, replace(settings, epochs=1), tmp_path / "run", say=quiet).package)
    learned = {part: learned_share(package, problem.dataset, anchors) for part, anchors in problem.anchors.items()}
    assert learned == {"train": 1.0, "validation": 0.0, "test": 0.0}


def test_validation_counts_every_scored_position_once(problem):
    built, settings = problem(batch_size=3)
    module = TrainingModule(built, settings, 10)
    batch = built.batch("validation", list(range(len(built.anchors["validation"]))))
    moved = built.model(batch).displacement[:, 0]
    squared = ((moved - batch.target) ** 2).sum(-1)[batch.target_valid].detach()
    assert module.validation_loss() == pytest.approx(float(squared.mean()) / 3, rel=1e-5)


def test_a_loss_that_is_not_finite_stops_with_the_batch_named(problem, tmp_path):
    built, settings = problem(learning_rate=1e30, clip_norm=None, epochs=50)
    with pytest.raises(NumericalError, match=r"scene-\d@\d+.*training\.learning_rate") as caught:
        train(built, settings, tmp_path / "run", say=quiet)
    assert caught.value.exit_code == 5
    assert load_package(tmp_path / "run").card["steps"] >= 1
    assert all(torch.isfinite(value).all() for value in load_package(tmp_path / "run").weights.values())


def test_patience_stops_early(problem, tmp_path):
    built, settings = problem(epochs=400, patience=2, learning_rate=0.5, clip_norm=None, optimizer="sgd")
    result = train(built, settings, tmp_path / "run", say=quiet)
    assert result.stopped == "patience"
    assert result.epochs < 400


def test_time_limit_saves_and_packages(problem, tmp_path):
    result = train(*problem(epochs=100_000, schedule="none", max_time_s=0.3), tmp_path / "run", say=quiet)
    assert result.stopped == "time"
    assert load_package(result.package).card["steps"] == result.steps


def test_the_average_is_what_is_validated_and_packaged(problem, tmp_path):
    built, settings = problem(ema_decay=0.5, epochs=4)
    train(built, settings, tmp_path / "run", say=quiet)
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    package = load_package(tmp_path / "run")
    averaged = {name: value for name, value in state["state_dict"].items() if name.startswith("average.module.")}
    assert averaged.keys() == {f"average.module.{name}" for name in package.weights}
    kept = state["best_weights"]
    assert all(torch.equal(kept[name], package.weights[name]) for name in kept)
    assert not all(torch.equal(state["state_dict"][f"model.{name}"], package.weights[name]) for name in kept)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64"])
def test_other_precisions_run(problem, tmp_path, precision):
    result = train(*problem(precision=precision, epochs=1), tmp_path / "run", say=quiet)
    assert math.isfinite(result.best_validation)
    assert all(value.dtype == torch.float32 for value in load_package(result.package).weights.values())


@pytest.mark.parametrize("model", ["static", "constant_velocity", "mean_velocity"])
def test_models_without_parameters_become_packages_at_once(plain_config, tmp_path, model):
    plain = plain_config
    plain["model"] = {"name": model, "arguments": {}}
    result = train(*assemble(plain), tmp_path / "run", say=quiet)
    assert load_package(result.package).model == model
    assert result.steps == 0


def test_batches_are_a_function_of_seed_and_step():
    first = iter(StepSampler(10, 4, seed=3))
    batches = [next(first) for _ in range(7)]
    later = iter(StepSampler(10, 4, seed=3, start=5))
    assert [next(later), next(later)] == batches[5:]
    assert sorted(sum(batches[:3], [])) == list(range(10))
    assert sorted(sum(batches[3:6], [])) == list(range(10))
    assert batches[:3] != batches[3:6]


def test_ranks_share_an_epoch_out():
    streams = [iter(StepSampler(16, 4, seed=0, rank=rank, world=2)) for rank in range(2)]
    epoch = [next(stream) for _ in range(2) for stream in streams]
    assert sorted(sum(epoch, [])) == list(range(16))


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"learning_rte": 1}, "did you mean 'learning_rate'"),
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"loss": "mae"}, "unknown training.loss"),
        ({"epochs": 0}, "training.epochs must be a whole number of at least 1, found 0"),
        ({"epochs": 2.5}, "whole number"),
        ({"batch_size": "ten"}, "whole number of at least 1, found 'ten'"),
        ({"accumulate": True}, "whole number"),
        ({"warmup_steps": -1}, "at least 0"),
        ({"patience": 0}, "at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number, found 0.0"),
        ({"learning_rate": math.inf}, "positive number"),
        ({"learning_rate": None}, "positive number, found None"),
        ({"clip_norm": -1.0}, "positive number or null"),
        ({"max_time_s": 0}, "positive number or null"),
        ({"weight_decay": -0.1}, "at least 0"),
        ({"ema_decay": 1.5}, "between 0 and 1"),
        ({"ema_decay": "most"}, "between 0 and 1"),
        ({"extra_optimizers": {"a": {"pattern": "x", "learning_rate": -1}}}, "extra_optimizers learning_rate must be a positive"),
        ({"extra_optimizers": {"a": {"patern": "x"}}}, "did you mean 'pattern'"),
    ],
)
def test_wrong_settings_are_named(plain, message):
    with pytest.raises(UsageError, match=message):
        TrainingSettings.of(plain)


def test_a_pattern_without_parameters_is_an_error(problem, tmp_path):
    built, settings = problem(extra_optimizers={"a": {"pattern": "nothing"}})
    with pytest.raises(UsageError, match="no parameter matches"):
        train(built, settings, tmp_path / "run", say=quiet)


def test_windows_that_do_not_fit_are_an_error(plain_config):
    plain = plain_config
    plain["data"]["window"] = {"history": 50, "horizon": 3}
    with pytest.raises((UsageError, DataError), match=r"data\.window"):
        assemble(plain)


def test_missing_logger_packages_say_what_to_install(problem, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UsageError, match=r"forecasting\[log\]"):
        train(*problem(logger="tensorboard"), tmp_path / "run", say=quiet)


class Shrinking(Price):
    """A price on the size of the embedding that rises after every step."""

    def __init__(self):
        super().__init__()
        self.register_buffer("price", torch.tensor(1.0))

    def forward(self, moment):
        return self.price * moment.model.embedding.weight.square().sum()

    def after_step(self, model, progress):
        self.price += 1


def test_prices_are_asked_every_step_and_their_state_is_kept(problem, tmp_path):
    sizes = {}
    for name, prices in (("without", []), ("with", [Shrinking()])):
        built, settings = problem(clip_norm=None, epochs=6)
        built = replace(built, relaxation=Relaxation(name, None, prices))
        result = train(built, settings, tmp_path / name, say=quiet)
        sizes[name] = float(built.model.embedding.weight.detach().square().sum())
    assert sizes["with"] < 0.5 * sizes["without"]
    state = torch.load(tmp_path / "with" / "checkpoints" / "last.ckpt", weights_only=True)
    assert float(state["state_dict"]["relaxation.prices.0.price"]) == 1 + result.steps


HEADS = {"one": None, "several": {"name": "hypotheses", "count": 3}, "scale": {"name": "scale"}}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("head", HEADS)
def test_parts_of_a_batch_give_the_gradient_of_the_whole(plain_config, tmp_path, head, loss):
    """Windows have different numbers of scored positions, and the last part of an epoch fewer windows."""
    plain_config["model"]["arguments"] |= {"head": HEADS[head]}
    plain_config["training"] |= {"clip_norm": 0.1, "optimizer": "sgd", "precision": "64", "loss": loss}
    weights, losses = {}, {}
    for parts in (1, 3):
        built, settings = assemble(plain_config)
        settings = replace(settings, accumulate=parts)
        train(built, settings, tmp_path / str(parts), say=quiet)
        weights[parts] = torch.cat([value.detach().flatten() for value in built.model.parameters()])
        with (tmp_path / str(parts) / "metrics.csv").open() as file:
            losses[parts] = [float(row["train_loss"]) for row in csv.DictReader(file)]
    torch.testing.assert_close(weights[1], weights[3], rtol=1e-9, atol=1e-11)
    assert losses[3] == pytest.approx(losses[1], rel=1e-9)
    assert (weights[1] != weights[3]).any()


@pytest.mark.parametrize("model", ["egnn", "segnn", "egno", "newton"])
def test_relaxed_models_train_in_mixed_precision(problem, tmp_path, model):
    built, settings = problem(relaxation=("ace_resilient", {}), model=model, precision="bf16-mixed", epochs=2)
    result = train(built, settings, tmp_path / "run", say=quiet)
    assert math.isfinite(result.best_validation)
    assert all(torch.isfinite(value).all() for value in built.model.parameters())
