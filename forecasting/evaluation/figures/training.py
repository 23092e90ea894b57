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
    """One kind of level of every layer and step of the chain, over training steps."""
    chosen = {name.removeprefix(kind + "/"): at for name, at in trace["levels"].items() if name.startswith(kind + "/")}
    layers = list(dict.fromkeys(name.rpartition("/")[0] or name for name in chosen))
    figure, (axes,) = style.plot(height=style.HEIGHT + (0.25 * -(-len(chosen) // 3) if len(chosen) > style.LARGEST_LEGEND else 0))
    smallest = []
    for name, (steps, values) in chosen.items():
        layer, _, part = name.rpartition("/")
        number = int(part) if part.isdigit() else 0
        shown = {**style.look(layers.index(layer or name)), "linestyle": style.LINES[number % len(style.LINES)], "markersize": 3}
        axes.plot(
            steps,
            [np.nan if value is None else value for value in values],
            label=f"{layer}, part {part}" if layer else name,
            **shown,
        )
        smallest += [value for value in values if value is not None]
    if kind != "gamma" and smallest and max(smallest) > 0:
        axes.set_yscale("symlog", linthresh=max(smallest) / 1000)
        axes.yaxis.set_major_formatter(lambda value, _: "0" if value == 0 else style.power_of_ten(value))
    axes.set_xlabel("training step")
    axes.set_ylabel(KINDS[kind])
    style.legend(axes)
    return figure
