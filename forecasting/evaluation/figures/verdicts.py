"""What holding the model to each group costs."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from forecasting.evaluation.figures import style
from forecasting.evaluation.pictures import COLOURS

LIMIT = 1.02
LOOKS = {"kept": (COLOURS[0], "o"), "broken": (COLOURS[1], "X"), "cannot tell": (style.GREY, "s")}


def verdict_ratios(verdicts: dict[str, Any]) -> Figure | None:
    """Error of the model held to each group over error of the free model, with 95 % intervals and the 2 % line."""
    rows = [row for row in verdicts["groups"] if row.get("ratio") and row["ratio"].get("value")]
    if not rows:
        return None
    figure, (axes,) = style.plot(height=1.3 + 0.3 * len(rows))
    for place, row in enumerate(reversed(rows)):
        ratio = row["ratio"]
        colour, mark = LOOKS[row["data"]]
        low, high = (ratio["value"] if ratio.get(key) is None else ratio[key] for key in ("low", "high"))
        axes.plot([low, high], [place, place], color=colour, lw=1.6)
        axes.plot(ratio["value"], place, mark, color=colour, markersize=6)
    axes.axvline(LIMIT, color="#222222", ls=":", lw=1.2)
    for name in sorted({row["data"] for row in rows}):
        axes.plot([], [], LOOKS[name][1], color=LOOKS[name][0], label=name)
    axes.plot([], [], ":", color="#222222", label="2 % worse")
    axes.set_yticks(range(len(rows)), [row["group"] for row in reversed(rows)])
    style.logarithmic(axes.xaxis)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    values = [row["ratio"][key] for row in rows for key in ("value", "low", "high") if row["ratio"].get(key)]
    if max(values) < 100 * min(values):
        steps = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if max(values) > 2 else (0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.5, 2)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks([step for step in steps if min(values) / 1.1 < step < max(values) * 1.1])
        axes.set_xlim(min(values) / 1.1, max([*values, LIMIT]) * 1.1)
    axes.set_xlabel("error held to the group / error free")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, columnspacing=1, handletextpad=0.4)
    return figure
