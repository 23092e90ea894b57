"""Known worlds: is the verdict right? Simulates, trains and judges, and counts false answers, open ones, and the axis error.

    python benchmarks/worlds.py --worlds gravity trap --seeds 0 1 -o worlds
    python benchmarks/worlds.py -o worlds                                     all worlds, five seeds

One run is one process on one thread; runs that are there already (OUTPUT/WORLD-SEED.json) are not repeated.
"""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AXIS = [0.3, -0.5, 0.81]
CHARGED = {"steps": 701}
SMALL = {"hidden": 32, "layers": 3}
WORLDS = {
    "clean": ("nbody_charged_clean", CHARGED, [5], SMALL),
    "gravity": ("nbody_charged_clean", {**CHARGED, "gravity": 9.81, "axis": AXIS}, [5], SMALL),
    "field": ("nbody_charged_clean", {**CHARGED, "field": 3.0, "axis": AXIS}, [5], SMALL),
    "trap": ("nbody_charged_clean", {**CHARGED, "trap": 20.0, "axis": AXIS}, [5], SMALL),
    "cubic": ("nbody_charged_clean", {**CHARGED, "bodies": 3, "cubic": 20.0}, [5], {"hidden": 24, "layers": 2, "l_max": 2}),
    "drag": ("nbody_charged_clean", {**CHARGED, "drag": 2.0}, [5], SMALL),
    "springs": ("springs", {"frames": 70}, [20], SMALL),
}
"""Name -> simulator, parameters, horizon, network."""
COUNTS = {"train": 2000, "validation": 500, "test": 1000}
JUDGED_ELSEWHERE = ("time reversal", "scale")


def one(world: str, seed: int, place: Path, epochs: int) -> dict:
    """Simulate, train and judge once, on one thread."""
    from forecasting.numerics import configure

    configure()
    import numpy as np
    import torch

    from forecasting.cli.configuration import compose
    from forecasting.cli.train import train_from
    from forecasting.evaluation.protocol import evaluate, partition_anchors
    from forecasting.evaluation.verdict import judge
    from forecasting.packages.package import load_package
    from forecasting.trajectories.dataset import build_dataset
    from forecasting.trajectories.simulators.base import build_simulator

    torch.set_num_threads(1)
    simulator, parameters, horizon, network = WORLDS[world]
    built = build_simulator(simulator, parameters)
    dataset = build_dataset(built.partitioned(COUNTS, 100 + seed), place / f"{world}-{seed}" / "data", symmetry=built.symmetry)
    sizes = [f"model.arguments.{name}={value}" for name, value in network.items()]
    run = place / f"{world}-{seed}" / "run"
    start, busy = time.perf_counter(), time.process_time()
    trained = train_from(
        compose([
            "experiment=worlds", f"data.path={dataset.folder}", f"run={run}", f"data.window.horizon={horizon}", f"seed={seed}",
            f"training.epochs={epochs}", "threads=1", *sizes,
        ])
    )  # fmt: skip
    package = load_package(trained["package"])
    learned, test = time.perf_counter() - start, partition_anchors(package, dataset, "test")
    found = judge(package, dataset, test, partition_anchors(package, dataset, "train"))
    axis = None
    if found["axis"] is not None and built.axis is not None:
        cosine = abs(float(np.dot(found["axis"]["vector"], built.axis)))
        axis = float(np.degrees(np.arccos(min(cosine, 1.0))))
    return {
        "world": world,
        "seed": seed,
        "mse": evaluate(package, dataset, test)["plain"]["mse"],
        "answers": {row["group"]: row["data"] for row in found["groups"]},
        "truth": dict(built.truth),
        "ratios": {row["group"]: row["ratio"] for row in found["groups"]},
        "axis_error": axis,
        "axis": found["axis"],
        "errors": found["errors"],
        "seconds": time.perf_counter() - start,
        "seconds_of_training": learned,
        "cpu_seconds": time.process_time() - busy,
    }


def table(results: list[dict]) -> str:
    """Per world, and in all: right, false and open answers, axis errors, errors, seconds."""
    header = ["world", "right", "false kept", "false broken", "open", "axis error [°]", "test MSE", "CPU s a run"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for world in [*WORLDS, "all"]:
        mine = [result for result in results if world in (result["world"], "all")]
        if not mine:
            continue
        tally = dict.fromkeys(("right", "kept", "broken", "open"), 0)
        for result in mine:
            for group, answer in result["answers"].items():
                if group in JUDGED_ELSEWHERE:
                    continue
                true = "kept" if result["truth"][group] else "broken"
                tally["open" if answer == "cannot tell" else "right" if answer == true else answer] += 1
        axes = [result["axis_error"] for result in mine if result["axis_error"] is not None]
        mse = [result["mse"] for result in mine]
        errors = f"{min(axes):.2g}–{max(axes):.2g}" if axes else "–"
        sizes = f"{min(mse):.2g}–{max(mse):.2g}" if world != "all" else ""
        seconds = max(result["cpu_seconds"] for result in mine)
        cells = [world, *(str(tally[key]) for key in ("right", "kept", "broken", "open")), errors, sizes, f"≤ {seconds:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run what is asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--processes", type=int, default=2, help="runs at a time (default: 2)")
    parser.add_argument("-o", "--output", type=Path, default=Path("worlds"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.one:
        (world,), (seed,) = options.worlds, options.seeds
        result = one(world, seed, options.output, options.epochs)
        (options.output / f"{world}-{seed}.json").write_text(json.dumps(result, indent=1))
        return

    def start(job: tuple[str, int]) -> None:
        world, seed = job
        if (options.output / f"{world}-{seed}.json").exists():
            return
        command = [sys.executable, __file__, "--one", "--worlds", world, "--seeds", str(seed), "-o", str(options.output)]
        with (options.output / f"{world}-{seed}.log").open("w") as log:
            code = subprocess.run([*command, "--epochs", str(options.epochs)], stdout=log, stderr=log, check=False).returncode
        print(f"{world} {seed}: {'done' if code == 0 else f'failed ({code})'}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(options.processes) as pool:
        list(pool.map(start, [(world, seed) for seed in options.seeds for world in options.worlds]))
    files = [options.output / f"{world}-{seed}.json" for world in options.worlds for seed in options.seeds]
    print(table([json.loads(file.read_text()) for file in files if file.exists()]))


if __name__ == "__main__":
    main()
