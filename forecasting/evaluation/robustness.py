"""How a package behaves when its input is moved: errors and residuals along curves, and tables by lead time and node type."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.evaluation._curves import Curve, curves_for
from forecasting.evaluation._moved_windows import Moved, by_transform, unmoved
from forecasting.evaluation._tally import Tally, best_distances
from forecasting.inference.predictor import Predictor
from forecasting.packages.package import Package
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.transforms import Orthogonal
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int, WindowBatch

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]
LIMIT = 256
CHUNK = 32
"""Windows at a time; each chunk has its own random axes, directions and planes."""


def robustness(
    package: Package,
    dataset: Dataset,
    anchors: Int,
    *,
    seed: int = 0,
    limit: int = LIMIT,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Errors and residuals on copies of the windows at `anchors`, moved further and further.

    The memory does not grow with windows, curves or points. See `Tally` for the numbers; the residual divides by how far the
    forecasts go, so 0.01 is a forecast that is off by 1 % of its way.

    Args:
        package: the model; dataset: in its unit and frame.
        anchors: (W, 2) scene and frame.
        seed: of all draws.
        limit: at most so many windows, spread evenly over `anchors`.
        device, dtype: of the computation.
        progress: called with the number of copies of windows done, and of all.

    Returns:
        plain values: ``curves`` (name, unit, meaning, x, labels, error [unit²], residual, baseline: error of constant velocity on
        the plain windows), ``omitted`` (name, because), ``tables`` (name, columns, rows), ``windows``.

    Raises:
        DataError: if there is no window.
    """
    chosen = spread(anchors, limit)
    if not len(chosen):
        raise DataError(f"{dataset.folder} has no window to move")
    model, simple = Predictor(package, device, dtype), _Simple(package)
    curves, omitted = curves_for(package, dataset, chosen)
    shape = (len(package.schema.node_types), package.schema.horizon, package.schema.dim)
    points = [_Points(curve, shape, seed + index) for index, curve in enumerate(curves)]
    plain, turned = Tally(*shape), Tally(*shape)
    rng = np.random.default_rng(seed)
    total, done = len(chosen) * (2 + sum(len(curve.x) for curve in curves)), 0

    def count(windows: int) -> None:
        nonlocal done
        done += windows
        if progress:
            progress(done, total)

    for windows in chunks(dataset, package, chosen):
        positions, _ = model.windows(windows)
        plain.add(positions, positions, unmoved(windows), windows.position[:, -1])
        simple.add(windows)
        count(len(windows))
        _compare(turned, model, windows, positions, by_transform(windows, haar(shape[2], rng)))
        count(len(windows))
        for each in points:
            for _ in each.add(model, windows, positions):
                count(len(windows))
    return {
        "curves": [each.summary(simple.mse) for each in points],
        "omitted": omitted,
        "tables": _tables(package, plain, turned),
        "windows": len(chosen),
        "seed": seed,
    }


def spread(anchors: Int, limit: int) -> Int:
    """At most `limit` of the anchors (W, 2), evenly spread."""
    return anchors[np.linspace(0, len(anchors) - 1, min(limit, len(anchors))).round().astype(int)]


def chunks(dataset: Dataset, package: Package, anchors: Int) -> Iterator[WindowBatch]:
    """The windows at `anchors`, a few at a time, those without nodes left out where all are."""
    for start in range(0, len(anchors), CHUNK):
        windows = dataset.windows(package.window, anchors[start : start + CHUNK])
        if len(windows.node):
            yield windows


def haar(dim: int, rng: np.random.Generator) -> Orthogonal:
    """A uniform rotation: of space, or of the plane about z."""
    group = parse_group("SO(3)" if dim == 3 else "SO(2)(z)")
    return Orthogonal(group.sample(rng, 1)[0], "turned")


class _Points:
    """The tallies of one curve."""

    def __init__(self, curve: Curve, shape: tuple[int, int, int], seed: int) -> None:
        self.curve = curve
        self.tallies = [Tally(*shape) for _ in curve.x]
        self.draws = [np.random.default_rng(seed) for _ in curve.x]

    def add(self, model: Predictor, windows: WindowBatch, plain: Float) -> Iterator[None]:
        for x, tally, rng in zip(self.curve.x, self.tallies, self.draws, strict=True):
            _compare(tally, model, windows, plain, self.curve.move(windows, x, rng))
            yield

    def summary(self, baseline: float | None) -> dict[str, Any]:
        curve = self.curve
        return {
            "name": curve.name,
            "unit": curve.unit,
            "meaning": curve.meaning,
            "x": list(curve.x),
            **({"labels": list(curve.labels)} if curve.labels else {}),
            "error": [tally.mse() for tally in self.tallies],
            "residual": [tally.residual() for tally in self.tallies],
            "baseline": baseline,
        }


class _Simple:
    """Error of constant velocity on the plain windows."""

    def __init__(self, package: Package) -> None:
        self.dim = package.schema.dim
        self.sum = self.count = 0.0

    def add(self, windows: WindowBatch) -> None:
        way = windows.velocity[:, -1, None] * windows.lead[windows.window_of_node][..., None]
        away = best_distances((windows.position[:, -1, None] + way)[:, None], windows)
        self.sum += float((away**2 * windows.future_valid).sum())
        self.count += float(windows.future_valid.sum())

    @property
    def mse(self) -> float | None:
        return self.sum / self.count / self.dim if self.count else None


def _compare(tally: Tally, model: Predictor, windows: WindowBatch, plain: Float, moved: Moved) -> None:
    if len(moved.nodes):
        tally.add(model.windows(moved.windows)[0], plain, moved, windows.position[:, -1])


def _tables(package: Package, plain: Tally, turned: Tally) -> list[dict[str, Any]]:
    shape = plain.count.shape
    steps = [np.arange(shape[1]) == step for step in range(shape[1])]
    leads = [f"{step * package.window.step * package.dt:.4g} s" for step in package.window.horizon]
    kinds = [np.arange(shape[0]) == kind for kind in range(shape[0])]
    wheres = {
        ("per lead time", "lead time"): zip(leads, (np.broadcast_to(step, shape) for step in steps), strict=True),
        ("per node type", "node type"): zip(
            package.schema.node_types, (np.broadcast_to(kind[:, None], shape) for kind in kinds), strict=True
        ),
    }
    unit = package.unit
    columns = [f"MSE [{unit}²]", f"ADE [{unit}]", f"MSE turned [{unit}²]", f"ADE turned [{unit}]", "residual turned"]
    return [
        {
            "name": name,
            "columns": [first, *columns],
            "rows": [
                [label, plain.mse(where), plain.ade(where), turned.mse(where), turned.ade(where), turned.residual(where)]
                for label, where in rows
            ],
        }
        for (name, first), rows in wheres.items()
    ]
