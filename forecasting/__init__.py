"""Forecast the motion of anything that moves as a set of points, with exactly as much symmetry as the data have.

The Python API; everything heavy is imported when it is first used::

    import forecasting

    scenes = forecasting.read(["tracks.csv"], unit="m")
    dataset = forecasting.build_dataset(scenes, "data/tracks")
    package = forecasting.train({"data.path": "data/tracks", "model": "egnn", "training.epochs": 20})
    forecasts = package.predict(scenes)
    errors = package.evaluate(dataset)
"""

from typing import TYPE_CHECKING, Any

from forecasting.version import __version__

__all__ = ["Package", "__version__", "build_dataset", "load", "read", "train"]

if TYPE_CHECKING:
    from forecasting.api import Package, build_dataset, load, read, train


def __getattr__(name: str) -> Any:
    if name in __all__:
        from forecasting import api

        return getattr(api, name)
    raise AttributeError(f"module 'forecasting' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
