"""Who forecasts: models under one contract."""

from forecasting.models.base import MODELS, Forecaster, Hypotheses, Readout, build_model

__all__ = ["MODELS", "Forecaster", "Hypotheses", "Readout", "build_model"]
