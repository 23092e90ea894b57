"""Errors over lead time, and on the moved copies."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from forecasting.evaluation.figures import style
from forecasting.evaluation.pictures import COLOURS

WIDE = 50.0


def error_over_time(result: dict[str, Any]) -> Figure:
    """Mean distance over lead time, the model and the baselines; beside each other where there is one step only."""
    named = [(name.replace("_", " "), sums) for name, sums in [(result["model"], result["plain"]), *result["baselines"].items()]]
    label = f"mean distance [{result['unit']}]"
    if len(result["lead_times"]) == 1:
        values = {name: sums["distance_per_step"][0] for name, sums in named}
        return _dots(values, f"{label} {result['lead_times'][0]:.3g} s ahead", None)
    figure, (axes,) = style.plot()
    for index, (name, sums) in enumerate(named):
        steps = [np.nan if value is None else value for value in sums["distance_per_step"]]
        axes.plot(result["lead_times"], steps, label=name, **style.look(index))
    axes.set_xlabel("lead time [s]")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    style.legend(axes)
    return figure


def error_over_copies(result: dict[str, Any]) -> Figure:
    """Mean squared error on the plain test set and on its transformed copies."""
    values = {"plain": result["plain"]["mse"], **{name: copy["mse"] for name, copy in result["copies"].items()}}
    simple = result["baselines"]["constant_velocity"]["mse"]
    return _dots(values, f"mean squared error [{result['unit']}²]", simple)


def _dots(values: dict[str, float | None], label: str, baseline: float | None) -> Figure:
    """One dot a row with its number beside it, logarithmic where they are far apart; a line where the baseline is."""
    rows = [(name, value) for name, value in reversed(values.items()) if value is not None]
    figure, (axes,) = style.plot(height=1.2 + 0.3 * len(rows))
    for place, (_, value) in enumerate(rows):
        axes.plot(value, place, "o", color=COLOURS[0], markersize=7)
        axes.annotate(f"{value:.3g}", (value, place), xytext=(7, 0), textcoords="offset points", va="center", fontsize=8)
    if baseline is not None:
        axes.axvline(baseline, color=COLOURS[1], ls="--", label="constant velocity, plain")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1))
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    known = [value for value in (*values.values(), baseline) if value is not None]
    if min(known) > 0 and max(known) / min(known) > WIDE:
        style.logarithmic(axes.xaxis)
        axes.set_xlim(min(known) / 2, max(known) * 6)
    else:
        axes.set_xlim(0, max([*known, 1e-300]) * 1.25)
    axes.set_xlabel(label)
    return figure
