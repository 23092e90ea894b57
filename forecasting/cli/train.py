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
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="configuration, for instance model=egnn seed=1")
    parser.add_argument("--resume", metavar="RUN", help="run folder to continue")
    parser.add_argument("--show", action="store_true", help="print the configuration and train nothing")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Compose the configuration, train, and describe the run."""
    from forecasting.cli.configuration import compose, restore

    config = restore(options.resume, options.overrides) if options.resume else compose(options.overrides)
    return {"config": config} if options.show else train_from(config, resume=bool(options.resume))


def train_from(config: dict[str, Any], *, resume: bool = False) -> dict[str, Any]:
    """Train what a configuration describes; its run folder keeps the configuration."""
    from dataclasses import asdict
    from pathlib import Path

    from forecasting.cli.configuration import save
    from forecasting.numerics import configure

    configure(config["threads"])
    from forecasting.training import assemble, train

    problem, settings = assemble(config)
    folder = Path(config["run"] or _folder(config))
    sizes = ", ".join(f"{name} {len(anchors)}" for name, anchors in problem.anchors.items())
    note(f"windows: {sizes}; run folder: {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    if not resume and not (folder / "config.yaml").exists():
        save(config, folder / "config.yaml")
    result = train(problem, settings, folder, resume=resume)
    return {**asdict(result), "package": str(result.package), "run": str(folder)}


def show(result: dict[str, Any]) -> None:
    """Say what came of it, or print the configuration; of several processes the first one speaks."""
    import os

    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
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


def _folder(config: dict[str, Any]) -> str:
    import time
    from pathlib import Path

    path = config["data"]["path"]
    name = Path(path if isinstance(path, str) else path[0]).stem
    return f"checkpoints/{name}-{config['model']['name']}-{time.strftime('%Y%m%d-%H%M%S')}"
