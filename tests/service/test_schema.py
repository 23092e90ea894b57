"""The OpenAPI document is true: what it says is taken and answered, and nothing that it allows makes the service fail."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from forecasting.service.app import create_app
from forecasting.service.limits import Limits

load_all_checks()
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
HEADERS = {"host": "localhost"}
EXAMPLES = 12
ROUTES = [
    *("POST /predict", "POST /diagnose", "POST /read", "GET /models", "GET /examples", "GET /examples/{name}"),
    *("GET /health", "GET /ready", "GET /version", "GET /metrics", "GET /schema"),
]
REFUSED = {"checks": {"negative_data_rejection": {"expected-statuses": ["400", "401", "404", "413", "415", "422", "429"]}}}
"""What may become of a request that the document does not allow; too large comes before the rest."""
PATIENT = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def api(shelf):
    service = create_app(shelf, Limits(bytes=1 << 20), quiet=True)

    async def app(scope, receive, send):
        if scope["type"] == "http":  # the service is not to start and stop with every request
            await service(scope, receive, send)
            return
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})

    return schemathesis.openapi.from_asgi("/schema", app, config=SchemathesisConfig.from_dict(REFUSED), headers=HEADERS)


def exercise(operation, examples):
    """Send what the document allows, and what it does not allow, and check the answers."""
    takes = operation.body or operation.query
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if takes else (GenerationMode.POSITIVE,):

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=examples, **PATIENT)
        def answered_as_the_document_says(case):
            case.call_and_validate(headers=HEADERS, checks=CHECKS)

        answered_as_the_document_says()


@pytest.mark.parametrize("route", ROUTES)
def test_the_document_is_true(api, route):
    method, path = route.split()
    exercise(api[path][method], EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
def test_the_document_is_true_at_length(api, route):
    method, path = route.split()
    exercise(api[path][method], 1000)


def test_every_route_is_exercised(ask):
    paths = ask("GET", "/schema").json()["paths"]
    assert sorted(f"{method.upper()} {path}" for path, routes in paths.items() for method in routes) == sorted(ROUTES)


def test_every_status_has_words(ask):
    document = ask("GET", "/schema").json()
    for path, routes in document["paths"].items():
        for route in routes.values():
            assert route["summary"]
            for status, answer in route["responses"].items():
                assert answer["description"], (path, status)
                if status != "200":
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)
