"""From the bytes of a request to the job it asks for, within the limits of the service."""

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from forecasting.errors import ForecastingError
from forecasting.inference.predictor import Anchors
from forecasting.inference.regions import Interval
from forecasting.service.arrow import scenes_of_stream
from forecasting.service.jobs import Job, Size
from forecasting.service.limits import Limits
from forecasting.service.problems import Problem, too_large
from forecasting.service.residuals import Wish
from forecasting.service.scenes import trajectory_of
from forecasting.service.schemas import DiagnoseBody, PredictBody, PredictQuery, Scene
from forecasting.service.shelf import Served, Shelf
from forecasting.service.writing import ARROW, JSON
from forecasting.trajectories.scene_block import SceneBlock
from forecasting.trajectories.trajectory import Trajectory

Body = TypeVar("Body", bound=BaseModel)
ERRORS_NAMED, ERRORS_LISTED = 3, 1000
NOTHING = PredictQuery()
DIGITS = 20
"""[bytes] of a number in an answer."""


@dataclass(frozen=True)
class Ask:
    """What a request wants.

    Attributes:
        served: of which package; job: what; size: how much work that is.
        room: [bytes] of the scenes while they wait, and of what they are answered with, about.
    """

    served: Served
    job: Job
    size: Size
    room: int


def predict_asked(body: bytes, kind: str, query: Mapping[str, str], shelf: Shelf, limits: Limits) -> Ask:
    """A request to `/predict`.

    Args:
        body: of the request; kind: its content type, JSON or ARROW; query: options, over which those in a JSON body win.
        shelf: packages to choose from; limits: of the service.

    Raises:
        Problem: 400 for a body that is not of its kind, 404, 413 and 422.
    """
    options = parsed_query(PredictQuery, query) if query or kind == ARROW else NOTHING
    if kind == ARROW:
        served = shelf.find(options.package)
        scenes = _checked(lambda: scenes_of_stream(body, options, served.package, limits))
        every, interval, residual = options.every, options.interval, options.residual
    else:
        wish = parsed(PredictBody, body)
        served = shelf.find(wish.package or options.package)
        wish = wish.model_copy(update={"unit": wish.unit or options.unit, "up": wish.up or options.up}) if query else wish
        scenes = _trajectories(wish, served, limits)
        every, interval = wish.every or options.every, wish.interval or options.interval
        residual = wish.residual or options.residual
    groups = None if residual is None else _wish(residual.groups, residual.draws, served, limits)
    regions = None if interval is None else Interval((interval.level,), interval.joint)
    return _asked(served, Job(scenes, Anchors(every), interval=regions, residual=groups), limits)


def diagnose_asked(body: bytes, shelf: Shelf, limits: Limits) -> Ask:
    """A request to `/diagnose`; see `predict_asked`."""
    wish = parsed(DiagnoseBody, body)
    served = shelf.find(wish.package)
    groups = _wish(wish.groups, wish.draws, served, limits)
    job = Job(_trajectories(wish, served, limits), Anchors(wish.every), forecast=False, residual=groups)
    return _asked(served, job, limits)


def parsed(shape: type[Body], body: bytes) -> Body:
    """A JSON body as `shape`.

    Raises:
        Problem: 400 if it is not JSON, 422 if it is another shape.
    """
    searching = gc.isenabled()
    gc.disable()  # a large body is millions of objects, among which there is no garbage to be found
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        found = _listed(error)
    finally:
        if searching:
            gc.enable()
    if found[0]["type"] == "json_invalid":
        raise Problem(400, f"the body is not JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}")
    raise Problem(422, _wrong(found, "the body"))


def parsed_query(shape: type[Body], query: Mapping[str, str]) -> Body:
    """A query as `shape`.

    Raises:
        Problem: 422 if it is another shape.
    """
    try:
        return shape.model_validate_strings(dict(query))
    except ValidationError as error:
        found = _listed(error)
    raise Problem(422, _wrong(found, "the query"))


def _listed(error: ValidationError) -> Any:
    """What is wrong, where it is not so much that listing it takes seconds."""
    if (count := error.error_count()) > ERRORS_LISTED:
        raise Problem(422, f"{count} things in the body are not what was expected; GET /schema says what is")
    return error.errors(include_url=False, include_context=False, include_input=False)


