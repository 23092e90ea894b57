"""The application: routes for the OpenAPI document and for clients, the page, and the gate before them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from forecasting.service import answer_schemas as answers
from forecasting.service import schemas
from forecasting.service.asgi import App, Receive, Scope, Send, respond
from forecasting.service.counts import Counts
from forecasting.service.endpoints import Endpoints
from forecasting.service.gate import Gate
from forecasting.service.limits import Limits
from forecasting.service.problems import CONTENT_TYPE, Problem, unexpected
from forecasting.service.shelf import Shelf
from forecasting.service.viewer import assets
from forecasting.service.writing import ARROW, JSON
from forecasting.version import __version__

TITLE = "forecast"
SUMMARY = "Forecasts of the motion of anything that moves as a set of points"
_MEANINGS = {
    400: "The body is not of its kind, or the request is addressed to another host",
    401: "The key is missing or wrong",
    404: "There is no such package or example",
    408: "The body took too long to arrive",
    413: "More than the service takes",
    415: "A body of another kind",
    422: "The body says something impossible, or something that the model cannot take",
    429: "The queue is full; `Retry-After` says when to come again",
    500: "The service failed in an unexpected way",
    503: "The service is stopping, or the answer took too long",
}
_BODIED = (400, 401, 404, 408, 413, 415, 422, 429, 500, 503)


class Through(Response):
    """A response that an ASGI application makes."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await self._app(scope, receive, send)


def create_app(shelf: Shelf, limits: Limits | None = None, *, key: str = "", local: bool = True, quiet: bool = False) -> Gate:
    """The service for these packages, as an ASGI application.

    Args:
        shelf: of packages; limits: of requests; key: that requests must bear, empty for none.
        local: answer only to requests that name this machine as localhost; quiet: write no line for each request.
    """
    endpoints = Endpoints(shelf, limits or Limits())
    counts = Counts(endpoints.workers.values())

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        yield
        endpoints.stop()

    app = FastAPI(
        title=TITLE, summary=SUMMARY, version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=living
    )

    def route(method: str, path: str, asgi: App, answer: type[BaseModel] | None, statuses: tuple[int, ...], **extra: Any) -> None:
        """Declare a route that `asgi` answers."""

        async def through() -> Response:
            return Through(asgi)

        responses: dict[int | str, dict[str, Any]] = {status: _problem(status) for status in statuses}
        content = extra.pop("content", None)
        if answer is not None:
            responses[200] = {"model": answer, "description": answer.__doc__}
        if content:
            responses.setdefault(200, {"description": "The answer"})["content"] = content
        named: Callable[[], Awaitable[Response]] = through
        app.add_api_route(
            path,
            named,
            methods=[method],
            operation_id=asgi.__name__,  # type: ignore[attr-defined]
            summary=extra.pop("summary"),
            response_class=Response if content else JSONResponse,
            response_model=None,
            responses=responses,
            openapi_extra=extra,
        )

    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, counts.text(), "text/plain; version=0.0.4; charset=utf-8")

    async def schema(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, json.dumps(app.openapi()).encode(), JSON)

    e = endpoints
    arrow: dict[str, Any] = {ARROW: {"schema": {"type": "string", "format": "binary"}}}
    predict_body = {"content": {JSON: _named("PredictBody"), **arrow}, "required": True}
    diagnose_body = {"content": {JSON: _named("DiagnoseBody")}, "required": True}
    file = {"type": "string", "format": "binary"}
    read_body = {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": file},
            "multipart/form-data": {"schema": {"type": "object", "properties": {"file": {"type": "array", "items": file}}}},
        },
    }
    route("POST", "/predict", e.predict, answers.PredictAnswer, _BODIED, summary="Forecast scenes", content=arrow,
          requestBody=predict_body, parameters=_query(schemas.PredictQuery))  # fmt: skip
    route("POST", "/diagnose", e.diagnose, answers.DiagnoseAnswer, _BODIED, summary="Measure the model's symmetry on scenes",
          requestBody=diagnose_body)  # fmt: skip
    route("POST", "/read", e.read, answers.ReadAnswer, _BODIED, summary="Read a trajectory file into scenes",
          requestBody=read_body, parameters=_query(schemas.ReadQuery))  # fmt: skip
    route("GET", "/models", e.models, answers.ModelsAnswer, (400, 401), summary="The packages, and what each wants")
    route("GET", "/examples", e.list_examples, answers.ExamplesAnswer, (400, 401, 429, 503),
          summary="Scenes that fit a package")  # fmt: skip
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    route("GET", "/examples/{name}", e.example, answers.ReadAnswer, (400, 401, 404, 429, 503), summary="One of them",
          parameters=[name])  # fmt: skip
    route("GET", "/health", e.health, answers.HealthAnswer, (400,), summary="Whether the service lives")
    route("GET", "/ready", e.ready, answers.HealthAnswer, (400, 503), summary="Whether it takes requests")
    route("GET", "/version", e.version, answers.VersionAnswer, (400, 401), summary="Of the program")
    text = {"text/plain": {"schema": {"type": "string"}}}
    route("GET", "/metrics", metrics, None, (400, 401), summary="Counts for Prometheus", content=text)
    anything = {JSON: {"schema": {"type": "object"}}}
    route("GET", "/schema", schema, None, (400, 401), summary="This document", content=anything)
    _add_pages(app)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(Problem, _refused)
    app.add_exception_handler(Exception, _refused)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    direct: dict[tuple[str, str], App] = {("POST", "/predict"): e.predict, ("GET", "/health"): e.health}
    return Gate(app, key, counts, direct, memory=e.memory, leave=e.leave, local=local, quiet=quiet)


