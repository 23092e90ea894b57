"""Tables of the report, as plain headings and rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forecasting.evaluation._report_words import SIGNS, interval, moves_along, number, percent


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        columns: headings; rows: as many cells each; caption: above it; kinds: a style for each row, or nothing;
        said_last: whether the last column holds sentences.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    kinds: Sequence[str] = ()
    said_last: bool = False


def verdict_table(verdicts: Mapping[str, Any]) -> Table:
    """One row for each group: what it means, what the data say, what the model does."""
    rows = []
    for row in verdicts["groups"]:
        residual = row["model"].get("residual")
        rows.append(
            (
                f"{row['group']}: {row['meaning']}",
                SIGNS.get(row["data"], str(row["data"])),
                row["because"],
                f"{moves_along(residual)}, residual {interval(row['model'], 'residual')}",
            )
        )
    kinds = [row["data"].replace(" ", "-") for row in verdicts["groups"]]
    return Table(("If the scene is …", "the data", "because", "the model"), rows, kinds=kinds)


def cost_table(verdicts: Mapping[str, Any], unit: str) -> Table:
    """What holding the model to each group costs, and how far each layer is from keeping it."""
    layers = list(dict.fromkeys(name for row in verdicts["groups"] for name in row.get("distance") or {}))
    columns = (
        "group",
        "ratio of errors (95 %)",
        f"MSE held to it [{unit}²]",
        "and on moved copies",
        *(f"|M−PM|/|M| {name}" for name in layers),
    )
    rows = [
        (
            row["group"],
            interval(row.get("ratio"), "value"),
            number(row.get("error")),
            number(row.get("error_turned")),
            *(number((row.get("distance") or {}).get(name)) for name in layers),
        )
        for row in verdicts["groups"]
    ]
    return Table(columns, rows, "What holding the model to each group costs, and how far each relaxed layer is from keeping it")


def layer_table(verdicts: Mapping[str, Any]) -> Table | None:
    """Levels, gates and prices of each layer, and what kind of thing breaks the symmetry there."""
    layers = verdicts.get("layers") or []
    kinds = list(dict.fromkeys(kind for layer in layers for kind in layer.get("spectrum") or {}))
    rows = []
    for layer in layers:
        spectrum = layer.get("spectrum") or {}
        shares = [f"{spectrum[kind]:.0%}" if spectrum.get(kind) is not None else "–" for kind in kinds]
        for index, part in enumerate(layer.get("parts") or [{}]):
            first = index == 0
            rows.append(
                (
                    layer["layer"] if first else "",
                    str(part.get("step", "–")),
                    *(number(part.get(key)) for key in ("c", "gamma", "dual")),
                    *(shares if first else [""] * len(kinds)),
                )
            )
    if not rows:
        return None
    return Table(
        ("layer", "lets go of", "level c", "gate γ", "price λ", *kinds), rows, "Where the symmetry is broken, and by what"
    )


def error_table(result: Mapping[str, Any]) -> Table:
    """Errors of the model, plain and on moved copies, and of the baselines."""
    unit = result["unit"]
    rows = [(f"{result['model']}, plain", result["plain"], None, "the test set as it is")]
    rows += [(f"{result['model']}, {name}", copy, copy["residual"], copy["meaning"]) for name, copy in result["copies"].items()]
    rows += [(name.replace("_", " "), sums, None, "baseline, plain") for name, sums in result["baselines"].items()]
    cells = [
        (name, *(number(sums.get(key)) for key in ("mse", "ade", "fde", "mpjpe")), number(residual), meaning)
        for name, sums, residual, meaning in rows
    ]
    lengths = [f"{name} [{unit}]" for name in ("ADE", "FDE", "MPJPE")]
    return Table(("", f"MSE [{unit}²]", *lengths, "residual", "what it is"), cells, said_last=True)


def region_table(regions: Mapping[str, Any], unit: str, following: bool = False) -> Table:
    """How often regions hold the truth, one row for each level."""
    rows = []
    for row in regions["levels"]:
        steps = [share for share in row["per_step"] if share is not None]
        worst = row["worst"] or {"overall": None, "type": ""}
        rows.append(
            (
                f"{100 * row['level']:g}%",
                percent(row["overall"]),
                percent(row["joint"]),
                f"{percent(min(steps))} to {percent(max(steps))}" if steps else number(None),
                number(row["radius"]),
                f"{percent(worst['overall'])} {worst['type']}".strip(),
            )
        )
    columns = (
        "level",
        "each step",
        "whole way",
        "from step to step",
        f"mean radius [{unit}]",
        "furthest type",
    )
    windows = f"{regions['windows']} windows, {regions['positions']} positions"
    return Table(columns, rows, f"Held following each recording: {windows}" if following else f"Held: {windows}")


def held_tables(regions: Mapping[str, Any], lead_times: Sequence[float]) -> list[Table]:
    """The same shares for each step, and for each type of node."""
    levels = regions["levels"]
    names = [f"{100 * row['level']:g}%" for row in levels]
    steps = [(f"{number(lead)} s", *(percent(row["per_step"][step]) for row in levels)) for step, lead in enumerate(lead_times)]
    types = [
        (
            first["type"],
            *(percent(row["types"][place][key]) for row in levels for key in ("overall", "joint")),
            str(first["positions"]),
        )
        for place, first in enumerate(levels[0]["types"])
    ]
    columns = [f"{name} {what}" for name in names for what in ("steps", "ways")]
    return [
        Table(("time ahead", *names), steps, "Held at each step, by level"),
        Table(("type of node", *columns, "positions"), types, "Held of each type of node, at single steps and on whole ways"),
    ]


def sample_table(tests: Sequence[Mapping[str, Any]]) -> Table:
    """The two-sample tests."""
    rows = [
        (
            f"{test['group']}: {test['meaning']}",
            "different" if test["different"] else "no difference found",
            number(test.get("statistic")),
            number(test.get("p_value")),
            test["because"],
        )
        for test in tests
    ]
    return Table(("moved copies of the data", "compared with the data", "statistic", "p-value", "because"), rows)


def given_table(table: Mapping[str, Any]) -> Table:
    """A table that came with the result."""
    rows = [[number(cell) for cell in row] for row in table["rows"]]
    return Table([str(name) for name in table["columns"]], rows, str(table.get("name", "")))


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain values as lines of name and value; long lists are left out."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            lines += flat(value, f"{name}, ")
        elif isinstance(value, list | tuple):
            if value and len(value) <= 8 and not any(isinstance(item, list | tuple | Mapping) for item in value):
                lines.append((name, ", ".join(number(item) for item in value)))
        elif value is not None and value != "":
            lines.append((name, number(value)))
    return lines