def _wrong(errors: Any, what: str) -> str:
    lines = [f"{'.'.join(map(str, one['loc'])) or what}: {one['msg']}" for one in errors[:ERRORS_NAMED]]
    more = f" (and {len(errors) - ERRORS_NAMED} more)" if len(errors) > ERRORS_NAMED else ""
    return f"{what} is not what was expected: {'; '.join(lines)}{more}"


def _trajectories(wish: PredictBody | DiagnoseBody, served: Served, limits: Limits) -> list[Trajectory]:
    if len(wish.scenes) > limits.scenes:
        raise too_large("scenes", len(wish.scenes), limits.scenes)

    def made(index: int, scene: Scene) -> Trajectory:
        return trajectory_of(scene, index, wish, served.package, limits)

    return _checked(lambda: [made(index, scene) for index, scene in enumerate(wish.scenes)])


def _wish(names: list[str] | None, draws: int, served: Served, limits: Limits) -> Wish:
    if draws > limits.draws:
        raise too_large("draws of each group", draws, limits.draws)
    return _checked(lambda: Wish.of(names, draws, served.package))


def _asked(served: Served, job: Job, limits: Limits) -> Ask:
    if isinstance(job.scenes, SceneBlock):
        _check_clocks(job.scenes, limits.frames)
        taken = _bytes_of_block(job.scenes)
    else:
        for scene in job.scenes:
            _check_clock(scene, limits.frames)
            if job.anchors.every is None and not scene.valid[-1].any():
                raise Problem(422, f"scene '{scene.scene}' cannot be forecast: it has no node at its last frame")
        taken = sum(map(_bytes_of, job.scenes))
    size = _checked(lambda: job.size(served))
    positions = size.nodes * served.hypotheses * len(served.package.window.horizon)
    for what, found, most in (
        ("forecasts to make", size.windows, limits.forecasts),
        ("positions to answer", positions if job.forecast else 0, limits.positions),
        ("edges in one graph", size.largest, limits.edges),
    ):
        if found > most:
            raise too_large(what, found, most)
    answer = _bytes(served.package.schema.dim, size.nodes, positions, job) if job.forecast else 0
    return Ask(served, job, size, answer + taken)


def _bytes(dim: int, nodes: int, positions: int, job: Job) -> int:
    """About the size of an answer: anchor, id and type of each node, and each position with its region."""
    region = 0 if job.interval is None else 1 + dim**2
    return (nodes * (dim + 2) + positions * (dim + region)) * DIGITS


def _bytes_of(scene: Trajectory) -> int:
    """Of its arrays, which may take far more than the body that says them."""
    arrays = (scene.time, scene.positions, scene.valid, scene.node_ids, scene.node_types, scene.edges, scene.edge_types)
    return sum(array.nbytes for array in arrays) + sum(item.values.nbytes for item in scene.fields.values())


def _bytes_of_block(block: SceneBlock) -> int:
    arrays = (block.time, block.positions, block.valid, block.node_ids.code, block.node_types.code)
    return sum(array.nbytes for array in arrays) + sum(item.values.nbytes for item in block.fields.values())


def _check_clocks(block: SceneBlock, most: int) -> None:
    """The same as `_check_clock` for all scenes of a block."""
    with np.errstate(over="ignore"):
        lasts = block.time[block.starts[1:] - 1] - block.time[block.starts[:-1]]
        wrong = np.isinf(lasts) | (lasts > most * block.dt)
    if wrong.any():
        first = int(np.argmax(wrong))
        found = f"{lasts[first] / block.dt[first]:.3g}"
        raise too_large(f"frames on the even clock of scene '{block.names[first]}'", found, most)


def _check_clock(scene: Trajectory, most: int) -> None:
    """Refuse a scene with gaps so long that its even clock, at its median step, has far more frames than it lists."""
    lasts = float(scene.time[-1]) - float(scene.time[0])
    if lasts == inf or (lasts > 0 and lasts > most * scene.dt):
        raise too_large(f"frames on the even clock of scene '{scene.scene}'", f"{lasts / scene.dt:.3g}", most)


def _checked(work: Any) -> Any:
    """The result of `work`, with what the program says of a request's content as a problem."""
    try:
        return work()
    except ForecastingError as error:
        raise Problem.of(error) from None


__all__ = ["ARROW", "JSON", "Ask", "diagnose_asked", "parsed", "parsed_query", "predict_asked"]
