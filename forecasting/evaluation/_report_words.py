"""The result in plain words: the headline, what each verdict means, and what to do next."""

from collections.abc import Mapping
from typing import Any

NOT_WHOLE = ("translations along n", "translations across n", "translations", "time reversal", "scale")
EXACT, NEAR, ROUGH = 1e-4, 0.02, 0.2
SMALL = 1e-4
SIGNS = {"kept": "✓ kept", "broken": "✗ broken", "cannot tell": "? cannot tell"}


def number(value: Any) -> str:
    """A number with four digits, – where there is none, other things as they are."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.1e}" if 0 < abs(value) < SMALL else f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share as percent with one decimal, – where there is none."""
    return "–" if share is None else f"{100 * share:.1f}%"


def failure(section: Any) -> str:
    """Why a section failed, or nothing."""
    return str(section.get("failed", "")) if isinstance(section, Mapping) else ""


def headline(result: Mapping[str, Any]) -> str:
    """One sentence: how good."""
    mse, simple = result["plain"]["mse"], result["baselines"]["constant_velocity"]["mse"]
    if simple == 0 or mse == 0:
        said = f"The model's mean squared error is {mse:.4g} {result['unit']}², that of assuming constant velocity {simple:.4g}."
    else:
        ratio = mse / simple
        compared = _compared(ratio)
        said = (
            f"Over {result['windows']} windows the model's mean squared error is {mse:.4g} {result['unit']}², {compared} that of "
            f"assuming constant velocity ({simple:.4g} {result['unit']}²)."
        )
    return said


def _compared(ratio: float) -> str:
    if 0.5 < ratio < 2:
        return f"{abs(1 - ratio):.0%} {'smaller' if ratio < 1 else 'larger'} than"
    return f"{1 / ratio:.3g} times smaller than" if ratio < 1 else f"{ratio:.3g} times larger than"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def moves_along(residual: float | None) -> str:
    """What a residual says, in words."""
    if residual is None:
        return "not measured"
    if residual < EXACT:
        return "moves along exactly"
    if residual < NEAR:
        return "moves along nearly"
    return "moves along roughly" if residual < ROUGH else "does not move along"


def interval(value: Mapping[str, Any] | None, key: str) -> str:
    """Such as 7.1 (6.2 to 8)."""
    if not value or value.get(key) is None:
        return "–"
    low, high = value.get("low"), value.get("high")
    known = low is not None and high is not None and abs(value[key]) > EXACT
    return f"{value[key]:.3g} ({low:.3g} to {high:.3g})" if known else number(value[key])


def findings(verdicts: Mapping[str, Any]) -> list[str]:
    """What was found beside the groups: the axis, the layer, the errors."""
    found = []
    axis = verdicts.get("axis") or {}
    if axis.get("share") is not None:
        kind = f" ({axis['of']})" if axis.get("of") else ""
        found.append(f"The axis n{kind} accounts for {axis['share']:.0%} of what breaks the rotations.")
    if verdicts.get("broken_by"):
        found.append(f"The layer that breaks the symmetry most is {verdicts['broken_by']}.")
    errors = verdicts.get("errors") or {}
    if errors.get("full") is not None and errors.get("strict") is not None:
        found.append(
            f"The error of the free model is {number(errors['full'])}, with all symmetry forced on it {number(errors['strict'])}."
        )
    return found


def next_steps(verdicts: Mapping[str, Any]) -> list[str]:
    """What to do about it."""
    groups = [row for row in verdicts["groups"] if row["group"] not in NOT_WHOLE]
    kept = [row for row in groups if row["data"] == "kept"]
    broken = [row for row in groups if row["data"] == "broken"]
    unknown = [row for row in groups if row["data"] == "cannot tell"]
    steps = []
    if groups and not kept and not broken:
        steps.append(
            "No group could be judged. Train with relaxation=mixed on data that move in many directions, and evaluate that."
        )
    loose = [row for row in kept if (row["model"].get("residual") or 0) > NEAR]
    if loose:
        names = _listed([row["group"] for row in loose])
        steps.append(
            f"The data keep {names}, and the model does not: a model that is held to it should need fewer data and err less."
        )
    held = [row for row in broken if (row["model"].get("residual") or 0) < NEAR]
    if held:
        names = _listed([row["group"] for row in held])
        steps.append(f"The data break {names}, and the model holds on to it: train with relaxation=mixed.")
    if kept and not loose and not held:
        steps.append(
            "The model has the symmetry that the data keep; forecasts of moved scenes can be trusted as far as that goes."
        )
    if broken and not held:
        names = _listed([row["group"] for row in broken])
        steps.append(f"Do not turn, mirror or augment your data by {names}: what moves there follows other laws.")
    if unknown and (kept or broken):
        names = _listed([row["group"] for row in unknown])
        steps.append(f"{names} could not be judged: collect scenes that move in the missing directions, or more of them.")
    return steps


def glossary() -> list[tuple[str, str]]:
    """How to read the page."""
    return [
        ("MSE", "mean squared error of one coordinate: smaller is better; its unit is a length squared"),
        ("ADE, FDE", "mean distance between forecast and truth: over all steps, and at the last scored step of each node"),
        ("MPJPE", "mean distance at the last step of the horizon"),
        (
            "residual",
            "how far the forecast of a moved scene is from the moved forecast, as a share of the forecast motion: 0 is a model "
            "that moves along exactly, 0.01 one that is 1 % off, 1 one that is off by as much as things move",
        ),
        (
            "kept",
            "a model held to the group and trained a little more errs less than 2 % more than a free one, with 95 % confidence",
        ),
        ("broken", "holding the model to the group costs more than 2 %, with 95 % confidence"),
        (
            "cannot tell",
            "the interval spans 2 %, or the data do not move in enough directions to say, or the model was never free",
        ),
        ("O(3), SO(3)", "all rotations, with and without mirrors"),
        ("C∞v(n), SO(2)(n)", "rotations about the axis n, with and without mirrors that hold n; gravity along n keeps both"),
        (
            "C∞h(n), D∞h(n)",
            "rotations about n with the mirror across n (a magnetic field along n keeps it), and half-turns too (a line)",
        ),
        (
            "level c, gate γ, price λ",
            "how much a layer breaks a symmetry, the gate that lets it, and what training charges for it",
        ),
        ("Lie derivative", "how fast the forecast falls out of step when the input begins to turn or shift: 0 is exact"),
        ("R1, R2", "length of the mean heading, and of the mean heading with opposite ones alike: 0 all around, 1 all one way"),
        ("p-value", "how often chance alone would make the moved data look this different"),
    ]
