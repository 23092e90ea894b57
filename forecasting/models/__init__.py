"""Who forecasts: models under one contract."""

from forecasting.models.base import MODELS, Forecaster, Hypotheses, build_model

__all__ = ["MODELS", "Forecaster", "Hypotheses", "build_model"]
