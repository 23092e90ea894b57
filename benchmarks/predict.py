"""Batch prediction, Parquet to Parquet, against the model alone on ready batches: alternating rounds in one process.

python benchmarks/predict.py rate [rounds] [windows]     windows/s, the ratio of medians, and where the time goes
python benchmarks/predict.py memory                      peak memory of `forecast predict` at 10^4, 10^5 and 10^6 windows

Inputs are scenes of a few frames with one forecast each (as sets of simulated particles are), as a table and as a data set, and
recordings with a forecast from every frame. The model alone gets the same micro-batches; torch has as many threads as
OMP_NUM_THREADS says in both. The first round is not counted.
"""

import cProfile
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from forecasting.numerics import configure

configure()

import numpy as np  # noqa: E402
import torch  # noqa: E402

from forecasting.graphs.build import schema_of  # noqa: E402
from forecasting.graphs.topology import Complete  # noqa: E402
from forecasting.inference.batch import forecasts  # noqa: E402
from forecasting.inference.filling import filled  # noqa: E402
from forecasting.inference.forecasts import ForecastBatch  # noqa: E402
from forecasting.inference.job import Job  # noqa: E402
from forecasting.inference.pieces import pieces_of  # noqa: E402
from forecasting.inference.predictor import Predictor  # noqa: E402
from forecasting.inference.writing import write_forecasts  # noqa: E402
from forecasting.models import build_model  # noqa: E402
from forecasting.packages.package import Package, save_package  # noqa: E402
from forecasting.trajectories.dataset import build_dataset  # noqa: E402
from forecasting.trajectories.normalization import Normalization  # noqa: E402
from forecasting.trajectories.reading import write_trajectories  # noqa: E402
from forecasting.trajectories.trajectory import Field, Frame, Trajectory  # noqa: E402
from forecasting.trajectories.units import Unit  # noqa: E402
from forecasting.trajectories.windows import WindowSpec  # noqa: E402

HORIZON = tuple(range(1, 11))
MODELS = {"egnn": {"hidden": 64, "layers": 4}, "segnn": {"hidden": 64, "layers": 4}}
SHORT, LONG = 10, 1000
MEASURED = """
import resource, subprocess, sys, time
start = time.perf_counter()
program = [sys.executable, "-c", "from forecasting.cli.main import main; raise SystemExit(main())", *sys.argv[1:]]
code = subprocess.run(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"exit {code}, {peak:.0f} MiB, {time.perf_counter() - start:.1f} s", end="")
"""
"""A process so small that its own memory does not count as the program's."""
KINDS = {
    "short scenes, a table": (SHORT, "in.parquet"),
    "short scenes, a data set": (SHORT, "set"),
    "recordings, a table": (LONG, "in.parquet"),
}


