"""Forecast the motion of anything that moves as a set of points, with exactly as much symmetry as the data have."""

__version__ = "0.1.0"
