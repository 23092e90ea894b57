"""`forecast simulate`: worlds whose symmetry is known."""

import argparse
import inspect
import json
import textwrap
from typing import Any

from forecasting.cli.output import Progress
from forecasting.errors import UsageError

SUMMARY = "simulate a world whose symmetry is known"
DESCRIPTION = """\
Simulate a world whose symmetry is known and write it as a data set.

  forecast simulate nbody_charged --train 10000 --validation 2000 --test 2000 --seed 43 -o data/charged
  forecast simulate nbody_charged_clean --set gravity=9.81 'axis=[0.3, -0.5, 0.81]' --train 600 --test 200 -o data/gravity
  forecast simulate springs --set density=0.6 field=3 --train 1000 --test 200 -o data/springs

gravity, trap and field act along axis, cubic along x, y and z, drag against the velocity; docs/worlds.md says what each breaks.
"""
WORLDS = "worlds and their parameters"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class, parser.epilog = _WithWorlds, WORLDS
    parser.add_argument("world", help="name of the simulator")
    parser.add_argument("-o", "--output", required=True, help="folder of the data set")
    parser.add_argument("--train", type=int, default=0, help="training scenes")
    parser.add_argument("--validation", type=int, default=0, help="validation scenes")
    parser.add_argument("--test", type=int, default=0, help="test scenes")
    parser.add_argument("--seed", type=int, default=0, help="of the one random stream of all scenes")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters of the world")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Simulate and describe what was written."""
    from forecasting.trajectories.dataset import build_dataset
    from forecasting.trajectories.simulators.base import build_simulator

    parameters = dict(_parameter(pair) for pair in options.set)
    simulator = build_simulator(options.world, parameters)
    counts = {"train": options.train, "validation": options.validation, "test": options.test}
    with Progress("scenes", sum(counts.values())) as progress:
        scenes = _watched(simulator.partitioned(counts, options.seed), progress)
        provenance = {"simulator": options.world, "parameters": parameters, "seed": options.seed, "counts": counts}
        dataset = build_dataset(scenes, options.output, symmetry=simulator.symmetry, provenance=provenance)
    return {"folder": str(dataset.folder), **dataset.manifest.counts, "symmetry": dataset.manifest.symmetry}


def show(result: dict[str, Any]) -> None:
    """Say what was written."""
    print(
        f"{result['folder']}: {result['scenes']} scenes, {result['frames']} frames, {result['rows']} positions; "
        f"true symmetry {result['symmetry']}"
    )


class _WithWorlds(argparse.RawDescriptionHelpFormatter):
    """Lists the worlds at the end of the help, when it is asked for."""

    def add_text(self, text: str | None) -> None:
        super().add_text(_worlds() if text == WORLDS else text)


def _worlds() -> str:
    """Every world, what it is, and its parameters with their defaults."""
    from forecasting.trajectories.simulators import SIMULATORS

    lines = [f"{WORLDS}:"]
    for name in SIMULATORS.names():
        world = SIMULATORS[name]
        defaults = inspect.signature(world).parameters.values()
        parameters = [f"{each.name}={json.dumps(each.default, separators=(',', ':'))}" for each in defaults]
        texts = (world.summary, " ".join(parameters))
        described = [line for text in texts for line in textwrap.wrap(text, 96, break_long_words=False, break_on_hyphens=False)]
        lines += [f"  {name}", *(f"    {line}" for line in described)]
    return "\n".join(lines)


def _watched(scenes: Any, progress: Progress) -> Any:
    for done, scene in enumerate(scenes, start=1):
        yield scene
        progress.to(done)


def _parameter(pair: str) -> tuple[str, Any]:
    name, equals, text = pair.partition("=")
    if not (name and equals):
        raise UsageError(f"--set takes NAME=VALUE, found '{pair}'")
    try:
        return name, json.loads(text)
    except json.JSONDecodeError:
        raise UsageError(f"--set {name}: '{text}' is not a number or a list such as [0,0,1]") from None
