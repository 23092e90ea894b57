"""A package as plain values, and back; what `package.json` holds."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from forecasting.errors import PackageError
from forecasting.graphs.features import GraphSchema
from forecasting.packages._kinds import Kind, ListOf, MapOf, OrNull, Record, Text, Whole, number, plain, refuse, truth
from forecasting.symmetry.transforms import parse_irreps
from forecasting.trajectories.declared import Declared
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.units import parse_unit
from forecasting.trajectories.windows import WindowSpec

if TYPE_CHECKING:
    from forecasting.packages.package import Package

MOST_STEPS = 1 << 16
LARGEST_DEGREE = 16
LARGEST_ARGUMENT = 1 << 20


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


def from_plain(content: dict[str, Any], where: str) -> dict[str, Any]:
    """The attributes of a package but its weights, from what `to_plain` made.

    Args:
        content: plain values; where: names the file in errors.

    Raises:
        PackageError: if something is missing, unknown, of another kind, too large, or contradicts the rest.
        ForecastingError: if something cannot be what it is said to be.
    """
    _PACKAGE(content, f"{where}: package")
    schema, window = content["schema"], content["window"]
    for key, here, there in (
        ("history", schema["history"], window["history"]),
        ("horizon", schema["horizon"], len(window["horizon"])),
    ):
        if here != there:
            raise PackageError(f"{where}: its graphs have a {key} of {here}, its windows one of {there}")
    declared = tuple(Declared.of_plain(one) for one in window["declared"])
    parse_unit(content["unit"], schema["dim"])
    return {
        **content,
        "dt": float(content["dt"]),
        "schema": GraphSchema.from_plain(schema),
        "window": WindowSpec(**{**window, "horizon": tuple(window["horizon"]), "declared": declared}),
        "normalization": Normalization(**content["normalization"]),
        "frame": Frame(**content["frame"]),
    }


def _irreps(value: Any, where: str) -> None:
    Text(200)(value, where)
    if any(count * (2 * degree + 1) > MOST_STEPS or degree > LARGEST_DEGREE for count, degree, _ in parse_irreps(value)):
        raise refuse(value, where, f"irreps of degree at most {LARGEST_DEGREE} and at most {MOST_STEPS} components")


def _positive(value: Any, where: str) -> None:
    number(value, where)
    if not value > 0:
        raise refuse(value, where, "a positive number")


def _argument(value: Any, where: str) -> None:
    plain(value, where)
    if isinstance(value, dict | list):
        kind: Kind = MapOf(_argument) if isinstance(value, dict) else ListOf(_argument, 1 << 12)
        kind(value, where)
    elif type(value) is int:
        Whole(-LARGEST_ARGUMENT, LARGEST_ARGUMENT)(value, where)
    elif isinstance(value, str):
        Text(200)(value, where)


def _mapping(value: Any, where: str) -> None:
    MapOf(plain)(value, where)


_NAME = Text(200)
_COUNT = Whole(1, MOST_STEPS)
_VECTOR = ListOf(number, 3)
_FIELD = Record({"irreps": _irreps, "unit": _NAME, "translates": truth, "per_frame": truth})
_DECLARED = Record({"name": _NAME, "direction": _VECTOR, "origin": OrNull(_VECTOR)})
_PACKAGE = Record(
    {
        "model": _NAME,
        "arguments": MapOf(_argument),
        "schema": Record(
            {
                "dim": Whole(2, 3),
                "history": _COUNT,
                "velocities": _COUNT,
                "horizon": _COUNT,
                "node_types": ListOf(_NAME),
                "edge_types": ListOf(_NAME),
                "fields": MapOf(_irreps),
            }
        ),
        "window": Record(
            {
                "history": _COUNT,
                "horizon": ListOf(Whole(1, 1 << 24), MOST_STEPS),
                "step": _COUNT,
                "stride": _COUNT,
                "score": _NAME,
                "declared": ListOf(_DECLARED, 64),
            }
        ),
        "topology": _NAME,
        "topology_arguments": MapOf(_argument),
        "normalization": Record({"length": _positive, "time": _positive, "fields": MapOf(_positive)}),
        "dt": _positive,
        "unit": _NAME,
        "frame": Record({"up": _NAME, "handedness": _NAME}),
        "fields": MapOf(_FIELD),
        "card": _mapping,
        "symmetry": OrNull(_mapping),
        "calibration": OrNull(_mapping),
    }
)
