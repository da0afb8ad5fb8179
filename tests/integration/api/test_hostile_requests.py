"""Requests that no well-behaved client sends, to every call there is: a problem document each time, and no trace."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import pytest
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import JSON, NOBODYS, RECIPE, URL, assert_problem, raw

from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.schedule import SCHEDULE

FORBIDDEN = [
    "http://127.0.0.1/hook",
    "http://10.0.0.1/hook",
    "http://169.254.169.254/latest",
    "http://[::1]/hook",
    "http://[::ffff:10.0.0.1]/hook",
    "http://2130706433/hook",
    "http://0177.0.0.1/hook",
    "http://0x7f.1/hook",
    "http://127.1:8080/hook",
]


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(api: Api) -> Iterator[None]:
    before = api.traces()
    yield
    assert api.traces() == before


@pytest.fixture(scope="module")
def impatient(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    directory = tmp_path_factory.mktemp("impatient")
    with running_api(postgres_url, directory / "objects", PIXMILL_REQUEST_TIMEOUT="1") as running:
        yield running


def filled(path: str) -> str:
    """The path of something that is nobody's; tasks are there, whoever asks."""
    path = path.replace("/tasks/{task_id}", f"/tasks/{TaskName.CLEAN_UP}").replace("{task}", TaskName.CLEAN_UP)
    path = path.replace("{entry}", SCHEDULE[0].name)
    return re.sub(r"\{\w+_id\}", NOBODYS, path).replace("{name}", "nobodys").replace("{key}", "x")


def taking_json(api: Api) -> Iterator[tuple[str, str]]:
    for path, operations in api.client.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                yield method, filled(path)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"a": NaN}', 400),
        (b'{"a": -Infinity}', 400),
        (b"\xff\xfe{}", 400),
        (b'{"a":' * 100_000, 400),
        (b'{"a": 1' + b"0" * 5000 + b"}", 400),
        (b"[]", 422),
        (b'"text"', 422),
        (b"17", 422),
        (b'{"no_such_field": 1}', 422),
        (b'{"a": "\\u0000"}', 422),
        (b'{"a": 1e400}', 422),
        (b'{"a": "\\ud800"}', 422),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", 422),
        (b'{"a": "' + b"x" * 10_000_000 + b'"}', 413),
    ],
    ids=[
        *("cut off", "nan", "infinity", "utf-16", "deep", "huge number", "array", "string", "number", "unknown field"),
        *("nul", "overflow", "half a pair", "too deep", "10 MB"),
    ],
)
def test_every_call_that_takes_json_refuses_what_is_none_of_it(api: Api, body: bytes, status: int) -> None:
    calls = list(taking_json(api))
    assert len(calls) > 8
    for method, path in calls:
        answer = api.client.request(method, path, content=body, headers=JSON)
        assert answer.status_code == status, (method, path, answer.text)
        assert_problem(answer, status)


def test_every_call_that_takes_json_takes_nothing_else(api: Api) -> None:
    for method, path in taking_json(api):
        for content_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded"):
            answer = api.client.request(method, path, content=b"{}", headers={"Content-Type": content_type})
            assert answer.status_code == 415, (method, path, answer.text)
            assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("text", ["x", "%00", "..%2f..%2fetc%2fpasswd", "'; DROP TABLE jobs; --", "{" + NOBODYS + "}"])
def test_every_call_with_an_id_answers_404_to_what_is_none(api: Api, text: str) -> None:
    bodies = {"POST": {}, "PATCH": {}}
    for path, operations in api.client.get("/openapi.json").json()["paths"].items():
        if re.search(r"\{\w+_id\}", path) and "/tus" not in path and "/content" not in path:
            for method in (method.upper() for method in operations):
                url = re.sub(r"\{\w+_id\}", quote(text, safe="%"), path).replace("{name}", "web")
                query = {"since": "2030-01-01T00:00:00Z"} if path.endswith("/recover") else {}
                answer = api.client.request(method, url, params=query, json=bodies.get(method))
                assert answer.status_code == 404, (method, path, answer.text)
                assert_problem(answer, 404, "not_found")


def test_unknown_parameter_is_422_with_a_pointer_everywhere(api: Api) -> None:
    for path, operations in api.client.get("/openapi.json").json()["paths"].items():
        if "get" in operations and path.startswith("/api/"):
            answer = api.client.get(filled(path), params={"no/such~one": "1"})
            assert answer.status_code == 422, (path, answer.text)
            document = assert_problem(answer, 422, "invalid")
            assert document["errors"] == [{"pointer": "/query/no~1such~0one", "detail": "is not a known parameter"}]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_receiver_at_a_forbidden_address_is_refused_when_it_is_named(api: Api, url: str) -> None:
    job = {"source": {"url": URL}, "recipe": RECIPE, "webhook_url": url}
    batch = {"items": [{"source": {"url": URL}}], "recipe": RECIPE, "webhook_url": url}
    item = {"items": [{"source": {"url": URL}, "webhook_url": url}], "recipe": RECIPE}
    for path, body, pointer in (
        ("process", {"image_url": URL, "webhook_url": url}, "/webhook_url"),
        ("jobs", job, "/webhook_url"),
        ("batches", batch, "/webhook_url"),
        ("batches", item, "/items/0/webhook_url"),
        ("endpoints", {"url": url}, "/url"),
    ):
        document = assert_problem(api.client.post(f"/api/v1/{path}", json=body), 422, "invalid")
        assert [error["pointer"] for error in document["errors"]] == [pointer], path


