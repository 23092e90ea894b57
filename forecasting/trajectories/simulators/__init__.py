"""Worlds we know: seeded simulators with their true symmetry declared."""

from forecasting.trajectories.simulators.base import SIMULATORS, Simulator
from forecasting.trajectories.simulators.conserved import Conserved
from forecasting.trajectories.simulators.provenance import axis_of, conserved_of, truth_of

__all__ = ["SIMULATORS", "Conserved", "Simulator", "axis_of", "conserved_of", "truth_of"]
