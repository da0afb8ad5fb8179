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


def test_example_of_a_recipe_is_one(document: dict[str, Any]) -> None:
    for example in document["components"]["schemas"]["JobRequest"]["properties"]["recipe"]["examples"]:
        assert parse_recipe(example)
