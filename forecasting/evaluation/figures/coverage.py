"""Which way things move."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from forecasting.evaluation.figures import style
from forecasting.evaluation.pictures import COLOURS


def heading_rose(bins: list[float]) -> Figure:
    """A rose of headings: the share of movement in each of the equal bins of yaw, from −180° counter-clockwise."""
    figure = Figure(figsize=(style.WIDTH, 3.4), layout="constrained")
    axes: Any = figure.add_subplot(projection="polar")
    share = 100 * np.asarray(bins, dtype=float) / max(float(np.sum(bins)), 1e-300)
    width = 2 * np.pi / len(bins)
    axes.bar((np.arange(len(bins)) + 0.5) * width - np.pi, share, width=width, color=COLOURS[5], edgecolor=COLOURS[0], lw=0.8)
    axes.set_xticks(np.deg2rad(np.arange(0, 360, 45)), [f"{angle}°" for angle in range(0, 360, 45)])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_rlabel_position(67)
    return figure
