"""PER's tasks (Kim et al., ICML 2023) with a relaxed perceptron on irreps: which symmetry do the maps lean towards?

python benchmarks/per_tasks.py inertia [--epochs 1000] [--batch 500] [--copies 5] [--methods "free;per"] [--out results.json]
python benchmarks/per_tasks.py cossim [--epochs 250]
python benchmarks/per_tasks.py motion --data FOLDER [--epochs 60] [--residual]
python benchmarks/per_tasks.py table results.json [more.json ...]

One table for each task, as markdown: method x (test, OOD and shifted MSE, r_G, λ_G), mean ± standard deviation over copies, which
are seeds. FOLDER holds ADS-B files (JSON rows). ``--epochs`` shortens the published number; the tuning of λ and its window keep
their share of it.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from forecasting.numerics import configure

configure(1)

import torch  # noqa: E402
from per import motion  # noqa: E402
from per.prices import GROUPS  # noqa: E402
from per.tasks import Task, cosines, inertia  # noqa: E402
from per.training import METHODS, RECIPES, Outcome, train  # noqa: E402
from torch import Tensor  # noqa: E402

PER_NAMES = dict(zip(GROUPS, ("O(3)", "O2_xy", "O2_yz", "O2_xz"), strict=True))
ROUND_OFF = 1e-9
KEPT = ("O(3)", "O2_xy", "nothing")
Record = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("inertia", "cossim", "motion", "table"))
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, help="folder of ADS-B files")
    parser.add_argument("--residual", action="store_true", help="motion: learn what constant velocity leaves")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("--methods", default=";".join(METHODS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.task == "table":
        print_table([row for path in given.files for row in json.loads(path.read_text(encoding="utf-8"))])
        return
    flights = None
    if given.task == "motion":
        flights = motion.flights(given.data, residual=given.residual)
        print("\n".join(flights.notes))
    task = flights.task if flights else {"inertia": inertia, "cossim": cosines}[given.task]()
    recipe = RECIPES[given.task].shortened(given.epochs or RECIPES[given.task].epochs)
    recipe = replace(recipe, batch=given.batch or recipe.batch)
    records: list[Record] = []
    for name in given.methods.split(";"):
        outcome = train(task, name, recipe, given.copies)
        extra = {"ADE [m]": flights.distances(outcome.network).tolist()} if flights else {}
        records.append(record(task, outcome, recipe.epochs, extra))
        if given.out:
            given.out.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
        print(f"{name}: {outcome.seconds:.0f} s of CPU", flush=True)
    print_table(records)


def record(task: Task, outcome: Outcome, epochs: int, extra: Record) -> Record:
    """What a table needs, as plain numbers."""
    return {
        "task": task.name,
        "method": outcome.method,
        "epochs": epochs,
        "errors": {part: values.tolist() for part, values in outcome.errors.items()},
        "r": outcome.leanings.tolist(),
        "shares": outcome.shares.tolist(),
        "size": outcome.size.tolist(),
        "found": {name: values.tolist() for name, values in outcome.found.items()},
        "seconds": outcome.seconds,
        **extra,
    }


def print_table(records: list[Record]) -> None:
    """Markdown: errors and levels, then r_G unnormalised, then what can be said of the axis."""
    parts = [part for part in ("test", "ood", "shifted", "turned") if part in records[0]["errors"]]
    columns = [f"{part} MSE" for part in parts] + ["ADE [m]"] * ("ADE [m]" in records[0])
    named = list(PER_NAMES.values())
    lines = [[f"**{records[0]['task']}**", *columns, *(f"r {group}" for group in named), *(f"λ {group}" for group in named[1:])]]
    for row in records:
        errors = [row["errors"][part] for part in parts] + ([row["ADE [m]"]] if "ADE [m]" in row else [])
        leanings = torch.tensor(row["r"]) / torch.tensor(row["shares"])
        strengths = torch.tensor(row["found"]["strengths"])[:, 1:].T if "strengths" in row["found"] else [None] * 3
        cells = [spread(torch.tensor(values)) for values in errors] + [spread(values) for values in leanings.T]
        lines.append([str(row["method"]), *cells, *("" if values is None else spread(values) for values in strengths)])
    print(markdown(lines))
    shares = ", ".join(f"{name} {share:.3f}" for name, share in zip(named, records[0]["shares"], strict=True))
    print(f"\nUnnormalised r = r above x share of dimensions that the group forbids: {shares}.\n")
    print(markdown([["unnormalised", *named, "Σ‖M‖²/2"], *(unnormalised(row) for row in records)]) + "\n")
    for row in records:
        said = verdict(row)
        if said:
            print(f"- {row['method']}: {said}")


def unnormalised(row: Record) -> list[str]:
    return [str(row["method"]), *(spread(values) for values in torch.tensor(row["r"]).T), spread(torch.tensor(row["size"]) / 2)]


def verdict(row: Record) -> str:
    """In how many copies O2_xy is nearest and dearest; what `mixed` kept."""
    leanings, found = torch.tensor(row["r"])[:, 1:], row["found"]
    if row["method"] in ("strict", "C∞v(z)"):
        return ""
    if "kept" in found:
        first, second = torch.tensor(found["levels"]).mean(0).tolist()
        kept = ", ".join(KEPT[index] for index in found["kept"])
        return f"kept {kept}; mean level {first:.2g} of what O2_xy adds to O(3), {second:.2g} of the rest"
    said = [f"O2_xy has the smallest r in {int((leanings.argmin(1) == 0).sum())} of {len(leanings)} seeds"]
    if "strengths" in found:
        strengths = torch.tensor(found["strengths"])[:, 1:]
        said.append(f"and the largest λ in {int((strengths.argmax(1) == 0).sum())}")
    return " ".join(said)


def spread(values: Tensor) -> str:
    """Mean ± standard deviation, three digits; 0 for what is round-off."""
    if values.abs().max() < ROUND_OFF:
        return "0"
    mean, deviation = values.mean().item(), values.std().item() if len(values) > 1 else 0.0
    return f"{mean:.3g} ± {deviation:.2g}"


def markdown(lines: list[list[str]]) -> str:
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


if __name__ == "__main__":
    main()
