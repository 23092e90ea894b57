"""The shapes of answers, for the OpenAPI document."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

Point = Annotated[list[float], Field(min_length=2, max_length=3)]


class RegionAnswer(BaseModel):
    """Balls of a radius (nodes × hypotheses × steps) in the scene's unit, or ellipsoids |S^(-1/2) (x − centre)| ≤ radius.

    Their S stand in `shape` (… × D × D), each of determinant 1.
    """

    level: float
    joint: bool
    radius: list[list[list[float]]]
    shape: list[Any] | None


class ForecastAnswer(BaseModel):
    """Positions (nodes × hypotheses × steps × coordinates) in the scene's own unit, frame, ids and clock."""

    scene: str
    anchor_time: float
    time: list[float]
    node_ids: list[int] | list[str]
    node_types: list[str]
    anchor: list[Point]
    positions: list[list[list[Point]]]
    weights: list[float]
    unit: str
    up: str
    handedness: str
    interval: RegionAnswer | None = None


class ResidualAnswer(BaseModel):
    """Relative equivariance error over drawn elements of a group, with its 95 % interval."""

    group: str
    meaning: str
    residual: float
    low: float
    high: float
    draws: int
    windows: int


class PredictAnswer(BaseModel):
    """Forecasts in the order of the scenes and their anchors."""

    package: str
    forecasts: list[ForecastAnswer]
    residuals: list[ResidualAnswer] | None = None


class DiagnoseAnswer(BaseModel):
    """The model on these scenes, group by group, and what is known of it from its training."""

    package: str
    residuals: list[ResidualAnswer]
    symmetry: dict[str, Any] | None


class FindingAnswer(BaseModel):
    """One thing that a check found in a file."""

    text: str
    check: str
    severity: str
    scene: str
    node: int | str | None
    frames: list[int]
    frame_count: int


class SceneAnswer(BaseModel):
    """A scene as `/predict` takes it."""

    scene: str
    unit: str
    up: str
    handedness: str
    time: list[float]
    positions: list[list[Point | None]]
    node_ids: list[int] | list[str]
    node_types: list[str]
    edges: list[Annotated[list[int], Field(min_length=2, max_length=2)]]
    edge_types: list[str]
    fields: dict[str, Any]


class ReadAnswer(BaseModel):
    """The scenes of a file."""

    format: str
    scenes: list[SceneAnswer]
    findings: list[FindingAnswer]


class ModelAnswer(BaseModel):
    """A served package, and what it wants."""

    package: str
    name: str
    digest: str
    default: bool
    model: str
    parameters: int
    dim: int
    unit: str
    up: str
    handedness: str
    dt: float
    frames: int
    step: int
    horizon: list[int]
    node_types: list[str]
    edge_types: list[str]
    fields: dict[str, dict[str, Any]]
    calibrated: bool
    levels: list[float]
    joint: bool
    symmetry: dict[str, Any] | None


class ModelsAnswer(BaseModel):
    """Every served package."""

    models: list[ModelAnswer]


class ExampleAnswer(BaseModel):
    """A scene that fits a served package."""

    name: str
    title: str
    package: str
    nodes: int
    frames: int


class ExamplesAnswer(BaseModel):
    """Every example."""

    examples: list[ExampleAnswer]


class HealthAnswer(BaseModel):
    """Whether the service lives, or takes requests."""

    status: str


class VersionAnswer(BaseModel):
    """Of the program."""

    version: str


class ProblemAnswer(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    missing: str | None = None
