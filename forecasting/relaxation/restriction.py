"""A relaxed network held to a group: every map projected, and kept there while it learns on."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.models.base import Forecaster
from forecasting.models.place import PlaceMap
from forecasting.models.relaxed import place_layers, split_layers
from forecasting.symmetry.groups import LinearGroup, parse_group


def restricted(model: Forecaster, group: LinearGroup | None) -> Forecaster:
    """A copy of a relaxed network, exactly equivariant under `group` (rotations about the centre of its places).

    The effective maps are taken as they are, levels and all, and projected; what the group forbids gets no gradient any more,
    everything else may grow, places included.

    Args:
        model: relaxed; group: a subgroup of what the strict layers keep; None holds it to nothing.

    Raises:
        UsageError: if the strict layers do not keep the group, so that no projection of the relaxed maps can.
    """
    found = copy.deepcopy(model)
    for layer in split_layers(found).values():
        base = layer.chain.groups[0]
        if group is not None and not base.contains(group):
            raise UsageError(f"the strict part of the network keeps {base} and not all of {group}: it cannot be held to it")
        with torch.no_grad():
            layer.matrix.copy_(layer.effective())
        if isinstance(layer, PlaceMap):
            layer.across.copy_(torch.eye(3))
        layer.gamma.data.fill_(1)
        layer.held.fill_(1)
        layer.dial.fill_(1)
        if group is None or group.contains(base):
            layer.split_along([base.name])
        else:
            layer.split_along([base.name, group.name])
        if group is not None:
            layer.held[(1 if group.contains(base) else 2) - layer.first :] = 0
    return found


def blinded(model: Forecaster, across: NDArray[np.float64]) -> Forecaster:
    """A copy of a relaxed network that reads of places only what the projector `across` (3, 3) leaves: zeros read nothing.

    It keeps the translations along every direction that is not read.
    """
    found = restricted(model, None)
    for layer in place_layers(found).values():
        layer.across.copy_(torch.from_numpy(across))
    return found


def strict_group(model: Forecaster) -> LinearGroup | None:
    """What the strict layers keep of the rotations and mirrors; None where nothing is relaxed by linear maps."""
    for layer in split_layers(model).values():
        return parse_group(layer.chain.groups[0].name)
    return None
