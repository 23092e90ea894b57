"""Worlds we know: seeded simulators with their true symmetry declared."""

from forecasting.trajectories.simulators.base import SIMULATORS, Simulator

__all__ = ["SIMULATORS", "Simulator"]
