"""What will happen: forecasts from packages and new files. What needs torch is imported when it is first used."""

from typing import TYPE_CHECKING, Any

__all__ = ["Forecast", "Predictor"]

if TYPE_CHECKING:
    from forecasting.inference.forecast import Forecast
    from forecasting.inference.predictor import Predictor


def __getattr__(name: str) -> Any:
    if name == "Forecast":
        from forecasting.inference.forecast import Forecast

        return Forecast
    if name == "Predictor":
        from forecasting.inference.predictor import Predictor

        return Predictor
    raise AttributeError(f"module 'forecasting.inference' has no attribute '{name}'")
