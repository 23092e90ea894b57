"""The functions behind `import forecasting`; see the package's docstring for an example."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from forecasting import packages
from forecasting.errors import UsageError
from forecasting.inference.forecast import Forecast
from forecasting.numerics import configure
from forecasting.trajectories.dataset import Dataset, build_dataset
from forecasting.trajectories.trajectory import Trajectory

__all__ = ["Package", "build_dataset", "load", "read", "train"]


def read(paths: str | Path | Sequence[str | Path], format: str = "", **options: Any) -> list[Trajectory]:
    """The scenes of trajectory files.

    Args:
        paths: a file, a folder, or several.
        format: name of the reader; by default the content decides.
        options: what the files do not say, see `ReadOptions`: unit, up, rate, key, columns, wide, node_type.

    Raises:
        DataError: if a file is not what it says it is.
        UsageError: if something must be said that the files do not say.
    """
    from forecasting.plain import call
    from forecasting.trajectories.formats import ReadOptions
    from forecasting.trajectories.reading import read_trajectories

    several = [paths] if isinstance(paths, str | Path) else list(paths)
    return list(read_trajectories(several, call(ReadOptions, options, "read"), format))


@dataclass(frozen=True)
class Package(packages.Package):
    """A trained model package that can be put to work; see `forecasting.packages.Package` for what it holds."""

    def predict(
        self,
        scenes: Trajectory | Iterable[Trajectory],
        every: int | None = None,
        levels: Sequence[float] = (),
        joint: bool = False,
    ) -> list[Forecast]:
        """Forecast scenes from their last frame, or from every n-th frame that has a whole history.

        Args:
            scenes: to forecast; every: n.
            levels: of regions to give with every forecast, `Forecast.regions`; the package must have been calibrated.
            joint: whether a region holds the whole way of a node at once, or each step by itself.

        Raises:
            DataError: if a scene lacks what the model needs.
            UsageError: if units cannot be converted, or there is no calibration.
        """
        from forecasting.inference.predictor import Anchors, Predictor
        from forecasting.inference.regions import Interval

        if every is not None and every < 1:
            raise UsageError(f"every must be at least 1, found {every}")
        configure()
        several = [scenes] if isinstance(scenes, Trajectory) else scenes
        interval = Interval(tuple(levels), joint) if levels else None
        return list(Predictor(self).trajectories(several, Anchors(every), interval))

    def calibrate(self, dataset: Dataset, partition: str = "validation", levels: Sequence[float] = (0.8, 0.9, 0.95)) -> "Package":
        """This package with regions that hold the truth as often as they say; see `evaluation.calibrated.calibrated`."""
        from forecasting.evaluation.calibrated import calibrated
        from forecasting.evaluation.protocol import partition_anchors

        configure()
        found = calibrated(self, dataset, partition_anchors(self, dataset, partition), tuple(levels))
        return replace(self, calibration=found.to_plain())

    def evaluate(self, dataset: Dataset, partition: str = "test", seed: int = 0) -> dict[str, Any]:
        """Errors on plain and transformed copies, baselines beside them; see `evaluation.protocol.evaluate`."""
        from forecasting.evaluation.protocol import evaluate, partition_anchors

        configure()
        return evaluate(self, dataset, partition_anchors(self, dataset, partition), seed=seed)

    def diagnose(self, dataset: Dataset, partition: str = "test", seed: int = 0) -> dict[str, Any]:
        """Errors, and a verdict on every group with its evidence; see `evaluation.diagnosis.diagnose`."""
        from forecasting.evaluation.diagnosis import diagnose
        from forecasting.evaluation.protocol import partition_anchors
        from forecasting.evaluation.verdict import Settings

        configure()
        return diagnose(self, dataset, partition_anchors(self, dataset, partition), settings=Settings(seed=seed))


def train(config: Mapping[str, Any], run: str | Path | None = None) -> Package:
    """Train and return the package.

    Args:
        config: keys of the configuration files with dots (``{"data.path": "x.csv", "training.epochs": 20}``); groups by their
            name (``{"model": "gnn"}``). Everything else keeps its default in configs/.
        run: run folder; by default one under checkpoints/.

    Raises:
        UsageError: if a key or value is wrong.
        DataError: if the data cannot be read or used.
    """
    from forecasting.cli.configuration import as_overrides, compose
    from forecasting.cli.train import train_from

    chosen = dict(config) if run is None else {**config, "run": str(run)}
    return load(train_from(compose(as_overrides(chosen)))["package"])


def load(path: str | Path) -> Package:
    """Read a package, or the package of a run folder.

    Raises:
        PackageError: if it is missing or damaged.
    """
    package = packages.load_package(path)
    return Package(**{item.name: getattr(package, item.name) for item in fields(package)})
