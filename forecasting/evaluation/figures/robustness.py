"""How error and residual change when the input is moved further and further."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecasting.evaluation.figures import style
from forecasting.evaluation.pictures import COLOURS

WIDE = 50.0
FLOOR = 1e-9  # a smaller residual is drawn here


def robustness_curve(curve: dict[str, Any], unit: str) -> Figure:
    """Error above, residual below, over the size of the change.

    Args:
        curve: ``name``, ``unit``, ``x`` (drawn apart where there are ``labels``), ``error`` [unit²], ``residual``,
            ``baseline`` [unit²].
        unit: of lengths.
    """
    residual = _known(curve.get("residual"))
    figure, axes = style.plot(height=3.6 if residual else 2.6, rows=2 if residual else 1)
    labels = curve.get("labels") or [value for value in curve["x"] if isinstance(value, str)]
    places = _named(axes[-1], labels) if labels else _places(axes[-1], curve["x"])
    line = {"linestyle": "none"} if labels else {}
    error = _known(curve.get("error"))
    if error:
        axes[0].plot(places, _numbers(error), label="model", **{**style.look(0), **line})
    if curve.get("baseline") is not None:
        axes[0].axhline(curve["baseline"], color=COLOURS[1], ls="--", label="constant velocity")
    axes[0].set_ylabel(f"error (MSE) [{unit}²]")
    _scale(axes[0], [*(error or []), curve.get("baseline")])
    style.legend(axes[0])
    if residual:
        axes[1].plot(places, np.maximum(_numbers(residual), FLOOR), **{**style.look(2), **line})
        axes[1].set_ylabel("residual")
        style.logarithmic(axes[1].yaxis)
        axes[1].set_ylim(FLOOR / 2, max(2.0, 2 * np.nanmax(_numbers(residual))))
    axes[-1].set_xlabel(f"{curve['name']} [{curve['unit']}]" if curve.get("unit") else str(curve["name"]))
    return figure


def _named(axes: Axes, names: list[Any]) -> list[float]:
    """Places 0, 1, 2 … with names below."""
    axes.set_xticks(range(len(names)), [str(name) for name in names], rotation=30, ha="right")
    axes.set_xlim(-0.5, len(names) - 0.5)
    return [float(index) for index in range(len(names))]


def _places(axes: Axes, values: list[Any]) -> list[float]:
    """Where to draw numbers; far apart on a logarithmic axis that holds 0."""
    numbers = _numbers(values)
    positive = [value for value in numbers if value > 0]
    if positive and min(numbers) >= 0 and max(positive) / min(positive) > WIDE and len(positive) < WIDE:
        axes.set_xscale("symlog", linthresh=min(positive))
        axes.xaxis.set_major_formatter(lambda value, _: "0" if value == 0 else style.power_of_ten(value))
    return numbers


def _scale(axes: Axes, values: list[Any]) -> None:
    positive = [value for value in values if value is not None and value > 0]
    if positive and max(positive) / min(positive) > WIDE:
        style.logarithmic(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)


def _known(values: Any) -> list[Any] | None:
    return values if values and any(value is not None for value in values) else None


def _numbers(values: list[Any]) -> list[float]:
    return [np.nan if value is None else float(value) for value in values]
