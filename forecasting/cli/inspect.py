"""`forecast inspect`: what is in a file."""

import argparse
from collections.abc import Iterator
from typing import Any

from forecasting.cli.output import note, print_table
from forecasting.cli.reading import add_read_arguments, read_options
from forecasting.errors import UsageError

SUMMARY = "what is in a trajectory file, a data set or a package"
DESCRIPTION = """\
Look at trajectory files, a data set folder or a model package: counts, rates, gaps, axes, problems, a picture.

  forecast inspect tracks.csv --unit m --picture tracks.png
  forecast inspect recordings/ --all        every scene, however long it takes (else about the first two million positions)
  forecast inspect data/charged
  forecast inspect tracks.csv --unit m --symmetry     which symmetry can be judged from the data, and which the motion has
  forecast inspect checkpoints/charged-egnn
"""
SCENES_SHOWN = 20
POSITIONS = 2_000_000
"""Frames x nodes after which no further scene is looked at, unless all are asked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("paths", nargs="+", help="files, folders, a data set folder or a package")
    parser.add_argument("--picture", help="PNG or SVG file to draw one scene into")
    parser.add_argument("--scene", help="name of the scene to draw (default: the first)")
    parser.add_argument("--all", action="store_true", help="look at every scene of a large input")
    parser.add_argument(
        "--symmetry", action="store_true", help="which turns the data cover, and how they differ from moved copies"
    )
    parser.add_argument("--step", type=int, help="with --symmetry: frames from one position to the next (default: 1)")
    parser.add_argument("--resample", type=float, metavar="SECONDS", help="with --symmetry: bring the files to this step first")
    add_read_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Describe a package, every scene, or the symmetry of the data."""
    from pathlib import Path

    if options.symmetry:
        from forecasting.cli._symmetry_of_data import judge

        return judge(options)
    if options.step is not None or options.resample is not None:
        raise UsageError(
            "--step and --resample belong to --symmetry; `forecast ingest --resample` makes a data set of even steps"
        )
    first = Path(options.paths[0])
    if (first / "package.json").exists() or (first / "package" / "package.json").exists():
        return _package(first)
    return _scenes(options, first)


def show(result: dict[str, Any]) -> None:
    """A card for a package, a table for scenes, tables and sentences for symmetry."""
    if "symmetry_of_data" in result:
        from forecasting.cli._symmetry_of_data import show_judged

        show_judged(result)
        return
    if "model" in result:
        for key, value in result.items():
            print(f"{key:<14} {value}")
        return
    total = result["total"]
    first = "the first " if result["more"] else ""
    print(f"{first}{total['scenes']} scenes, {total['frames']} frames, {total['nodes']} nodes, {total['positions']} positions")
    if result["more"]:
        print("there are more scenes: --all looks at every one")
    if result.get("symmetry"):
        print(f"known symmetry: {result['symmetry']}")
    shown = result["scenes"][:SCENES_SHOWN]
    header = [
        "scene",
        "format",
        "frames",
        "nodes",
        "rate [1/s]",
        "seconds",
        "missing",
        "speed",
        "heading",
        "unit",
        "up",
    ]
    keys = [
        "scene",
        "format",
        "frames",
        "nodes",
        "rate",
        "duration",
        "missing",
        "speed",
        "heading_length",
        "unit",
        "up",
    ]
    print_table(header, [[scene[key] for key in keys] for scene in shown])
    if len(result["scenes"]) > SCENES_SHOWN:
        print(f"… and {len(result['scenes']) - SCENES_SHOWN} more (--json lists all)")
    for scene in shown[:1]:
        for axis, (low, high) in enumerate(zip(scene["low"], scene["high"], strict=True)):
            print(f"{'xyz'[axis]} from {low:.6g} to {high:.6g} {scene['unit']}")
    for finding in result["findings"]:
        print(finding["text"])


def _package(path: Any) -> dict[str, Any]:
    from forecasting.packages.package import load_package

    package = load_package(path)
    return {
        "model": package.model,
        "arguments": dict(package.arguments),
        "parameters": sum(value.numel() for value in package.weights.values()),
        "history": package.window.history,
        "horizon": list(package.window.horizon),
        "step": f"{package.window.step * package.dt:.6g} s",
        "graph": package.topology,
        "unit": package.unit,
        "up": package.frame.up,
        "node_types": list(package.schema.node_types),
        "fields": sorted(package.fields),
        "card": {name: value for name, value in package.card.items() if name != "learned"},  # a sample for programs
    }


def _scenes(options: argparse.Namespace, first: Any) -> dict[str, Any]:
    from pathlib import Path

    from forecasting.trajectories.dataset import Dataset
    from forecasting.trajectories.reading import read_trajectories
    from forecasting.trajectories.summary import summarize
    from forecasting.trajectories.trajectory import Trajectory
    from forecasting.trajectories.validation import validate

    result: dict[str, Any] = {}
    if (first / "manifest.json").exists():
        dataset = Dataset(first)
        result["symmetry"] = dataset.manifest.symmetry
        source: Iterator[Trajectory] = dataset.trajectories()
    else:
        source = read_trajectories(options.paths, read_options(options), options.format)
    scenes, findings, drawn, seen, more = [], [], False, 0, False
    for scene in source:
        if more := seen > POSITIONS and not options.all:
            break
        seen += scene.valid.size
        scenes.append(summarize(scene))
        findings += [finding.to_plain() for finding in validate(scene)]
        if options.picture and not drawn and options.scene in (None, scene.scene):
            from forecasting.evaluation.pictures import draw_scene

            draw_scene(scene, Path(options.picture))
            note(f"picture: {options.picture}")
            drawn = True
    if options.picture and not drawn:
        names = ", ".join(one["scene"] for one in scenes[:10])
        raise UsageError(f"no scene is called '{options.scene}'; there are {names} …{' (--all looks further)' if more else ''}")
    keys = ("frames", "nodes", "positions")
    total = {"scenes": len(scenes), **{key: sum(scene[key] for scene in scenes) for key in keys}}
    return {**result, "more": more, "total": total, "scenes": scenes, "findings": findings}
