"""Do regions hold the truth as often as they say? Short trainings, calibration on validation windows, coverage on test windows.

    python benchmarks/coverage.py FOLDER_OF_DATA OUTPUT_FOLDER [name …]

Packages that exist in OUTPUT_FOLDER are not trained again. Prints the table of docs/uncertainty.md: percent of truths held at the
levels 80, 90 and 95, of single steps (with the lowest and highest step) and of whole ways, overall and of the node type furthest
from the level, and the mean radius. ``following`` lets the regions follow the test recording (`forecast evaluate --follow`).
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

SMALL = ("--train", "1000", "--validation", "1000", "--test", "1000")
WORLDS = {
    "charged": ("nbody_charged", "--train", "3000", "--validation", "2000", "--test", "2000", "--seed", "43"),
    "gravity": ("nbody_charged_clean", *SMALL, "--set", "steps=701", "gravity=9.81", "axis=[0.3, -0.5, 0.81]"),
}
FILES = {
    "cmu_run": ("mocap/cmu-run-09-egno/motion_run.npz", "data.split.arguments.file={data}/mocap/cmu-run-09-egno/split_run.npz"),
    "eth_ucy_hotel": ("pedestrians/eth-ucy-raw",),
}
RUNS = {
    "charged": ("charged", ["training.epochs=40", "training.ema_decay=0.99"]),
    "gravity": ("gravity", ["training.epochs=6"]),
    "cmu_run": ("cmu_run", ["training.epochs=40"]),
    "eth_ucy_hotel": ("eth_ucy_hotel", ["training.epochs=2"]),
    "eth_ucy_hotel-scale": ("eth_ucy_hotel", ["training.epochs=5", "model.arguments.head={name:scale}"]),
    "eth_ucy_hotel-hypotheses": ("eth_ucy_hotel", ["training.epochs=5", "model.arguments.head={name:hypotheses,count:5}"]),
}
WINDOW_BY_WINDOW = ("cmu_run",)
FOLLOWED = ("eth_ucy_hotel", "eth_ucy_hotel-scale", "eth_ucy_hotel-hypotheses")


def forecast(*arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "forecasting.cli.main", *arguments, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"forecast {' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def trained(name: str, data: Path, out: Path) -> Path:
    """The package of one run, trained if it is not there."""
    experiment, overrides = RUNS[name]
    folder = out / name
    if (folder / "package").exists():
        return folder
    if experiment in WORLDS:
        path, extra = out / "data" / experiment, []
        if not path.exists():
            forecast("simulate", *WORLDS[experiment], "-o", str(path))
    else:
        first, *rest = FILES[experiment]
        path, extra = data / first, [item.format(data=data) for item in rest]
    about = (f"data.path={path}", f"run={folder}", f"data_root={out / 'data'}")
    forecast("train", f"experiment={experiment}", *about, *extra, *overrides)
    return folder


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def print_rows(name: str, how: str, coverage: dict) -> None:
    for row in coverage["levels"]:
        worst = row["worst"]
        print(
            f"| {name} | {how} | {100 * row['level']:g} | {percent(row['overall'])} | {percent(min(row['per_step']))}–"
            f"{percent(max(row['per_step']))} | {percent(row['joint'])} | {percent(worst['overall'])} ({worst['type']}) | "
            f"{row['radius']:.3g} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=list(RUNS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    out = options.out.resolve()
    print("| data | regions | level | each step | of steps | whole way | furthest type | radius |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.names:
        folder = trained(name, options.data.resolve(), out)
        dataset = json.loads((folder / "package" / "package.json").read_text())["card"]["data"]["folder"]
        place, alike = out / "calibrated" / name, "windows" if name in WINDOW_BY_WINDOW else "auto"
        about = forecast("calibrate", str(folder), dataset, "-o", str(place), "--alike", alike)["about"]
        result = forecast("evaluate", str(place), dataset, *(["--follow"] if name in FOLLOWED else []))
        print_rows(name, f"{about['groups']} {about['alike']}", result["regions"])
        if name in FOLLOWED:
            print_rows(name, "following", result["followed"])


if __name__ == "__main__":
    main()
