"""Every operation of the OpenAPI document against keys that may not, and against one that may."""

import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from tests.integration.api.bearers import bearing, made_key
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import assert_problem

from pixmill_shared.contract.scopes import Scope

OTHERS = {
    Scope.READ: {Scope.WRITE},
    Scope.WRITE: {Scope.READ},
    Scope.ADMIN: {Scope.READ, Scope.WRITE},
}
"""All that a key may do without the scope."""


class Operation(NamedTuple):
    method: str
    path: str
    scope: Scope


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    place = tmp_path_factory.mktemp("scopes") / "objects"
    with running_api(postgres_url, place, PIXMILL_AUTH="on") as running:
        yield running


@pytest.fixture(scope="module")
def operations(guarded: Api) -> list[Operation]:
    """Those that ask for a key, so that a new route is tested without a word here."""
    found = []
    for template, methods in guarded.client.get("/openapi.json").json()["paths"].items():
        path = re.sub(r"\{\w+\}", str(uuid.uuid4()), template)
        for method, operation in methods.items():
            for needed in operation.get("security", ()):
                ((scope,),) = needed.values()
                assert f"Needs the scope `{scope}`." in operation["description"], (method, template)
                found.append(Operation(method.upper(), path, Scope(scope)))
    assert {operation.scope for operation in found} == set(Scope)
    return found


def ask(api: Api, operation: Operation, headers: dict[str, str]) -> httpx.Response:
    """Read if it is an error: a stream of events does not end."""
    body: dict[str, Any] = {} if operation.method in ("GET", "DELETE") else {"json": {}}
    with api.client.stream(operation.method, operation.path, headers=headers, **body) as answer:
        if answer.status_code >= 400:
            answer.read()
    return answer


def test_without_a_key_every_operation_is_401(guarded: Api, operations: list[Operation]) -> None:
    before = guarded.traces()
    for operation in operations:
        answer = ask(guarded, operation, {})
        assert answer.status_code == 401, operation
        if operation.method != "HEAD":
            assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer", operation
        assert "RateLimit" not in answer.headers, operation
    assert guarded.traces() == before


def test_without_its_scope_every_operation_is_403_and_names_it(guarded: Api, operations: list[Operation]) -> None:
    without = {scope: bearing(made_key(guarded, scopes=others)) for scope, others in OTHERS.items()}
    before = guarded.traces()
    for operation in operations:
        answer = ask(guarded, operation, without[operation.scope])
        assert answer.status_code == 403, operation
        if operation.method != "HEAD":
            assert f"the scope {operation.scope}." in assert_problem(answer, 403, "forbidden")["detail"], operation
    assert guarded.traces() == before


def test_with_its_scope_no_operation_is_refused(guarded: Api, operations: list[Operation]) -> None:
    holding = {scope: bearing(made_key(guarded, scopes={scope})) for scope in Scope}
    for operation in operations:
        assert ask(guarded, operation, holding[operation.scope]).status_code not in (401, 403), operation


def test_admin_includes_all(guarded: Api, operations: list[Operation]) -> None:
    admin = bearing(made_key(guarded, scopes={Scope.ADMIN}))
    for operation in operations:
        assert ask(guarded, operation, admin).status_code not in (401, 403), operation
