"""What each relaxed layer says: its levels, how far it is from a group, and by which kind of tensor it breaks rotations."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

from forecasting.models.base import Forecaster
from forecasting.models.place import PlaceMap
from forecasting.models.relaxed import RelaxedMap, split_layers
from forecasting.symmetry.groups import LinearGroup
from forecasting.symmetry.projectors import Projector, RankSpectrum

TINY = 1e-5
"""|M| below which a map has no shape worth describing."""
KINDS = {
    (0, -1): "sense of rotation (0,−)",
    (1, -1): "direction, like gravity (1,−)",
    (1, 1): "axial direction, like a magnetic field (1,+)",
    (2, 1): "line or plane (2,+)",
    (2, -1): "twist (2,−)",
}


@torch.no_grad()
def distances(model: Forecaster, group: LinearGroup) -> dict[str, float | None]:
    """Name -> |M − P_G M| / |M| of every relaxed map; None where there is hardly any map."""
    found: dict[str, float | None] = {}
    for name, layer in split_layers(model).items():
        before, after, matrix = layer.typed
        size = float(matrix.norm())
        away = float(Projector(group, before, after).squared_residual(matrix).sqrt())
        found[name] = away / size if size > TINY else None
    return found


@torch.no_grad()
def layer_table(model: Forecaster, duals: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """One row for each relaxed map: ``layer``, ``size`` |M|, ``parts`` with c, γ and λ, ``spectrum`` shares by rank and parity.

    Args:
        model: the network; duals: name of a map -> λ of each step, as training left them.
    """
    return [_row(name, layer, duals.get(name, ())) for name, layer in split_layers(model).items()]


def _row(name: str, layer: RelaxedMap | PlaceMap, duals: Sequence[float]) -> dict[str, Any]:
    before, after, matrix = layer.typed
    squares = {label: float(value) for label, value in RankSpectrum(before, after)(matrix).items()}
    whole = sum(squares.values())
    steps = ["places", *layer.chain.names] if isinstance(layer, PlaceMap) else list(layer.chain.names)
    levels, gammas = layer.levels().tolist(), layer.gammas.tolist()
    prices = duals if len(duals) == len(gammas) else [None] * len(gammas)
    parts = [
        {"step": f"{large} → {small}", "c": c, "gamma": gamma, "dual": dual}
        for (large, small), c, gamma, dual in zip(pairwise(steps), levels, gammas, prices, strict=True)
    ]
    shares = {_kind(label): value / whole for label, value in squares.items() if value > 0} if whole > TINY**2 else {}
    return {"layer": name, "size": whole**0.5, "parts": parts, "spectrum": shares}


def _kind(label: tuple[int, int]) -> str:
    return KINDS.get(label, f"rank {label[0]}, {'even' if label[1] > 0 else 'odd'}")
