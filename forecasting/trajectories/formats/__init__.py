"""Trajectory files in and out: one file per format."""

from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions, ScatteredRowsError

__all__ = ["FORMATS", "Format", "ReadOptions", "ScatteredRowsError"]
