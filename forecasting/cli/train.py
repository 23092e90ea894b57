"""`forecast train`: learn a forecaster."""

import argparse
from typing import Any

from forecasting.cli.output import note

SUMMARY = "learn a forecaster from trajectory files"
DESCRIPTION = """\
Learn a forecaster. Everything after the options is KEY=VALUE; the keys and their defaults are the files in configs/.

  forecast train data.path=tracks.csv data.read.unit=m
  forecast train data.path=data/charged experiment=charged training.epochs=100
  forecast train data.path=walk/ model=egnn model.arguments.hidden=32 graph=skeleton run=checkpoints/walk
  forecast train --resume checkpoints/walk                      continue exactly where it stopped
  forecast train --resume checkpoints/walk training.epochs=200  continue for longer (schedule=none)
  forecast train --show model=gnn                               print the whole configuration, train nothing
  forecast train data.path=walk/ training.devices=2             in two processes; batch_size windows in each of them
  torchrun --nnodes=2 --nproc-per-node=4 -m forecasting.cli.main train data.path=walk/ training.devices=4 training.nodes=2 \\
    run=checkpoints/walk                                        on two machines that see the same folders
"""
LIGHTNING = {
    "num_nodes": "nodes",
    "max_epochs": "epochs",
    "gradient_clip_val": "clip_norm",
    "accumulate_grad_batches": "accumulate",
    "check_val_every_n_epoch": "validate_every",
}
"""Keys of Lightning's trainer and what they are called here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="configuration, for instance model=egnn seed=1")
    parser.add_argument("--resume", metavar="RUN", help="run folder to continue")
    parser.add_argument("--show", action="store_true", help="print the configuration and train nothing")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Compose the configuration, train, and describe the run; of several processes the first one speaks.

    Raises:
        SystemExit: at the end of every other process.
    """
    from forecasting.cli.configuration import compose, restore
    from forecasting.errors import NumericalError

    for item in options.overrides:
        _check_room(item)
    config = restore(options.resume, options.overrides) if options.resume else compose(options.overrides)
    if options.show:
        return {"config": config}
    try:
        result = train_from(config, resume=bool(options.resume))
    except NumericalError as error:  # it is raised everywhere at once
        _leave_speaking_to_the_first(config, error.exit_code)
        raise
    _leave_speaking_to_the_first(config, 0)
    return result


def train_from(config: dict[str, Any], *, resume: bool = False) -> dict[str, Any]:
    """Train what a configuration describes; its run folder keeps the configuration."""
    from dataclasses import asdict
    from pathlib import Path

    from forecasting.cli.configuration import save
    from forecasting.numerics import configure

    configure(config["threads"])
    from forecasting.training import assemble, train
    from forecasting.training.companions import is_first

    problem, settings = assemble(config)
    folder = Path(config["run"] or _folder(config))
    if is_first(settings.world):
        sizes = ", ".join(f"{name} {len(anchors)}" for name, anchors in problem.anchors.items())
        note(f"windows: {sizes}; run folder: {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        if not resume and not (folder / "config.yaml").exists():
            save(config, folder / "config.yaml")
    result = train(problem, settings, folder, resume=resume)
    return {**asdict(result), "package": str(result.package), "run": str(folder)}


def show(result: dict[str, Any]) -> None:
    """Say what came of it, or print the configuration."""
    if "config" in result:
        from forecasting.cli.configuration import to_yaml

        print(to_yaml(result["config"]), end="")
        return
    best = result["best_validation"]
    loss = "" if best is None else f"best validation loss {best:.5g} (normalized), "
    print(
        f"{result['stopped']} after {result['epochs']:.4g} epochs: {loss}{result['seconds']:.0f} s, "
        f"{result['seconds_per_epoch']:.2g} s an epoch, {result['peak_memory_mb']:.0f} MB\npackage: {result['package']}"
    )


def _check_room(item: str) -> None:
    """Raise a UsageError where a key is one of Lightning's."""
    from forecasting.errors import UsageError

    key, _, value = item.lstrip("+~").partition("=")
    room, _, name = key.partition(".")
    if room == "trainer":
        fixed = f"training.{LIGHTNING.get(name, name)}"
        raise UsageError(f"unknown config key '{key}'; it is called {fixed} here: {fixed}={value}")


def _leave_speaking_to_the_first(config: dict[str, Any], code: int) -> None:
    from forecasting.training.companions import is_first

    training = config["training"]
    if not is_first(int(training["devices"]) * int(training.get("nodes", 1))):
        raise SystemExit(code)


def _folder(config: dict[str, Any]) -> str:
    import time
    from pathlib import Path

    path = config["data"]["path"]
    name = Path(path if isinstance(path, str) else path[0]).stem
    return f"checkpoints/{name}-{config['model']['name']}-{time.strftime('%Y%m%d-%H%M%S')}"
