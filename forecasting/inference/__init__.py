"""What will happen: forecasts from packages and new files."""

from forecasting.inference.forecast import Forecast
from forecasting.inference.predictor import Predictor

__all__ = ["Forecast", "Predictor"]
