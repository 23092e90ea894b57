"""What is kept of a trained model: safetensors and JSON, registry names and plain arguments."""

from forecasting.packages.package import Package, load_package, save_package

__all__ = ["Package", "load_package", "save_package"]