def scenes(windows: int, nodes: int, frames: int) -> Iterator[Trajectory]:
    """Random walks of `nodes` nodes, as many as give `windows` windows."""
    rng = np.random.default_rng(0)
    count = windows if frames == SHORT else -(-windows // (frames - 1))
    for index in range(count):
        steps = rng.normal(size=(frames, nodes, 3), scale=0.1).cumsum(0)
        yield Trajectory(
            scene=f"scene-{index}",
            time=np.arange(frames) * 0.1,
            positions=steps + rng.normal(size=(nodes, 3)),
            valid=np.ones((frames, nodes), dtype=bool),
            node_ids=np.arange(nodes),
            node_types=np.full(nodes, "node"),
            unit=Unit("m"),
            frame=Frame("+z"),
            fields={"charge": Field(rng.choice([-1.0, 1.0], size=(nodes, 1)), "0e", "e")},
        )


def package(name: str, arguments: dict, nodes: int, folder: Path) -> Package:
    dataset = build_dataset(scenes(8, nodes, 10), folder)
    spec = WindowSpec(2, (1,))
    windows = dataset.windows(spec, dataset.anchors(spec))
    spec = WindowSpec(2, HORIZON)
    schema = schema_of(dataset.manifest, spec, Complete())
    weights = build_model(name, schema, arguments).state_dict()
    about = ("complete", {}, Normalization(Normalization.fit(windows).length, 1.0), 0.1, "m", dataset.manifest.frame)
    return Package(name, arguments, schema, spec, *about, dataset.manifest.fields, weights, {})


class Captured:
    """Notes the micro-batches that a predictor computes."""

    def __init__(self, predictor: Predictor) -> None:
        self.batches: list = []
        build = predictor.builder.build

        def noted(windows):
            self.batches.append(build(windows))
            return self.batches[-1]

        object.__setattr__(predictor.builder, "build", noted)


def rate(rounds: int, windows: int) -> None:
    print(f"torch threads {torch.get_num_threads()}; {windows} windows; median of {rounds} alternating rounds")
    for nodes in (5, 31):
        for name, arguments in MODELS.items():
            for kind, (frames, source) in KINDS.items():
                count = windows // 5 if nodes == 31 or name == "segnn" else windows
                with tempfile.TemporaryDirectory() as place:
                    found = compared(Path(place), name, arguments, nodes, frames, count, rounds, source)
                    print(f"{nodes:3d} nodes, {name} 64x4, {kind:24s}: {found}", flush=True)


def compared(folder: Path, name: str, arguments: dict, nodes: int, frames: int, windows: int, rounds: int, source: str) -> str:
    made = package(name, arguments, nodes, folder / "data")
    save_package(made, folder / "package")
    write(folder / source, scenes(windows, nodes, frames))
    every = None if frames == SHORT else 1
    job = Job(str(folder / "package"), every=every)
    predictor, ready = job.predictor(), job.predictor()
    captured = Captured(ready)
    found = sum(len(batch) for batch in flow(ready, job, folder / source))

    def alone() -> None:
        with torch.inference_mode():
            for batch in captured.batches:
                ready.model(filled(batch, ready.builder.schema))

    def whole() -> None:
        write_forecasts(flow(predictor, job, folder / source), folder / "out.parquet")

    times: dict[str, list[tuple[float, float]]] = {"alone": [], "whole": []}
    for turn in range(rounds + 1):
        for label, work in (("alone", alone), ("whole", whole)):
            start = time.perf_counter(), time.process_time()
            work()
            if turn:
                times[label].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    wall, cpu = (statistics.median(a[i] / b[i] for a, b in zip(times["alone"], times["whole"], strict=True)) for i in (0, 1))
    speed = {label: found / statistics.median(pair[0] for pair in pairs) for label, pairs in times.items()}
    if "--profile" in sys.argv:
        profile(whole)
    return (
        f"model {speed['alone']:7.0f}/s, Parquet to Parquet {speed['whole']:7.0f}/s; ratio {wall:.2f} (processor time {cpu:.2f})"
    )


def write(path: Path, found: Iterator[Trajectory]) -> None:
    if path.suffix:
        write_trajectories(path, found)
    else:
        build_dataset(found, path)


def flow(predictor: Predictor, job: Job, source: Path) -> Iterator[ForecastBatch]:
    return forecasts(predictor, job, pieces_of([source], job.read), lambda finding: None, lambda count: None)


def profile(work) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(work)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)


def memory(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_package(package("egnn", {"hidden": 8, "layers": 1}, 5, folder / "data"), folder / "package")
        for kind, (frames, source) in KINDS.items():
            for windows in sizes:
                write(folder / source, scenes(windows, 5, frames))
                print(f"{kind:24s} {windows:9d} windows: {one(folder, source, frames)}", flush=True)


def one(folder: Path, source: str, frames: int) -> str:
    """One prediction by the program itself; its peak memory and time."""
    words = ["predict", folder / "package", folder / source, "-o", f"{folder}/out-{source}-{frames}/"]
    words += [] if frames == SHORT else ["--every", "1"]
    return subprocess.run([sys.executable, "-c", MEASURED, *map(str, words)], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    what, *numbers = [word for word in sys.argv[1:] if not word.startswith("--")] or ["rate"]
    if what == "rate":
        rate(*(int(number) for number in (numbers + ["5", "5000"][len(numbers) :])))
    else:
        memory([int(number) for number in numbers] or [10_000, 100_000, 1_000_000])