def test_name_that_no_resolver_reads_is_422(api: Api) -> None:
    for url in ("http://xn--a/", "http://xn--/hook"):
        assert_problem(api.client.post("/api/v1/endpoints", json={"url": url}), 422)
        assert_problem(api.client.post("/api/v1/process", json={"image_url": url}), 422)


def test_request_id_with_a_line_break_in_it_is_not_sent_back(api: Api) -> None:
    for given in (b"a b", b"a\tSet-Cookie: x", b"x" * 129, b"\xe9", b""):
        answer = api.client.get("/health", headers={"X-Request-ID": given})
        assert re.fullmatch("[0-9a-f-]{36}", answer.headers["X-Request-ID"]), given
    assert api.client.get("/health", headers={"X-Request-ID": "mine-1.x_Y"}).headers["X-Request-ID"] == "mine-1.x_Y"


def test_line_breaks_of_a_request_make_no_header_of_its_answer(api: Api) -> None:
    for name in ("web%0d%0aX-Injected:%20y", "%0d%0a%0d%0abody"):
        for path in (f"jobs/{NOBODYS}/outputs/{name}", f"presets/{name}", f"jobs/{name}", f"tasks/{name}"):
            answer = api.client.get(f"/api/v1/{path}")
            assert answer.status_code in (404, 422)
            assert_problem(answer, answer.status_code)
            assert "X-Injected" not in answer.headers


def test_fifty_wrong_requests_under_one_key_at_once_are_refused_each(api: Api) -> None:
    headers = {"Idempotency-Key": "wrong-fifty"}

    def send(_: int) -> int:
        return api.client.post("/api/v1/process", json={"image_url": 1}, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(send, range(50))) == {422}


def test_two_keys_in_one_request_are_refused(api: Api) -> None:
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    answer = api.client.post("/api/v1/process", json={"image_url": URL}, headers=headers)
    assert_problem(answer, 400, "malformed")


def test_body_that_drips_is_answered_408_and_the_connection_closed(impatient: Api) -> None:
    before = impatient.traces()
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    answer = b""
    with begun(impatient, head) as (connection, started):
        connection.settimeout(0.05)
        while time.monotonic() - started < 60:
            with contextlib.suppress(ConnectionError):  # its end is closed; what it said is still to be read
                connection.sendall(b" ")
            try:
                chunk = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not chunk:
                break
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 408"), answer
    assert b"connection: close" in answer.lower()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "body_stalled"
    assert time.monotonic() - started >= 1
    assert impatient.traces() == before


@contextlib.contextmanager
def begun(api: Api, start: bytes) -> Iterator[tuple[socket.socket, float]]:
    """A connection that has sent ``start`` in half of the second in which a head must have come, and when it began."""
    address = urlsplit(api.url)
    for _ in range(20):
        at = time.monotonic()
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(start)
            if time.monotonic() - at < 0.5:
                yield connection, at
                return
    raise AssertionError("no connection was quick enough")


def test_body_shorter_than_its_length_leaves_nothing(api: Api) -> None:
    for path in ("jobs", "process", "batches", "endpoints"):
        head = (
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
        )
        raw(api, head.encode() + b'{"image_url": "https://example.com/a.jpg"}', hang_up=True)
    assert api.client.get("/health").status_code == 200


def test_two_lengths_or_a_length_beside_chunks_reach_no_call(api: Api) -> None:
    body = b'{"image_url": "https://example.com/a.jpg"}'
    for lengths in (
        b"Content-Length: 42\r\nContent-Length: 7\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: x\r\n",
    ):
        head = b"POST /api/v1/process HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + lengths + b"\r\n"
        answer = raw(api, head + body, hang_up=False)
        assert answer.startswith(b"HTTP/1.1 400"), (lengths, answer)


@pytest.mark.parametrize("start", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["silent", "dripping"])
def test_head_that_does_not_come_ends_the_connection(impatient: Api, start: bytes) -> None:
    with begun(impatient, start) as (connection, _):
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    if start:
        assert received.startswith(b"HTTP/1.1 408")
        assert b'"code": "head_stalled"' in received
    else:
        assert received == b""
