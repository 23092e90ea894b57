"""What is known about the world that a data set was simulated in, from the provenance in its manifest."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.simulators.base import SIMULATORS, Simulator, build_simulator
from forecasting.trajectories.simulators.conserved import Conserved


def world_of(provenance: Mapping[str, Any]) -> Simulator | None:
    """The world of ``{"simulator": name, "parameters": {…}}``; None for data that no installed simulator made.

    Raises:
        UsageError: if the simulator no longer takes these parameters.
    """
    name = provenance.get("simulator")
    if name not in SIMULATORS.names():
        return None
    return build_simulator(name, provenance.get("parameters") or {})


def truth_of(provenance: Mapping[str, Any]) -> Mapping[str, bool] | None:
    """`Simulator.truth` of the world, None where none is known; see `world_of`."""
    world = world_of(provenance)
    return None if world is None else world.truth


def axis_of(provenance: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """(3,) `Simulator.axis` of the world, None where it has none or no world is known; see `world_of`."""
    world = world_of(provenance)
    return None if world is None else world.axis


def conserved_of(provenance: Mapping[str, Any]) -> Conserved | None:
    """`Simulator.conserved` of the world, None where none is known; see `world_of`."""
    world = world_of(provenance)
    return None if world is None else world.conserved
