"""The packages that a service has loaded, by name and version."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecasting.errors import UsageError, did_you_mean
from forecasting.files import content_hash
from forecasting.inference.buckets import Limits as BatchLimits
from forecasting.inference.predictor import Predictor
from forecasting.packages.package import Package, load_package, package_folder
from forecasting.service.made_up import made_up
from forecasting.service.problems import Problem

SHORT = 12
AT_ONCE = BatchLimits(nodes=4096, edges=16_384)
"""Of one micro-batch: half of what the program computes at once elsewhere, so that nobody waits long for another's batch."""


@dataclass(frozen=True)
class Served:
    """A package that is served.

    Attributes:
        name: of its folder; digest: of its content; package: itself; predictor: forecasts with it.
        folder: where it lies; hypotheses: K of its forecasts.
    """

    name: str
    digest: str
    package: Package
    predictor: Predictor
    folder: Path
    hypotheses: int

    @property
    def address(self) -> str:
        """Name and version, as answers say it and requests may."""
        return f"{self.name}@{self.digest[:SHORT]}"

    @classmethod
    def load(cls, folder: str | Path) -> "Served":
        """Read a package, or that of a run folder, and let it forecast once: the first time is slow.

        Raises:
            PackageError: if it is missing or damaged.
        """
        place = package_folder(folder)
        name = Path(folder).resolve().name if place.name != "package" else place.resolve().parent.name
        package = load_package(place)
        predictor = Predictor(package, limits=AT_ONCE)
        (first,) = predictor.batches([made_up(package, 0)])
        return cls(name, _digest(place), package, predictor, place, first.positions.shape[1])

    def plain(self, *, default: bool) -> dict[str, Any]:
        """What a client must know of it."""
        package, window, known = self.package, self.package.window, self.package.schema
        extra = len(self.predictor.builder.topology.extra_types)
        calibration: Any = package.calibration or {}
        return {
            "package": self.address,
            "name": self.name,
            "digest": self.digest,
            "default": default,
            "model": package.model,
            "parameters": sum(value.numel() for value in package.weights.values() if value.is_floating_point()),
            "dim": known.dim,
            "unit": package.unit,
            "up": package.frame.up,
            "handedness": package.frame.handedness,
            "dt": package.dt,
            "frames": window.past + 1,
            "step": window.step,
            "horizon": list(window.horizon),
            "node_types": list(known.node_types),
            "edge_types": list(known.edge_types[: len(known.edge_types) - extra]),
            "fields": {name: dict(about) for name, about in package.fields.items()},
            "calibrated": package.calibration is not None,
            "levels": [float(level) for level in calibration.get("levels", ())],
            "joint": calibration.get("joint") is not None,
            "symmetry": None if package.symmetry is None else dict(package.symmetry),
        }


class Shelf:
    """Every package that is served; the first is the default.

    Args:
        served: at least one.

    Raises:
        UsageError: if there is none, or one twice.
    """

    def __init__(self, served: Sequence[Served]) -> None:
        if not served:
            raise UsageError("name at least one package to serve")
        addresses = [each.address for each in served]
        if len(set(addresses)) < len(addresses):
            raise UsageError(f"{max(addresses, key=addresses.count)} is named twice; name every package once")
        self.served = tuple(served)

    def find(self, wanted: str | None) -> Served:
        """The package called ``NAME`` or ``NAME@DIGEST`` (its first digits are enough); the first one where none is named.

        Raises:
            Problem: 404 if there is none, 422 if there are several.
        """
        if wanted is None:
            return self.served[0]
        name, _, digest = wanted.rpartition("@")
        found = [each for each in self.served if each.name == wanted]
        found += [each for each in self.served if name and each.name == name and each.digest.startswith(digest)]
        if not found:
            known = [each.address if name else each.name for each in self.served]
            raise Problem(404, f"no package '{wanted[:100]}' is served; {did_you_mean(wanted[:100], set(known))}")
        if len(found) > 1:
            raise Problem(422, f"'{wanted[:100]}' could be {' or '.join(each.address for each in found)}; say which")
        return found[0]

    def plain(self) -> dict[str, Any]:
        """Every package, as `GET /models` answers."""
        return {"models": [each.plain(default=index == 0) for index, each in enumerate(self.served)]}


def _digest(place: Path) -> str:
    """The digest that the package has of itself; older ones have none, and get that of their files."""
    card = json.loads((place / "package.json").read_text(encoding="utf-8"))
    own = (card.get("digests") or {}).get("content")
    return str(own or content_hash([place / "package.json", place / "weights.safetensors"]))
