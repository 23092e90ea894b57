"""What a batch prediction does, said in plain values that go to other processes and into hashes."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.errors import PackageError, UsageError
from forecasting.files import content_hash
from forecasting.inference.regions import Interval
from forecasting.trajectories.ingest import IngestOptions, prepare_all
from forecasting.trajectories.scene_block import SceneBlock, Scenes
from forecasting.trajectories.validation import Finding
from forecasting.version import __version__

if TYPE_CHECKING:
    from forecasting.inference.predictor import Anchors, Predictor

LARGEST_CARD = 16 << 20


@dataclass(frozen=True)
class Job:
    """Package and options of a batch prediction.

    Attributes:
        package: folder of the package, or a run folder.
        read: how files are read.
        every: see `Anchors`; device: where to compute.
        interval: regions to give, None for none.
        ensemble: further packages that forecast together with the first; steps: see `Rollout`, None for the horizon.
        part: positions of the input that go into one shard; a scene is never cut.
    """

    package: str
    read: IngestOptions = field(default_factory=IngestOptions)
    every: int | None = None
    device: str = "cpu"
    interval: Interval | None = None
    ensemble: tuple[str, ...] = ()
    steps: int | None = None
    part: int = 1_000_000

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise UsageError(f"--every must be at least 1, found {self.every}")
        if self.part < 1:
            raise UsageError(f"--shard-positions must be at least 1, found {self.part}")

    def about(self) -> dict[str, Any]:
        """What the results depend on besides the input: program, packages and options, as plain values."""
        options = asdict(self)
        options["ensemble"] = [package_digest(path) for path in self.ensemble]
        options["read"]["read"]["columns"] = dict(self.read.read.columns)
        known = {"program": __version__, "package": package_digest(self.package)}
        return {**known, "options": {**options, "package": "", "device": ""}}

    def fallback(self) -> tuple[str, str]:
        """Unit and up axis of the package, read without torch.

        Raises:
            PackageError: if its description is damaged.
        """
        path = _place(self.package) / "package.json"
        if path.stat().st_size > LARGEST_CARD:
            raise PackageError(f"{path} has {path.stat().st_size} bytes; a package card has at most {LARGEST_CARD}")
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            return str(plain["unit"]), str(plain["frame"]["up"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PackageError(f"{path} is damaged: {type(error).__name__}: {error}") from None

    def with_fallback(self, unit: str, up: str) -> "Job":
        """The job with a unit and up axis for files that do not say theirs."""
        return replace(self, read=self.read.with_fallback(unit, up))

    def predictor(self) -> "Predictor":
        """The package at work, or several.

        Raises:
            UsageError: if packages do not fit together, or cannot go on beyond the horizon.
        """
        from forecasting.inference.ensemble import Ensemble
        from forecasting.inference.predictor import Predictor
        from forecasting.inference.rollout import Rollout
        from forecasting.packages.package import load_package

        packages = [load_package(path) for path in (self.package, *self.ensemble)]
        one = Predictor(packages[0], self.device) if len(packages) == 1 else Ensemble(packages, self.device)
        return one if self.steps is None else Rollout(one, self.steps)

    def anchors(self) -> "Anchors":
        """Which frames to forecast from."""
        from forecasting.inference.predictor import Anchors

        return Anchors(self.every)

    def prepared(self, raw: Iterable[Scenes], note: Callable[[Finding], None]) -> Iterator[Scenes]:
        """Scenes as they are read, validated and brought to the wished form; see `prepare_all`."""
        return prepare_all(raw, self.read, note)

    def parts(self, items: Iterable[Scenes]) -> Iterator[tuple[int, Iterator[Scenes]]]:
        """(number, scenes) of each shard; what is not taken of a part is read and left out."""
        return ((number, (item for _, item in found)) for number, found in groupby(self._numbered(items), itemgetter(0)))

    def _numbered(self, items: Iterable[Scenes]) -> Iterator[tuple[int, Scenes]]:
        """Scenes with the numbers of their shards; a block is cut where one ends."""
        before = 0
        for item in items:
            if isinstance(item, SceneBlock):
                number = (before + item.starts[:-1]) // self.part
                ends = [*(np.flatnonzero(np.diff(number)) + 1).tolist(), len(item)]
                for first, last in zip([0, *ends], ends, strict=False):
                    yield int(number[first]), item.part(first, last)
            else:
                yield before // self.part, item
            before += item.valid.size


def package_digest(folder: str | Path) -> str:
    """Hash of a package's files, read without torch.

    Raises:
        PackageError: if there is no package.
    """
    return content_hash(sorted(path for path in _place(folder).iterdir() if path.is_file()))


def _place(folder: str | Path) -> Path:
    inside = Path(folder) / "package"
    place = inside if (inside / "package.json").exists() else Path(folder)
    if not (place / "package.json").is_file():
        raise PackageError(f"{folder} is not a model package: it has no package.json; `forecast train` makes one")
    return place
