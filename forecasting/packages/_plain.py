"""A package as plain values, and back; what `package.json` holds."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from forecasting.graphs.features import GraphSchema
from forecasting.trajectories.declared import Declared
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.windows import WindowSpec

if TYPE_CHECKING:
    from forecasting.packages.package import Package


def to_plain(package: "Package") -> dict[str, Any]:
    """Everything but the weights, as JSON values."""
    return {
        "model": package.model,
        "arguments": dict(package.arguments),
        "schema": package.schema.to_plain(),
        "window": asdict(package.window),
        "topology": package.topology,
        "topology_arguments": dict(package.topology_arguments),
        "normalization": asdict(package.normalization),
        "dt": package.dt,
        "unit": package.unit,
        "frame": asdict(package.frame),
        "fields": {name: dict(about) for name, about in package.fields.items()},
        "card": dict(package.card),
        "symmetry": None if package.symmetry is None else dict(package.symmetry),
        "calibration": None if package.calibration is None else dict(package.calibration),
    }


def from_plain(plain: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a package but its weights, from what `to_plain` made.

    Raises:
        KeyError, TypeError, ValueError, ForecastingError: if something is missing or of another kind.
    """
    window = plain["window"]
    declared = tuple(Declared.of_plain(one) for one in window["declared"])
    return {
        **plain,
        "schema": GraphSchema.from_plain(plain["schema"]),
        "window": WindowSpec(**{**window, "horizon": tuple(window["horizon"]), "declared": declared}),
        "normalization": Normalization(**plain["normalization"]),
        "frame": Frame(**plain["frame"]),
    }