def _add_pages(app: FastAPI) -> None:
    files = assets()

    async def page(request: Request) -> Response:
        path = request.url.path
        name = "index.html" if path == "/" else "favicon.svg" if path == "/favicon.ico" else path.removeprefix("/viewer/")
        if name not in files:
            raise HTTPException(404)
        content, kind = files[name]
        return Response(content, media_type=kind)

    for path in ("/", "/favicon.ico", "/viewer/{path:path}"):
        app.add_api_route(path, page, methods=["GET"], include_in_schema=False)


async def _not_found(request: Request, error: Exception) -> Response:
    """What the router itself refuses: unknown routes and methods."""
    status: int = getattr(error, "status_code", 500)
    what = f"{request.method} is not" if status == 405 else "there is no route"
    problem = Problem(status, f"{what} {'taken at ' if status == 405 else ''}{request.url.path[:200]}")
    problem.headers.update(getattr(error, "headers", None) or {})
    return await _refused(request, problem)


async def _refused(request: Request, error: Exception) -> Response:
    problem = error if isinstance(error, Problem) else unexpected()
    return Response(problem.body(request.state.request_id), problem.status, problem.headers, CONTENT_TYPE)


def _problem(status: int) -> dict[str, Any]:
    return {"description": _MEANINGS[status], "content": {CONTENT_TYPE: _named("ProblemAnswer")}}


def _named(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _query(shape: type[BaseModel]) -> list[dict[str, Any]]:
    """The members of `shape` as query parameters."""
    found = []
    for name, about in shape.model_json_schema()["properties"].items():
        kinds = [kind for kind in about.pop("anyOf", ()) if kind != {"type": "null"}]
        about.pop("title", None)
        if about.get("default", "") is None:
            del about["default"]
        said = {**about, **(kinds[0] if kinds else {})}
        text = said.pop("description", None)
        found.append({"name": name, "in": "query", "required": False, "schema": said, **({"description": text} if text else {})})
    return found


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shapes of bodies that the routes take apart themselves."""
    if not app.openapi_schema:
        found = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        shapes = (schemas.PredictBody, schemas.DiagnoseBody, answers.ProblemAnswer)
        _, more = models_json_schema([(shape, "validation") for shape in shapes], ref_template="#/components/schemas/{model}")
        found.setdefault("components", {}).setdefault("schemas", {}).update(more["$defs"])
        found["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        found["security"] = [{}, {"bearer": []}, {"key": []}]
        app.openapi_schema = found
    return app.openapi_schema
