"""A package's calibration on windows of a data set."""

from collections.abc import Sequence
from dataclasses import replace

from forecasting.evaluation.protocol import check, chunked
from forecasting.inference.calibrating import LEVELS, Progress, calibrate
from forecasting.inference.ensemble import Ensemble
from forecasting.inference.intervals import Calibration
from forecasting.inference.predictor import Predictor
from forecasting.packages.package import Package
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.recognition import Moves
from forecasting.trajectories.windows import Int


def calibrated(
    package: Package,
    dataset: Dataset,
    anchors: Int,
    levels: tuple[float, ...] = LEVELS,
    *,
    others: Sequence[Package] = (),
    alike: str = "auto",
    shape: str = "ball",
    device: str = "cpu",
    progress: Progress | None = None,
) -> Calibration:
    """Sizes of regions, with a note of the data they come from; see `inference.calibrating.calibrate`.

    In `about`, ``learned`` is the share of these windows' moves that the package, or the one of them that knows most, was trained
    on (see `learned_share`).

    Args:
        package: the model; dataset: in its unit and frame; anchors: (W, 2) windows that it has not learned from.
        others: packages that forecast together with it; sizes are then those of the ensemble.
        levels, alike, shape, progress: see `calibrate`; device: where to compute.

    Raises:
        DataError: if the data do not fit the package, or are too few for the highest level.
        UsageError: if packages do not fit together.
    """
    check(package, dataset, anchors)
    predictor = Ensemble([package, *others], device) if others else Predictor(replace(package, calibration=None), device)
    found = calibrate(predictor, chunked(dataset, package, anchors), levels, alike=alike, shape=shape, progress=progress)
    shares = [learned_share(each, dataset, anchors) for each in (package, *others)]
    learned = max((share for share in shares if share is not None), default=None)
    return replace(found, about={**found.about, "windows": len(anchors), "data": dataset.manifest.content, "learned": learned})


def learned_share(package: Package, dataset: Dataset, anchors: Int) -> float | None:
    """How much of the windows at `anchors` (W, 2) the package was trained on, 0 to 1, whatever data set they come in.

    None where nobody can tell: an older package keeps no sample of its training data, and too few windows may hold none of it.

    Raises:
        PackageError: if the sample is damaged.
    """
    kept = package.card.get("learned")
    if kept is None:
        return None
    return Moves.of(dataset, package.window, anchors, package.normalization.length).share_in(Moves.of_plain(kept))
