"""Fields of a scene as a model knows them, whatever its file could say of them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.symmetry.transforms import irreps_dim
from forecasting.trajectories.trajectory import Field, Trajectory

_components = lru_cache(irreps_dim)


def known_fields(scene: Trajectory, wanted: Mapping[str, Mapping[str, Any]], where: str) -> dict[str, Field]:
    """The fields that a model wants, each constant in time or not, and with the irreps, as the model knows it.

    A table that says nothing of its columns gives every field in every frame; one that changes in time cannot stand for a
    constant one.

    Args:
        scene: of a file or a request; wanted: name -> irreps, translates, per_frame; where: for messages.

    Raises:
        DataError: if a field is missing, has another number of components, or changes in time where it must not.
    """
    if missing := sorted(set(wanted) - set(scene.fields)):
        raise DataError(f"{where} lacks the field '{missing[0]}', which the model was trained with; add it to the file")
    return {name: _known(scene.fields[name], about, len(scene.time), scene.dim, f"{where}: field '{name}'")
            for name, about in wanted.items()}  # fmt: skip


def _known(item: Field, about: Mapping[str, Any], frames: int, dim: int, where: str) -> Field:
    values, irreps, translates = item.values, about["irreps"], about["translates"]
    if values.shape[-1] != _components(irreps, dim):
        raise DataError(f"{where} has {values.shape[-1]} columns, expected {irreps}")
    if about["per_frame"] and not item.per_frame:
        values = np.repeat(values[None], frames, axis=0)
    elif item.per_frame and not about["per_frame"]:
        values = _constant(values, where)
    if values is item.values and (item.irreps, item.translates) == (irreps, translates):
        return item
    return replace(item, values=values, irreps=irreps, translates=translates)


def _constant(values: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """(N, C) of (T, N, C) values that do not change in time, where they are known."""
    known = ~np.isnan(values)
    first = np.take_along_axis(values, known.argmax(axis=0)[None], axis=0)
    if ((values != first) & known).any():
        raise DataError(f"{where} changes in time; the model was trained with one value for each node")
    found: NDArray[np.float64] = first[0]
    return found
