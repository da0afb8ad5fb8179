"""CORS: pages of the origins that are named can read every answer, errors and refusals too; of others, none."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.api.running import Api, environment, run_to_end, running_api
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.api.test_serving import signed

APP = "https://app.example.com"
OTHER = "https://evil.example.com"
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture(scope="module")
def named(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    settings = {"PIXMILL_CORS_ORIGINS": f"{APP}, http://localhost:5173", "PIXMILL_MAX_BACKLOG": "1"}
    with running_api(postgres_url, tmp_path_factory.mktemp("named") / "objects", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def open_to_all(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    settings = {"PIXMILL_CORS_ORIGINS": "*", "PIXMILL_AUTH": "on"}
    with running_api(postgres_url, tmp_path_factory.mktemp("all") / "objects", **settings) as running:
        yield running


def preflight(api: Api, origin: str, method: str = "PUT", path: str = "/api/v1/presets/x") -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,if-match,tus-resumable,upload-offset",
    }
    return api.client.options(path, headers=headers)


@pytest.mark.parametrize("origin", [APP, "http://localhost:5173"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_preflight_of_a_named_origin_lets_method_and_headers_through(named: Api, origin: str, method: str) -> None:
    answer = preflight(named, origin, method)
    assert answer.status_code == 200
    assert answer.headers[ALLOWED] == origin
    assert method in answer.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "if-match", "upload-offset"} <= set(
        answer.headers["Access-Control-Allow-Headers"].replace(" ", "").split(",")
    )
    assert answer.headers["Access-Control-Max-Age"] == "7200"
    assert "Origin" in answer.headers["Vary"]
    assert answer.headers["X-Request-ID"]


def test_preflight_of_another_origin_is_refused(named: Api) -> None:
    answer = preflight(named, OTHER)
    assert_problem(answer, 400, "http_error")
    assert ALLOWED not in answer.headers
    assert "Origin" in answer.headers["Vary"]
    counted = 'pixmill_http_requests_total{method="OPTIONS",route="unmatched",status="400"}'
    assert counted in named.client.get("/metrics").text


def test_error_that_nobody_expects_can_be_read_by_the_page_too(named: Api) -> None:
    # No link of ours has such a key.
    answer = named.client.get(signed(named, "a//b", 3600), headers={"Origin": APP})
    assert_problem(answer, 500, "internal")
    assert answer.headers[ALLOWED] == APP


def test_answers_errors_and_refusals_can_be_read_by_the_page(named: Api) -> None:
    client, headers = named.client, {"Origin": APP}
    body = {"image_url": "https://example.com/a.jpg"}
    answers = [
        client.get("/api/v1/presets/web", headers=headers),
        client.post("/api/v1/process", json=body, headers=headers),
        client.post("/api/v1/process", json=body, headers=headers),
        client.get("/api/v1/nowhere", headers=headers),
        client.patch("/api/v1/jobs", headers=headers),
        client.post("/api/v1/jobs", json={}, headers=headers),
        client.post("/api/v1/jobs", content=b"{", headers={**headers, "Content-Type": "application/json"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 202, 429, 404, 405, 422, 400]
    for answer in answers:
        assert answer.headers[ALLOWED] == APP, answer.status_code
        assert "Origin" in answer.headers["Vary"]
        exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
        assert {"Location", "Retry-After", "X-Request-ID", "ETag", "Content-Range", "Upload-Offset"} <= exposed
        assert answer.headers["X-Request-ID"]


def test_answers_to_other_origins_say_nothing_of_it(named: Api) -> None:
    answer = named.client.get("/api/v1/presets/web", headers={"Origin": OTHER})
    assert answer.status_code == 200
    assert ALLOWED not in answer.headers


def test_all_origins_are_let_in_without_credentials(open_to_all: Api) -> None:
    answers = [
        preflight(open_to_all, OTHER),
        open_to_all.client.get("/api/v1/jobs", headers={"Origin": OTHER, "Cookie": "a=b"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 401]
    for answer in answers:
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answers[0].headers[ALLOWED] in ("*", OTHER)


def test_without_the_setting_no_answer_has_a_header_of_it(api: Api) -> None:
    assert ALLOWED not in api.client.get("/api/v1/presets/web", headers={"Origin": APP}).headers
    assert preflight(api, APP).headers.keys().isdisjoint({ALLOWED, "access-control-allow-methods"})


@pytest.mark.parametrize(
    "value", ["app.example.com", f"{APP}/", "ftp://a", "null", f"*,{APP}", "https://A.example.com"]
)
def test_what_is_no_origin_stops_the_process_with_the_name_of_the_variable(tmp_path: Path, value: str) -> None:
    variables = environment("postgresql://u:p@127.0.0.1:9/x", tmp_path, PIXMILL_CORS_ORIGINS=value, PIXMILL_AUTH="on")
    ended = run_to_end(variables, timeout=120)
    assert ended.returncode == 1, ended.stderr
    assert "PIXMILL_CORS_ORIGINS" in ended.stderr
