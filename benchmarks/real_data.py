"""Train EGNN and the trained baselines on the real data sets, one command each, and tabulate errors, time and memory.

    python benchmarks/real_data.py FOLDER_OF_DATA OUTPUT_FOLDER [experiment …] [--models egnn gnn mlp linear_dynamics]

Results that exist in OUTPUT_FOLDER are kept, so the script can be continued; it writes results.json there and prints the table of
docs/results.md.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

EXPERIMENTS = {
    "cmu_run": (
        "mocap/cmu-run-09-egno/motion_run.npz",
        ["data.split.arguments.file={data}/mocap/cmu-run-09-egno/split_run.npz"],
    ),
    "eth_ucy_hotel": ("pedestrians/eth-ucy-raw", []),
    "juelich_bi_corr": ("pedestrians/juelich-pedpy/bi_corr_400_b_03.txt", []),
    "double_pendulum": ("others/ibm-double-pendulum", []),
    "zebrafish": ("others/zebrafish-trajectorytools/trajectories_with_points.npz", []),
}
MODELS = ("egnn", "gnn", "mlp", "linear_dynamics")


def forecast(*arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "forecasting.cli.main", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"forecast {' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def run(name: str, model: str, data: Path, out: Path) -> dict:
    path, extra = EXPERIMENTS[name]
    folder = out / f"{name}-{model}"
    kept = folder / "result.json"
    if kept.exists():
        return json.loads(kept.read_text())
    print(f"{name} {model} …", file=sys.stderr, flush=True)
    trained = forecast(
        "train",
        f"experiment={name}",
        f"model={model}",
        f"data.path={data / path}",
        *(item.format(data=data) for item in extra),
        f"run={folder}",
        f"data_root={out / 'data'}",
    )
    dataset = json.loads((folder / "package" / "package.json").read_text())["card"]["data"]["folder"]
    result = {"trained": trained}
    for partition in ("validation", "test"):
        result[partition] = forecast("evaluate", str(folder), dataset, "--partition", partition)
    kept.write_text(json.dumps(result, indent=1))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("experiments", nargs="*", default=list(EXPERIMENTS))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.experiments:
        results = {model: run(name, model, options.data.resolve(), options.out) for model in options.models}
        unit = results[options.models[0]]["test"]["unit"]
        print(f"\n### {name} (errors in {unit})\n")
        print("| model | validation MSE | test MSE | test ADE | test FDE | yaw-turned MSE | residual | s / epoch | epochs | MB |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for model, result in results.items():
            test, trained = result["test"], result["trained"]
            yaw = test["copies"]["yaw"]
            print(
                f"| {model} | {result['validation']['plain']['mse']:.4g} | {test['plain']['mse']:.4g} "
                f"| {test['plain']['ade']:.4g} "
                f"| {test['plain']['fde']:.4g} | {yaw['mse']:.4g} | {yaw['residual']:.1e} | {trained['seconds_per_epoch']:.2g} "
                f"| {trained['epochs']:.0f} | {trained['peak_memory_mb']:.0f} |"
            )
        first = results[options.models[0]]
        for baseline, sums in first["test"]["baselines"].items():
            validation = first["validation"]["baselines"][baseline]["mse"]
            print(f"| {baseline} | {validation:.4g} | {sums['mse']:.4g} | {sums['ade']:.4g} | {sums['fde']:.4g} | | | | | |")
        last = [(m, r["test"]["plain"]["mse_per_step"][-1]) for m, r in results.items()]
        last += [(b, s["mse_per_step"][-1]) for b, s in first["test"]["baselines"].items()]
        print("\nMSE at the last step: " + ", ".join(f"{model} {value:.4g}" for model, value in last))


if __name__ == "__main__":
    main()
