"""Several models in one picture."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from forecasting.evaluation.figures import style

FLOOR = 1e-8


def accuracy_against_symmetry(marks: Sequence[tuple[str, float, float]], unit: str, moved: str) -> Figure:
    """Error over equivariance residual, one mark per model, both axes logarithmic; a residual of 0 is drawn at 1e-8.

    Args:
        marks: (name, residual, mean squared error [unit²]).
        unit: of lengths; moved: how the inputs were moved.
    """
    figure, (axes,) = style.plot(height=3.6)
    for index, (name, residual, error) in enumerate(marks):
        shown = {**style.look(index), "linestyle": "none", "markersize": 7}
        axes.plot(max(residual, FLOOR), max(error, FLOOR**2), label=name, **shown)
        axes.annotate(name, (max(residual, FLOOR), max(error, FLOOR**2)), xytext=(6, 4), textcoords="offset points", fontsize=8)
    style.logarithmic(axes.xaxis)
    style.logarithmic(axes.yaxis)
    axes.margins(0.2)
    axes.set_xlabel(f"equivariance residual, inputs {moved}")
    axes.set_ylabel(f"mean squared error [{unit}²]")
    return figure
