"""What becomes of a forecast that is fed back to the model again and again."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from forecasting.evaluation.figures import style


def series_of(rollout: dict[str, Any]) -> dict[str, list[Any]]:
    """The quantities that have a number for every time."""
    length = len(rollout.get("time", []))
    return {
        name: values
        for name, values in rollout.items()
        if name != "time" and isinstance(values, list) and len(values) == length and any(_is_number(value) for value in values)
    }


def drift_figure(rollout: dict[str, Any], unit: str) -> Figure | None:
    """Error, and how far what should stay constant has drifted, over time."""
    series = series_of(rollout)
    if not series:
        return None
    figure, axes = style.plot(height=1 + 1.4 * len(series), rows=len(series))
    for index, (name, values) in enumerate(series.items()):
        axes[index].plot(rollout["time"], [value if _is_number(value) else np.nan for value in values], **style.look(index))
        axes[index].set_ylabel(f"error [{unit}²]" if name == "error" else f"{name} drift")
    axes[-1].set_xlabel("time after the last frame seen [s]")
    return figure


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
