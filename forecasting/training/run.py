"""A training run: its folder, from the first step or from where it stopped, to the package."""

import contextlib
import json
import logging
import resource
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch

from forecasting.errors import NumericalError, UsageError
from forecasting.packages.package import save_package
from forecasting.training.callbacks import Checkpoints, GracefulStop, Keeper, ProgressLines, Say
from forecasting.training.companions import Companions, check_launcher, is_first
from forecasting.training.folder import begin, check_same, identity
from forecasting.training.joined import JoinedGradients, SameStart, companions_of, ranks_of
from forecasting.training.loader import StepLoader, StepSampler
from forecasting.training.module import TrainingModule
from forecasting.training.problem import Problem
from forecasting.training.ranks import LostProcess, is_loss_of_a_process
from forecasting.training.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingResult:
    """What came of a run.

    Attributes:
        package: folder of the package; best_validation: [normalized] loss; stopped: finished, patience, time or signal.
        steps, epochs: done; seconds: in all, over all continuations; seconds_per_epoch: of training, without validation.
        peak_memory_mb: of the process; parameters: of the model.
    """

    package: Path
    best_validation: float | None
    stopped: str
    steps: int
    epochs: float
    seconds: float
    seconds_per_epoch: float
    peak_memory_mb: float
    parameters: int


def train(
    problem: Problem,
    settings: TrainingSettings,
    folder: str | Path,
    *,
    resume: bool = False,
    say: Say | None = None,
    keep_all_checkpoints: bool = False,
) -> TrainingResult:
    """Train and write the package of the best validated weights.

    Args:
        problem: what to learn; settings: how; folder: of the run.
        resume: continue from the folder's last checkpoint, exactly.
        say: told a plain line now and then; by default standard error.
        keep_all_checkpoints: also keep each checkpoint under its step.

    Raises:
        UsageError: if there is nothing to resume, or the settings changed in a way that matters.
        NumericalError: if the loss leaves the finite numbers; the package of the best weights so far is written first.
        LostProcess: if another process of the run ended; likewise.
    """
    place = Path(folder)
    first = is_first(settings.world)
    say = (say or _say) if first else _keep_quiet
    if not problem.model.needs_training:
        return _untrained(problem, place, write=first)
    check_launcher(settings.devices, settings.nodes)
    checkpoint = place / "checkpoints" / "last.ckpt"
    about = identity(settings, problem)
    if resume:
        check_same(place, checkpoint, about)
    elif first:
        begin(place, checkpoint, about)
    sampler = StepSampler(len(problem.anchors["train"]), settings.batch_size, settings.seed, world=settings.world)
    steps = settings.epochs * sampler.steps_per_epoch
    torch.manual_seed(settings.seed)
    if settings.precision == "64":
        problem.model.to(torch.float64)
    keeper = Keeper(settings, sampler.steps_per_epoch, steps, place, say)
    saver = Checkpoints(checkpoint, settings.checkpoint_every_steps, keep_all_checkpoints)
    callbacks = [
        SameStart(json.dumps(about, indent=1)),
        keeper,
        GracefulStop(keeper),
        saver,
        ProgressLines(sampler.steps_per_epoch, steps),
    ]
    if resume:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        sampler.start = int(state["state_dict"]["step"])
    failure: NumericalError | LostProcess | None = None
    with _quiet_lightning(), _temporary_files_in(checkpoint.parent), contextlib.ExitStack() as others:
        trainer = _trainer(settings, steps, callbacks, place)
        sampler.rank = trainer.global_rank
        module = TrainingModule(problem, settings, steps, ranks_of(trainer))
        companions = None
        try:
            if sampler.start < steps:
                companions = others.enter_context(companions_of(trainer, settings.devices, settings.nodes))
                path = str(checkpoint) if resume else None
                trainer.fit(module, StepLoader(problem, sampler), ckpt_path=path, weights_only=True)
            else:
                module.load_state_dict(state["state_dict"])
                module.on_load_checkpoint(state)
                keeper.load_state_dict(state["callbacks"][keeper.state_key])
        except NumericalError as error:
            failure = error
        except RuntimeError as error:
            if settings.world == 1 or not is_loss_of_a_process(error):
                raise
            failure = LostProcess(_loss_of_a_process(companions, place))
        result = _finish(problem, module, keeper, sampler, place)
    if failure is not None:
        raise failure
    return result


def _untrained(problem: Problem, place: Path, *, write: bool) -> TrainingResult:
    results = {"best_validation": None, "stopped": "nothing to train"}
    if write:
        save_package(problem.package(problem.model.state_dict(), results), place / "package")
    return TrainingResult(place / "package", None, "nothing to train", 0, 0.0, 0.0, 0.0, _memory(), 0)


def _finish(problem: Problem, module: TrainingModule, keeper: Keeper, sampler: StepSampler, place: Path) -> TrainingResult:
    if not module.best_weights:
        module.keep_best()
    step = int(module.step)
    training_seconds = max(keeper.seconds - keeper.validation_seconds, 0.0)
    best = keeper.best if keeper.best < float("inf") else None
    steps_here = max(step - sampler.start, 1)
    results: dict[str, Any] = {
        "best_validation": best,
        "stopped": keeper.stopped,
        "steps": step,
        "epochs": step / sampler.steps_per_epoch,
        "seconds": keeper.seconds,
        "seconds_per_epoch": training_seconds / (step if not sampler.start else steps_here) * sampler.steps_per_epoch,
        "peak_memory_mb": _memory(),
        "parameters": sum(value.numel() for value in problem.model.parameters()),
    }
    weights = {name: value.float() if value.is_floating_point() else value for name, value in module.best_weights.items()}
    card = {**results, "run": str(place)}
    if module.ranks.rank == 0:
        save_package(problem.package(weights, card), place / "package")
    return TrainingResult(package=place / "package", **results)


def _trainer(settings: TrainingSettings, steps: int, callbacks: list[Any], place: Path) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy=JoinedGradients() if settings.world > 1 else "auto",
        precision="bf16-mixed" if settings.precision == "bf16-mixed" else "32-true",
        max_epochs=-1,
        max_steps=steps,
        limit_val_batches=0,
        callbacks=callbacks,
        logger=_logger(settings.logger, place),
        default_root_dir=place,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _logger(name: str, place: Path) -> Any:
    """A Lightning logger besides `metrics.csv`, which is always written.

    Raises:
        UsageError: if its package is not installed.
    """
    if name in ("csv", "none"):
        return False
    from lightning.pytorch import loggers

    try:
        if name == "tensorboard":
            return loggers.TensorBoardLogger(save_dir=place, name="tensorboard")
        if name == "wandb":
            return loggers.WandbLogger(save_dir=place, name=place.name)
        return loggers.MLFlowLogger(run_name=place.name, save_dir=str(place / "mlruns"))
    except ModuleNotFoundError as error:
        raise UsageError(f"training.logger={name} needs {error.name}: pip install 'forecasting[log]'") from None


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning's banners and advice are not for people who use this program."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Checkpoints are written through the temporary folder; on the same file system the move is atomic."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _loss_of_a_process(companions: Companions | None, place: Path) -> str:
    about = companions.ended(patience=2.0) if companions else ""
    return (
        f"another process of this run ended before its time{f' ({about})' if about else ''}; what it said is above. "
        f"Continue with --resume {place}"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _keep_quiet(line: str) -> None:
    """What processes besides the first have to say."""


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
