"""The OpenAPI document: complete and without loose ends. No server is needed to build it."""

import json
import re
from typing import Any

import pytest

from pixmill_api.app import create_app
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.runtime import Runtime


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("PIXMILL_AUTH", "on")
    found: dict[str, Any] = create_app(Runtime()).openapi()
    return found


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert referred <= schemas.keys()
    assert {"JobDocument", "JobRequest", "ProcessRequest", "Problem"} <= referred


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and not path.startswith("/health"):
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_calls_that_need_a_key_say_so(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert bool(operation.get("security")) == path.startswith("/api/"), path


KEYED = {
    *("/api/v1/jobs", "/api/v1/process", "/api/v1/uploads", "/api/v1/jobs/{job_id}/retry"),
    "/api/v1/dead-letters/{dead_letter_id}/replay",
    *("/api/v1/endpoints", "/api/v1/endpoints/{endpoint_id}/rotate", "/api/v1/endpoints/{endpoint_id}/ping"),
    "/api/v1/deliveries/{delivery_id}/resend",
}
#: What they make is no job, so no queue of jobs is too full for it.
NO_JOBS = ("/api/v1/uploads", "/api/v1/endpoints", "/api/v1/deliveries")


def test_calls_that_make_something_take_a_key_and_no_others_do(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            makes = method == "post" and path in KEYED
            assert ("Idempotency-Key" in names) == makes, (method, path)
            if makes:
                assert {"400", "409", "422"} <= operation["responses"].keys(), path
                assert ("429" in operation["responses"]) != path.startswith(NO_JOBS), path


def test_example_of_a_recipe_is_one(document: dict[str, Any]) -> None:
    for example in document["components"]["schemas"]["JobRequest"]["properties"]["recipe"]["examples"]:
        assert parse_recipe(example)
