"""How a forecaster learns: Lightning drives, and a run continues exactly where it stopped."""

from forecasting.training.assemble import assemble
from forecasting.training.run import TrainingResult, train
from forecasting.training.settings import TrainingSettings

__all__ = ["TrainingResult", "TrainingSettings", "assemble", "train"]
