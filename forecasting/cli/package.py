"""`forecast package`: make, look into and compare model packages."""

import argparse
from typing import Any

from forecasting.cli.output import print_table

SUMMARY = "make, look into and compare model packages"
DESCRIPTION = """\
A package is a trained model with everything it needs: two files, weights.safetensors and package.json, that no code is run from.

  forecast package inspect checkpoints/tracks              what it is, what it was trained on, how good and how equal it is
  forecast package diff checkpoints/a checkpoints/b        what differs: arguments, data, weights tensor by tensor, cards
  forecast diagnose checkpoints/tracks data/tracks --json > diagnosis.json
  forecast package build checkpoints/tracks -o tracks --symmetry diagnosis.json --name tracks

Building takes the package of a run (or another package), keeps the diagnosis as its symmetry card, and drops the folders of this
machine from it.
"""
ACTIONS = {"build": 1, "inspect": 1, "diff": 2}
SHOWN = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("packages", nargs="+", help="package or run folder; two to compare")
    parser.add_argument("-o", "--output", help="build: folder of the new package")
    parser.add_argument("--symmetry", help="build: output of `forecast diagnose --json`, or a report.json, to keep")
    parser.add_argument("--calibration", help="build: package, or JSON file, whose calibration to keep")
    parser.add_argument("--name", help="build: what to call it")
    parser.add_argument("--note", help="build: a sentence for those who use it")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Do it, and describe what came of it."""
    from forecasting.errors import UsageError

    expected = ACTIONS[options.action]
    if len(options.packages) != expected:
        raise UsageError(
            f"forecast package {options.action} takes {expected} package{'s' * (expected > 1)}, found {len(options.packages)}"
        )
    if options.action == "build":
        return {"action": "build", **_build(options)}
    for name in ("output", "symmetry", "calibration", "name", "note"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} belongs to `forecast package build`")
    if options.action == "inspect":
        from forecasting.packages.description import describe

        return {"action": "inspect", **describe(options.packages[0])}
    from forecasting.packages.difference import difference
    from forecasting.packages.package import load_package

    one, other = (load_package(path) for path in options.packages)
    return {"action": "diff", **difference(one, other)}


def _build(options: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import replace

    from forecasting.errors import UsageError
    from forecasting.packages.cards import errors_card, public, symmetry_card
    from forecasting.packages.description import describe
    from forecasting.packages.package import load_package, package_folder, save_package

    if not options.output:
        raise UsageError("forecast package build needs -o FOLDER, where the package is to be")
    package = load_package(options.packages[0])
    card, symmetry, calibration = dict(package.card), package.symmetry, package.calibration
    if options.symmetry:
        diagnosis = _read(options.symmetry)
        try:
            symmetry, errors = symmetry_card(diagnosis), errors_card(diagnosis)
        except UsageError as error:
            raise UsageError(f"{options.symmetry}: {error}") from None
        card |= {"errors": errors} if errors else {}
    if options.calibration:
        calibration = _calibration(options.calibration)
    card |= {key: value for key in ("name", "note") if (value := getattr(options, key)) is not None}
    built = replace(package, card=public(card), symmetry=public(symmetry), calibration=public(calibration))
    return describe(save_package(built, options.output, package_folder(options.packages[0])))


def _calibration(path: str) -> Any:
    from pathlib import Path

    from forecasting.errors import UsageError
    from forecasting.packages.package import load_package

    found = load_package(path).calibration if Path(path).is_dir() else _read(path)
    if found is None:
        raise UsageError(f"{path} has no calibration")
    return found


def _read(path: str) -> dict[str, Any]:
    import json
    from pathlib import Path

    from forecasting.errors import UsageError

    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no JSON object")
    return found


def show(result: dict[str, Any]) -> None:
    """In words and tables."""
    if result["action"] == "diff":
        _show_difference(result)
        return
    from forecasting.errors import PackageError

    try:
        _show_package(result)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # cards hold whatever somebody wrote into them
        raise PackageError(f"{result['package']}: its cards are not of the usual shape ({error}); --json shows them") from None


def _show_package(result: dict[str, Any]) -> None:
    from forecasting.cli._package_words import sentences

    if result["action"] == "build":
        print(f"{result['package']}: {result['bytes'] / 1e6:.2f} MB of weights")
    for line in sentences(result):
        print(line)
    for title, header, rows in (("errors", *_errors(result)), ("symmetry", *_symmetry(result))):
        if rows:
            print(f"\n{title}")
            print_table(header, rows)


def _errors(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    errors = result["errors"]
    rows = errors["rows"].items() if errors else ()
    unit = errors["unit"] if errors else ""
    return ["forecast", f"ADE [{unit}]", f"FDE [{unit}]"], [[name, row["ade"], row["fde"]] for name, row in rows]


def _symmetry(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    groups = (result["symmetry"] or {}).get("groups", [])
    rows = [[row["group"], row["data"], row["residual"].get("residual"), row["meaning"] or ""] for row in groups]
    if not rows:
        copies = (result["symmetry"] or {}).get("copies", {})
        return ["copy", "residual of the model", "meaning"], [
            [name, row["residual"], row["meaning"]] for name, row in copies.items()
        ]
    return ["group", "data", "residual of the model", "meaning"], rows


def _show_difference(result: dict[str, Any]) -> None:
    if result["same"]:
        print("no difference")
        return
    values, weights = result["values"], result["weights"]
    if values:
        print_table(
            ["value", "one", "other"],
            [[row["where"], *(_short(row[name]) for name in ("one", "other"))] for row in values[:SHOWN]],
        )
    for row in weights["shapes"][:SHOWN]:
        print(f"{row['name']}: shape {row['one']} and {row['other']}")
    if weights["changed"]:
        print_table(
            ["weights", "norm of one", "of the other", "of the difference", "relative"],
            [[row[name] for name in ("name", "one", "other", "difference", "relative")] for row in weights["changed"][:SHOWN]],
        )
    hidden = sum(max(len(each) - SHOWN, 0) for each in (values, weights["shapes"], weights["changed"]))
    if hidden:
        print(f"… and {hidden} more (--json lists all)")
    print(f"{weights['equal']} tensors are equal, {len(weights['changed'])} changed, {len(weights['shapes'])} of another shape")


def _short(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 48 else f"{text[:45]}…"
