"""What all figures share: size, colours that colour-blind people can tell apart, lines, ticks, and how they are written."""

import re
import warnings
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from forecasting.evaluation.pictures import COLOURS

WIDTH, HEIGHT = 4.7, 3.0
MARKS = ("o", "s", "D", "^", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
GREY = "#666666"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LARGEST_LEGEND = 6

# Text stays text, names of users are never read as formulas, and the same figure is the same file.
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 8,
    "legend.frameon": False,
}


def plot(height: float = HEIGHT, rows: int = 1, **kind: Any) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a telephone, with `rows` plots above each other that share their horizontal axis."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False, **kind)[:, 0]
    for each in axes:
        each.grid(alpha=0.3)
    return figure, list(axes)


def look(index: int) -> dict[str, Any]:
    """Colour, mark and line of the index-th thing, so that none is told apart by colour alone."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKS[index % len(MARKS)],
        "linestyle": LINES[index % len(LINES)],
        "markersize": 4,
        "lw": 1.4,
    }


def logarithmic(axis: Axis) -> None:
    """A logarithmic axis whose ticks are written 10⁻³; where it spans little, with ticks between the powers of ten."""

    def between(value: float, _: Any = None) -> str:
        low, high = axis.get_view_interval()
        return f"{value:.1g}" if high < 300 * low else ""

    set_scale = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    set_scale("log")
    axis.set_major_locator(LogLocator(numticks=7))
    axis.set_major_formatter(FuncFormatter(power_of_ten))
    axis.set_minor_locator(LogLocator(subs=(2, 5), numticks=20))
    axis.set_minor_formatter(FuncFormatter(between))


def power_of_ten(value: float, _: Any = None) -> str:
    """0.001 as 10⁻³; what is no power of ten as it is."""
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"10{str(int(exponent)).translate(SUPERSCRIPT)}" if mantissa == "1" else f"{value:.2g}"


def legend(axes: Axes, **kind: Any) -> None:
    """A legend where there is more than one thing, outside where there are many."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > LARGEST_LEGEND:
        axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, fontsize=7)
    elif len(labels) > 1:
        axes.legend(**kind)


def write(figure: Figure, name: str, folder: Path) -> str:
    """Write `name`.svg and `name`.png, and return the drawing to put into a page (its ids begin with the name)."""
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # once for both files
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
        figure.savefig(folder / f"{name}.png", dpi=150)
    drawing = (folder / f"{name}.svg").read_text(encoding="utf-8")
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", drawing)
    return drawing
