"""The envelopes of requests, and the shapes of answers for the OpenAPI document.

Arrays of numbers are left as parsed lists here; `scenes` turns them into numpy arrays and says what is wrong with them.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from forecasting.service.texts import LONGEST, check_names

_NUMBERS = {"type": "array", "items": {"type": "number"}}
_POINT = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}
_FRAME = {"type": "array", "items": {"anyOf": [_POINT, {"type": "null"}]}, "minItems": 1}
_VALUES: dict[str, Any] = {"type": "array", "items": {}, "description": "nodes (× components), or frames × nodes (× components)"}
_FIELD = {
    "anyOf": [
        _VALUES,
        {
            "type": "object",
            "properties": {"values": _VALUES, "unit": {"type": "string"}},
            "required": ["values"],
            "additionalProperties": False,
        },
    ]
}


def _kept(names: Any) -> Any:
    """Names that come back as they are; the rest is checked where they are used."""
    if isinstance(names, list):
        check_names([name for name in names if type(name) is str])
    return names


Points = Annotated[Any, WithJsonSchema({"type": "array", "items": _FRAME, "minItems": 1})]
Times = Annotated[Any, WithJsonSchema({"anyOf": [{**_NUMBERS, "minItems": 1}, {"type": "null"}]})]
Ids = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
                {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                {"type": "null"},
            ]
        }
    ),
    AfterValidator(_kept),
]
_PAIR = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2}
Pairs = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "array", "items": _PAIR}, {"type": "null"}]})]
Fields = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": _FIELD}, {"type": "null"}]})]
Name = Annotated[str, Field(max_length=LONGEST)]
Names = Annotated[list[Name], Field(fail_fast=True), AfterValidator(_kept)]
UnitText = Annotated[str, Field(max_length=200, examples=["m"])]
Up = Literal["none", "x", "y", "z", "+x", "-x", "+y", "-y", "+z", "-z"]
Seconds = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
Every = Annotated[int, Field(ge=1, le=1_000_000)]


class Strict(BaseModel):
    """A body whose members are all known and have the right type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Numbers(Strict):
    """What the numbers of a scene mean; what a scene says itself wins over what is said for all."""

    unit: UnitText | None = None
    up: Up | None = None
    handedness: Literal["right", "left"] | None = None
    dt: Seconds | None = None


class Scene(Numbers):
    """The motion of nodes up to the frame to forecast from."""

    positions: Points
    scene: Name | None = None
    time: Times = None
    node_ids: Ids = None
    node_types: Names | None = None
    edges: Pairs = None
    edge_types: Names | None = None
    fields: Fields = None


class IntervalWish(Strict):
    """Regions that hold the truth with probability `level`, at each step, or at all steps together (`joint`)."""

    level: Annotated[float, Field(gt=0, lt=1)]
    joint: bool = False


class ResidualWish(Strict):
    """How far the model is from moving along with this input: groups (the usual ones if none is named), draws of each."""

    groups: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=32)] | None = None
    draws: Annotated[int, Field(ge=2)] = 8


class Scenes(Numbers):
    """What both kinds of JSON body have."""

    scenes: Annotated[list[Scene], Field(min_length=1, fail_fast=True)]
    package: Name | None = None
    every: Every | None = None
    format: Annotated[str, Field(description="passed over")] | None = None
    findings: Annotated[list[Any], Field(description="passed over")] | None = None


class PredictBody(Scenes):
    """Scenes to forecast; what `/read` and `/examples/{name}` answer is such a body as it is."""

    interval: IntervalWish | None = None
    residual: ResidualWish | None = None


class DiagnoseBody(Scenes):
    """Scenes on which the model's symmetry is measured; what `/read` and `/examples/{name}` answer is such a body as it is."""

    groups: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=32)] | None = None
    draws: Annotated[int, Field(ge=2)] = 8


class PredictQuery(Strict):
    """What a request with an Arrow body says in its address; a JSON body may say it there too, and wins."""

    package: Name | None = None
    unit: UnitText | None = None
    up: Up | None = None
    every: Every | None = None
    level: Annotated[float, Field(gt=0, lt=1, description="of the regions around the forecasts")] | None = None
    joint: Annotated[bool, Field(description="at all steps together, not at each")] = False
    groups: (
        Annotated[str, Field(max_length=1000, description="whose residuals to measure, with commas between, or all")] | None
    ) = None
    draws: Annotated[int, Field(ge=2)] = 8

    @property
    def interval(self) -> IntervalWish | None:
        """The regions that are asked for."""
        return None if self.level is None else IntervalWish(level=self.level, joint=self.joint)

    @property
    def residual(self) -> ResidualWish | None:
        """The residuals that are asked for."""
        if self.groups is None:
            return None
        return ResidualWish(groups=None if self.groups == "all" else split_groups(self.groups), draws=self.draws)


def split_groups(text: str) -> list[str]:
    """Names of groups with commas between; those inside parentheses belong to a name."""
    return [name.strip() for name in re.split(r",(?![^()]*\))", text) if name.strip()]


class ReadQuery(Strict):
    """What is said about an uploaded file."""

    name: Annotated[str, Field(max_length=200, description="of the file, where the body is one file")] | None = None
    format: Annotated[str, Field(max_length=50, description="of the file; by default its content decides")] = ""
    unit: Annotated[str, Field(max_length=200, description="of the coordinates, where the file does not say it")] = ""
    up: Annotated[str, Field(max_length=10, description="axis against gravity, where the file does not say it")] = ""
    rate: (
        Annotated[float, Field(gt=0, allow_inf_nan=False, description="frames per second, where the file does not say it")] | None
    ) = None
    on_error: Annotated[Literal["fail", "mask", "drop"], Field(description="what to do with impossible values")] = "fail"
    package: Annotated[str, Field(max_length=200, description="whose fields and clock the scenes are to have")] | None = None
