"""What moved: trajectories, data sets of them, and the windows a forecaster learns from."""

from forecasting.trajectories.trajectory import Field, Frame, Source, Trajectory

__all__ = ["Field", "Frame", "Source", "Trajectory"]
