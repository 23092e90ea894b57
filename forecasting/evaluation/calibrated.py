"""A package's calibration on windows of a data set."""

from dataclasses import replace

from forecasting.evaluation.protocol import check, chunked
from forecasting.inference.calibrating import LEVELS, Progress, calibrate
from forecasting.inference.intervals import Calibration
from forecasting.inference.predictor import Predictor
from forecasting.packages.package import Package
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int


def calibrated(
    package: Package,
    dataset: Dataset,
    anchors: Int,
    levels: tuple[float, ...] = LEVELS,
    *,
    alike: str = "auto",
    shape: str = "ball",
    device: str = "cpu",
    progress: Progress | None = None,
) -> Calibration:
    """Sizes of regions, with a note of the data they come from; see `inference.calibrating.calibrate`.

    Args:
        package: the model; dataset: in its unit and frame; anchors: (W, 2) windows that it has not learned from.
        levels, alike, shape, progress: see `calibrate`; device: where to compute.

    Raises:
        DataError: if the data do not fit the package, or are too few for the highest level.
    """
    check(package, dataset, anchors)
    predictor = Predictor(replace(package, calibration=None), device)
    found = calibrate(predictor, chunked(dataset, package, anchors), levels, alike=alike, shape=shape, progress=progress)
    return replace(found, about={**found.about, "windows": len(anchors), "data": dataset.manifest.content})
