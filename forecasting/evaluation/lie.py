"""Lie derivatives: how far a forecaster is from a symmetry per radian or length, end to end and layer by layer.

The derivative of f along a generator A is d/dt ρ'(g_t)⁻¹ f(ρ(g_t) x) = J_f(x) A x − A' f(x) (Gruver, Finzi, Goldblum, Wilson,
ICLR 2023): 0 for every generator of a connected group that f is equivariant to. It says nothing of mirrors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.evaluation._slopes import method_for, output_size
from forecasting.evaluation.robustness import chunks, spread
from forecasting.models.place import PlaceMap
from forecasting.models.relaxed import Relaxed, RelaxedBranch, RelaxedMap, relaxed_layers
from forecasting.packages.package import Package
from forecasting.symmetry._representations import irreps_generators
from forecasting.symmetry.groups import parse_group
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]
LIMIT = 64
TINY = 1e-12
"""A map of this size is no map: no relative derivative."""


def lie_derivatives(
    package: Package, dataset: Dataset, anchors: Int, *, limit: int = LIMIT, progress: Progress | None = None
) -> dict[str, Any]:
    """Relative Lie derivatives of the model on the windows at `anchors`, in float64 on the CPU.

    Only what the network sees is moved, graphs and all: what happens to windows before is seen by `robustness`, not here.

    Args:
        package: the model; dataset: in its unit and frame.
        anchors: (W, 2) scene and frame.
        limit: at most so many windows, spread evenly.
        progress: called with the number of windows done, and of all.

    Returns:
        plain values: ``end_to_end`` name of generator -> |J A x − A' f| / |f| [1/rad, 1/unit], ``layers`` name -> the same of
        each relaxed map on its own features (see `layer_derivatives`), ``sizes`` name -> |M|, ``method`` in words, ``windows``.
        None where nothing is forecast to move, and for perceptrons, of which no irreps are known.

    Raises:
        DataError: if there is no window.
    """
    chosen = spread(anchors, limit)
    if not len(chosen):
        raise DataError(f"{dataset.folder} has no window to move")
    model, builder = package.forecaster(torch.float64), package.builder(torch.float64)
    space = package.schema.dim == 3
    groups = [parse_group(name) for name in (("SE(3)",) if space else ("SO(2)(z)", "T(2)"))]
    method, done, squared, size = None, 0, np.zeros(6 if space else 3), 0.0
    for windows in chunks(dataset, package, chosen):
        batch = builder.build(windows)
        method = method or method_for(model, batch, groups)
        squared = squared + method.slopes(model, batch, groups) ** 2
        size += output_size(model, batch) ** 2
        done += len(windows)
        if progress:
            progress(done, len(chosen))
    layers = relaxed_layers(model)
    return {
        "end_to_end": _named(np.sqrt(squared / size) if size > 0 else None, space),
        "layers": {name: _of_layer(layer, space) for name, layer in layers.items()},
        "sizes": {name: _size(layer) for name, layer in layers.items()},
        "method": method.name if method else "nothing to differentiate",
        "windows": len(chosen),
    }


def layer_derivatives(layer: RelaxedMap | PlaceMap, generators: Float) -> Float:
    """(n,) |A' M − M A| / |M| [1/rad] of the effective map M on its own irreps, a bias being the column of an input 0e.

    Of the map by itself: how much of the network it is, ``sizes`` says. 0 for a map that is not there.

    Args:
        layer: the relaxed map; generators: (n, 3, 3) antisymmetric.
    """
    irreps_in, irreps_out, matrix = _typed(layer)
    before, after = irreps_generators(irreps_in, generators), irreps_generators(irreps_out, generators)
    found: Float = np.linalg.norm(after @ matrix - matrix @ before, axis=(1, 2))
    return _relative(found, matrix)


def _of_layer(layer: Relaxed, space: bool) -> dict[str, float | None]:
    """Features count from the mean of the nodes, so shifts are nothing to a relaxed map; places, in their own unit, they move."""
    if isinstance(layer, RelaxedBranch):
        return _named(None, space)
    turns = parse_group("SO(3)" if space else "SO(2)(z)").generators()
    shifts = np.zeros(3 if space else 2)
    if isinstance(layer, PlaceMap):
        matrix = _typed(layer)[2]
        shifts = _relative(np.linalg.norm(matrix, axis=0)[: len(shifts)], matrix)
    return _named(np.concatenate([layer_derivatives(layer, turns), shifts]), space)


def _typed(layer: RelaxedMap | PlaceMap) -> tuple[str, str, Float]:
    irreps_in, irreps_out, matrix = layer.typed
    return irreps_in, irreps_out, matrix.detach().double().cpu().numpy()


def _relative(found: Float, matrix: Float) -> Float:
    size = np.linalg.norm(matrix)
    return found / size if size > TINY else np.zeros_like(found)


def _named(values: Float | None, space: bool) -> dict[str, float | None]:
    names = [f"rotation {axis}" for axis in ("xyz" if space else "z")] + [f"shift {axis}" for axis in ("xyz" if space else "xy")]
    return {name: None if values is None else float(values[index]) for index, name in enumerate(names)}


def _size(layer: Relaxed) -> float | None:
    return None if isinstance(layer, RelaxedBranch) else float(np.linalg.norm(_typed(layer)[2]))
