"""The OpenAPI document: complete and without loose ends. No server is needed to build it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator

from pixmill_api.app import create_app
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.runtime import Runtime

ROOT = Path(__file__).parents[3]


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("PIXMILL_AUTH", "on")
    # Named, and never connected to.
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
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


#: The signature in the query is the permission.
SIGNED = {"/files/{key}", "/api/v1/uploads/{upload_id}/content"}


def test_calls_that_need_a_key_say_so(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            asked = path.startswith("/api/") and path not in SIGNED and method != "options"
            assert bool(operation.get("security")) == asked, path


#: They send again what is chosen by its time: each of it once, so repeating the call does no harm.
REPEATABLE = {"/api/v1/dead-letters/replay", "/api/v1/endpoints/{endpoint_id}/recover"}


def test_calls_that_make_something_take_a_key(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            if method == "post" and {"201", "202"} & operation["responses"].keys() and path not in REPEATABLE:
                assert "Idempotency-Key" in names, path
            if "Idempotency-Key" in names:
                assert method == "post", path
                assert {"400", "409", "422"} <= operation["responses"].keys(), path


def test_calls_that_take_a_key_are_listed_in_the_docs(document: dict[str, Any]) -> None:
    """Below ``## Send it again`` of docs/api-conventions.md; mend the list there."""
    section = (
        (ROOT / "docs" / "api-conventions.md").read_text().partition("\n## Send it again")[2].partition("\n## ")[0]
    )
    listed = re.findall(r"`(/[^`]*)`", section.partition("These take it:")[2])
    taking = [
        path.removeprefix("/api/v1")
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "Idempotency-Key" in {parameter["name"] for parameter in operation.get("parameters", ())}
    ]
    assert sorted(listed) == sorted(taking)


#: What follows from what an operation takes.
FOLLOWING = {
    "key": {"401", "403", "429", "503"},
    "id": {"404"},
    "query": {"422"},
    "body": {"400", "408", "413", "415", "422"},
}


def test_every_call_tells_all_the_problems_that_what_it_takes_may_have(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            places = {parameter["in"] for parameter in operation.get("parameters", ())}
            takes = {"key": "security" in operation, "id": "path" in places, "query": "query" in places}
            takes["query"] &= path != "/files/{key}"  # a link whose query is wrong is none: 403
            takes["body"] = "requestBody" in operation
            for what in (what for what, is_taken in takes.items() if is_taken):
                assert FOLLOWING[what] <= operation["responses"].keys(), (method, path, what)


def test_names_of_operations_are_those_of_functions_and_unique(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names), names


def test_every_tag_is_described(document: dict[str, Any]) -> None:
    used = {tag for operations in document["paths"].values() for op in operations.values() for tag in op["tags"]}
    assert used == {tag["name"] for tag in document["tags"]}
    assert all(tag["description"] for tag in document["tags"])


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Where, the schema, the example: of every body and every answer that is JSON."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for where, part in (("body", operation.get("requestBody", {})), *operation["responses"].items()):
                for media_type, content in part.get("content", {}).items():
                    if media_type.endswith("json"):
                        given = [content["example"]] if "example" in content else []
                        given += [example["value"] for example in content.get("examples", {}).values()]
                        assert given, f"{method} {path} {where} has no example"
                        yield from ((f"{method} {path} {where}", content["schema"], one) for one in given)


def test_every_body_and_every_answer_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    for where, schema, example in examples(document):
        whole = {**schema, "components": document["components"]}
        wrong = OAS31Validator(whole, format_checker=oas31_format_checker).iter_errors(example)
        assert not [error.message for error in wrong], f"{where}: mend the `examples` of the model"


def test_example_of_a_recipe_is_one(document: dict[str, Any]) -> None:
    [operation] = (
        found for found in document["paths"].values() if found.get("post", {}).get("operationId") == "create_job"
    )
    assert parse_recipe(operation["post"]["requestBody"]["content"]["application/json"]["example"]["recipe"])
