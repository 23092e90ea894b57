"""What becomes of a forecast that is fed back to the model again and again."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from forecasting.evaluation.figures import style

TRUTH = "_of_truth"
BESIDE = {"error": ("baseline", "constant velocity")}
COUNTS = ("time", "positions", "baseline")


def series_of(rollout: dict[str, Any]) -> dict[str, list[Any]]:
    """The quantities of the model that have a number for some time."""
    return {
        name: values
        for name, values in rollout.items()
        if name not in COUNTS and not name.endswith(TRUTH) and _has_numbers(values, len(rollout.get("time", [])))
    }


def drift_figure(rollout: dict[str, Any], unit: str) -> Figure | None:
    """Error, and how far what should stay constant has drifted, over time; beside them what there is to compare with."""
    series = series_of(rollout)
    if not series:
        return None
    figure, axes = style.plot(height=1 + 1.4 * len(series), rows=len(series))
    for index, (name, values) in enumerate(series.items()):
        other, label = BESIDE.get(name, (name + TRUTH, "the data themselves"))
        axes[index].plot(rollout["time"], _numbers(values), label="model", **style.look(0))
        if _has_numbers(rollout.get(other), len(values)):
            axes[index].plot(rollout["time"], _numbers(rollout[other]), label=label, **style.look(1))
        axes[index].set_ylabel(f"error [{unit}²]" if name == "error" else f"{name.replace('_', ' ')}\ndrift")
        style.legend(axes[index])
    axes[-1].set_xlabel("time after the last frame seen [s]")
    return figure


def _numbers(values: list[Any]) -> list[float]:
    return [value if _is_number(value) else np.nan for value in values]


def _has_numbers(values: Any, length: int) -> bool:
    return isinstance(values, list) and len(values) == length and any(_is_number(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
