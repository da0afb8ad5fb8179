"""What the OpenAPI document says of headers, links and examples."""

import json
import re
from typing import Any

from tests.unit.api.test_openapi import document  # noqa: F401 - a fixture

DOCUMENT = dict[str, Any]


def answers(document: DOCUMENT, path: str, method: str) -> dict[str, dict[str, Any]]:  # noqa: F811
    found: dict[str, dict[str, Any]] = document["paths"][path][method]["responses"]
    return found


def test_every_header_that_is_named_is_described_and_every_one_described_is_named(document: DOCUMENT) -> None:  # noqa: F811
    named = set(re.findall(r'"#/components/headers/([\w-]+)"', json.dumps(document)))
    assert named == document["components"]["headers"].keys()


def test_every_answer_has_the_id_of_its_request(document: DOCUMENT) -> None:  # noqa: F811
    for operations in document["paths"].values():
        for operation in operations.values():
            assert all("X-Request-ID" in answer["headers"] for answer in operation["responses"].values())


def test_answers_tell_their_headers(document: DOCUMENT) -> None:  # noqa: F811
    made = answers(document, "/api/v1/jobs", "post")
    assert {"Location", "Preference-Applied", "Idempotency-Replayed", "RateLimit"} <= made["200"]["headers"].keys()
    assert {"Location", "Retry-After", "Idempotency-Replayed", "RateLimit"} <= made["202"]["headers"].keys()
    assert all("Retry-After" in made[status]["headers"] for status in ("409", "429", "503"))
    assert "WWW-Authenticate" in made["401"]["headers"]
    output = answers(document, "/api/v1/jobs/{job_id}/outputs/{name}", "get")
    assert {"ETag", "Content-Range"} <= output["206"]["headers"].keys()
    assert "Location" in output["302"]["headers"]
    assert "Content-Range" in output["416"]["headers"]
    assert "ETag" in answers(document, "/api/v1/presets/{name}", "get")["200"]["headers"]
    assert "Tus-Version" in answers(document, "/api/v1/uploads/tus/{upload_id}", "patch")["412"]["headers"]
    assert "Tus-Version" not in answers(document, "/api/v1/presets/{name}", "put")["412"]["headers"]


def test_signed_link_is_described_whole_and_redirects_nowhere(document: DOCUMENT) -> None:  # noqa: F811
    operation = document["paths"]["/files/{key}"]["get"]
    query = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    assert query == {"expires", "type", "name", "signature"}
    assert operation["responses"].keys() == {"200", "206", "304", "403", "404", "416", "503"}


def test_example_of_an_invalid_request_says_what_is_wrong(document: DOCUMENT) -> None:  # noqa: F811
    problem = answers(document, "/api/v1/jobs", "post")["422"]["content"]["application/problem+json"]
    invalid = problem["examples"]["invalid"]["value"]
    assert invalid["title"] == "The request is not valid"
    assert invalid["errors"]


def test_example_of_a_job_that_was_made_waits(document: DOCUMENT) -> None:  # noqa: F811
    made = answers(document, "/api/v1/jobs", "post")
    states = {status: made[status]["content"]["application/json"]["example"]["status"] for status in ("200", "202")}
    assert states == {"200": "completed", "202": "queued"}
