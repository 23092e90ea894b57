"""How fast each layer falls out of step when its input begins to move."""

from typing import Any

from matplotlib.figure import Figure

from forecasting.evaluation.figures import style

END = "whole model"
FLOOR = 1e-9


def lie_derivatives(lie: dict[str, Any]) -> Figure | None:
    """Relative Lie derivative of the whole model and of every layer, one mark per generator."""
    rows = {END: lie.get("end_to_end", {}), **lie.get("layers", {})}
    rows = {name: _numbers(values) for name, values in rows.items() if _numbers(values)}
    if not rows:
        return None
    generators = list(dict.fromkeys(key for values in rows.values() for key in values))
    figure, (axes,) = style.plot(height=1.5 + 0.32 * len(rows))
    names = list(rows)[::-1]
    for index, generator in enumerate(generators):
        places = [
            place + 0.09 * (index - (len(generators) - 1) / 2) for place, name in enumerate(names) if generator in rows[name]
        ]
        values = [max(rows[name][generator], FLOOR) for name in names if generator in rows[name]]
        axes.plot(values, places, label=generator, **{**style.look(index), "linestyle": "none", "markersize": 5})
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    style.logarithmic(axes.xaxis)
    axes.set_xlabel("Lie derivative [1/rad; shifts: 1/length]")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=3, columnspacing=1, handletextpad=0.2)
    return figure


def _numbers(values: Any) -> dict[str, float]:
    found = values.items() if isinstance(values, dict) else ()
    return {key: float(value) for key, value in found if isinstance(value, int | float) and not isinstance(value, bool)}
