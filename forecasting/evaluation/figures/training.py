"""What happened while the model learned."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from forecasting.evaluation.figures import style

KINDS = {
    "c": "level c",
    "gamma": "gate γ",
    "dual": "price λ of the level",
    "lambda": "price λ of the distance",
}
NAMED = 6
"""Series that have a colour and a name; more are grey."""
GREY = "#bbbbbb"


def losses(trace: dict[str, Any]) -> Figure | None:
    """Losses over epochs."""
    series = {name: values for name, values in trace.get("series", {}).items() if any(value is not None for value in values)}
    if not series:
        return None
    figure, (axes,) = style.plot()
    for index, (name, values) in enumerate(series.items()):
        points = [(epoch, value) for epoch, value in zip(trace["epochs"], values, strict=False) if value is not None]
        axes.plot(*zip(*points, strict=True), label=name.replace("_", " "), **style.look(index))
    if all(value is None or value > 0 for values in series.values() for value in values):
        style.logarithmic(axes.yaxis)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss [normalized]")
    style.legend(axes)
    return figure


def level_kinds(trace: dict[str, Any]) -> list[str]:
    """The kinds of levels that were recorded, of those that can be drawn."""
    return [kind for kind in KINDS if any(name.startswith(kind + "/") for name in trace.get("levels", {}))]


def levels(trace: dict[str, Any], kind: str) -> Figure:
    """One kind of level of every layer and step of the chain, over training steps; the largest at the end by name."""
    chosen = {name.removeprefix(kind + "/"): at for name, at in trace["levels"].items() if name.startswith(kind + "/")}
    named = _most_telling(chosen)
    figure, (axes,) = style.plot()
    smallest = []
    for name in [*(name for name in chosen if name not in named), *named]:
        steps, values = chosen[name]
        layer, _, part = name.rpartition("/")
        shown: dict[str, Any] = {"color": GREY, "linewidth": 0.7, "label": None}
        if name in named:
            shown = {**style.look(named.index(name)), "markersize": 3, "label": f"{layer}, part {part}" if layer else name}
        elif not axes.lines:
            shown["label"] = f"{len(chosen) - len(named)} others"
        axes.plot(steps, [np.nan if value is None else value for value in values], **shown)
        smallest += [value for value in values if value is not None]
    if kind != "gamma" and smallest and max(smallest) > 0:
        axes.set_yscale("symlog", linthresh=max(smallest) / 1000)
        axes.yaxis.set_major_formatter(lambda value, _: "0" if value == 0 else style.power_of_ten(value))
    axes.set_xlabel("training step")
    axes.set_ylabel(KINDS[kind])
    style.legend(axes)
    return figure


def _most_telling(levels: dict[str, Any]) -> list[str]:
    """Names of the series that end largest, at most `NAMED`, in the order in which they were recorded."""

    def end(name: str) -> float:
        known = [abs(value) for value in levels[name][1] if value is not None]
        return known[-1] if known else 0.0

    largest = sorted(levels, key=end, reverse=True)[:NAMED]
    return [name for name in levels if name in largest]
