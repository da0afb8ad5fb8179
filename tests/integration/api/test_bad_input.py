"""Whatever comes in: a problem document, never a 500, and nothing is left behind."""

import contextlib
import json
import select
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.integration.api.running import Api, wait_until

JSON = {"Content-Type": "application/json"}
#: An id that no row has, and the same in every test process: it is part of test names.
NOBODYS = "01890a5d-ac96-774b-bcce-b302099a8057"
URL = "https://example.com/a.jpg"
RECIPE: dict[str, Any] = {"outputs": [{"name": "web"}]}
SOURCE = {"url": URL}


@pytest.fixture(scope="module")
def job_id(api: Api) -> str:
    """Of a job that there is."""
    return str(api.client.post("/api/v1/jobs", json={"source": SOURCE, "recipe": RECIPE}).json()["job_id"])


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(api: Api) -> Iterator[None]:
    before = api.traces()
    yield
    assert api.traces() == before


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code", "request_id"} <= document.keys()
    assert document["status"] == status
    assert document["request_id"] == answer.headers["X-Request-ID"]
    if code:
        assert document["code"] == code
    for trace in ("Traceback", "site-packages", "psycopg2", "SELECT", "/tmp"):
        assert trace not in answer.text
    return document


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"image_url": NaN}',
        b'{"width": Infinity}',
        b'\xef\xbb\xbf{"image_url": "https://example.com/a.jpg"}',
        '{"image_url": "https://example.com/a.jpg"}'.encode("utf-16"),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"width": 1' + b"0" * 5000 + b"}",
    ],
    ids=["empty", "cut off", "not utf-8", "nan", "infinity", "bom", "utf-16", "deep array", "deep object", "huge int"],
)
@pytest.mark.parametrize("path", ["/api/v1/process", "/api/v1/jobs"])
def test_malformed_json_is_400(api: Api, path: str, body: bytes) -> None:
    assert_problem(api.client.post(path, content=body, headers=JSON), 400, "malformed")


PROCESS_CASES: list[tuple[Any, str]] = [
    ([], ""),
    ("text", ""),
    (None, ""),
    ({}, "/image_url"),
    ({"image_url": None}, "/image_url"),
    ({"image_url": 5}, "/image_url"),
    ({"image_url": ""}, "/image_url"),
    ({"image_url": "ftp://example.com/a.jpg"}, "/image_url"),
    ({"image_url": "file:///etc/passwd"}, "/image_url"),
    ({"image_url": "https://user:secret@example.com/"}, "/image_url"),
    ({"image_url": "https://"}, "/image_url"),
    ({"image_url": "https://example.com/\r\nHost: x"}, "/image_url"),
    ({"image_url": "https://example.com/\x00"}, "/image_url"),
    ({"image_url": "https://example.com/" + "a" * 10_000}, "/image_url"),
    ({"image_url": URL, "width": "800"}, "/width"),
    ({"image_url": URL, "width": 0}, "/width"),
    ({"image_url": URL, "width": -1}, "/width"),
    ({"image_url": URL, "width": 10**30}, "/width"),
    ({"image_url": URL, "height": True}, "/height"),
    ({"image_url": URL, "height": None}, "/height"),
    ({"image_url": URL, "height": 1.5}, "/height"),
    ({"image_url": URL, "filter": "evil"}, "/filter"),
    ({"image_url": URL, "filter": []}, "/filter"),
    ({"image_url": URL, "priority": "urgent"}, "/priority"),
    ({"image_url": URL, "webhook_url": "javascript:alert(1)"}, "/webhook_url"),
    ({"image_url": URL, "metadata": "x"}, "/metadata"),
    ({"image_url": URL, "metadata": {"a": {"b": 1}}}, "/metadata"),
    ({"image_url": URL, "metadata": {"": 1}}, "/metadata"),
    ({"image_url": URL, "metadata": {str(n): n for n in range(51)}}, "/metadata"),
    ({"image_url": URL, "metadata": {"a": "x" * 9_000}}, "/metadata"),
    ({"image_url": URL, "metadata": {"a": "\x00"}}, "/metadata/a"),
    ({"image_url": URL, "metadata": {"a\x00": 1}}, "/metadata"),
    ({"image_url": URL, "metadata": {"a": "\ud800"}}, "/metadata/a"),
    ({"image_url": URL, "preset": "nope"}, "/preset"),
    ({"image_url": URL, "preset": "../web"}, "/preset"),
    ({"image_url": URL, "a/b~c": 1}, "/a~1b~0c"),
    ({"image_url": URL, "project": "other"}, "/project"),
    ({"image_url": URL, "metadata": {"a": [[[[1]]]] * 3}}, "/metadata"),
]


@pytest.mark.parametrize(("body", "pointer"), PROCESS_CASES, ids=[json.dumps(body)[:60] for body, _ in PROCESS_CASES])
def test_wrong_short_form_is_422_with_a_pointer(api: Api, body: Any, pointer: str) -> None:
    document = assert_problem(api.client.post("/api/v1/process", content=json.dumps(body), headers=JSON), 422)
    assert pointer in [error["pointer"] for error in document["errors"]]
    assert all(error["detail"] for error in document["errors"])


JOB_CASES: list[tuple[Any, str]] = [
    ({"recipe": RECIPE}, "/source"),
    ({"source": SOURCE}, "/recipe"),
    ({"source": {}, "recipe": RECIPE}, "/source"),
    ({"source": "x", "recipe": RECIPE}, "/source"),
    ({"source": {"url": URL, "upload_id": NOBODYS}, "recipe": RECIPE}, "/source"),
    ({"source": {"upload_id": NOBODYS}, "recipe": RECIPE}, "/source/upload_id"),
    ({"source": {"upload_id": "../../etc/passwd"}, "recipe": RECIPE}, "/source/upload_id"),
    ({"source": {"upload_id": 7}, "recipe": RECIPE}, "/source/upload_id"),
    ({"source": {"key": "s3://bucket/x"}, "recipe": RECIPE}, "/source/key"),
    ({"source": SOURCE, "recipe": []}, "/recipe"),
    ({"source": SOURCE, "recipe": None}, "/recipe"),
    ({"source": SOURCE, "recipe": {"outputs": []}}, "/recipe/outputs"),
    ({"source": SOURCE, "recipe": {"outputs": [{"name": "../x"}]}}, "/recipe/outputs/0/name"),
    ({"source": SOURCE, "recipe": {"outputs": [{"name": "a", "quality": 1e400}]}}, "/recipe/outputs/0/quality"),
    (
        {"source": SOURCE, "recipe": {"outputs": [{"name": "a", "operations": [{"op": "shell"}]}]}},
        "/recipe/outputs/0/operations/0/op",
    ),
    ({"source": SOURCE, "recipe": RECIPE, "preset": "web"}, "/preset"),
    ({"source": SOURCE, "recipe": RECIPE, "destination": "s3://b/"}, "/destination"),
    ({"source": {"key": "s3://b/a.jpg"}, "recipe": RECIPE}, "/source/key"),
    *(
        ({"source": SOURCE, "recipe": RECIPE, "run_at": run_at}, "/run_at")
        for run_at in (
            *("2999-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"),
            *("2030-01-01T00:00:00", "2030-01-01", "2030-02-30T00:00:00Z", "2030-01-01T00:00:60Z"),
            *("2030-01-01 00:00:00Z", "2030-01-01T00:00:00+24:00", "2030-W01-1T00:00:00Z", "20300101T000000Z"),
            *("", "tomorrow", "+5 minutes", "\u0662030-01-01T00:00:00Z", "1893456000", 1893456000, 1e400, True, [], {}),
        )
    ),
]


@pytest.mark.parametrize(("body", "pointer"), JOB_CASES, ids=[json.dumps(body)[:80] for body, _ in JOB_CASES])
def test_wrong_job_is_422_with_a_pointer(api: Api, body: Any, pointer: str) -> None:
    text = json.dumps(body).replace("Infinity", "1e400")
    document = assert_problem(api.client.post("/api/v1/jobs", content=text, headers=JSON), 422, "invalid")
    assert pointer in [error["pointer"] for error in document["errors"]]


def test_all_errors_are_told_at_once(api: Api) -> None:
    body = {"source": {}, "recipe": {"outputs": [{}]}, "priority": 1}
    document = assert_problem(api.client.post("/api/v1/jobs", json=body), 422)
    assert {e["pointer"] for e in document["errors"]} == {"/source", "/priority", "/recipe/outputs/0/name"}


def test_a_hundred_thousand_unknown_keys_get_a_short_answer(api: Api) -> None:
    body = {str(n): 1 for n in range(80_000)}
    answer = api.client.post("/api/v1/process", json=body)
    assert len(assert_problem(answer, 422)["errors"]) == 50


def test_a_key_of_900_kilobytes_gets_a_short_answer(api: Api) -> None:
    answer = api.client.post("/api/v1/jobs", json={"k" * 900_000: ["\x00"] * 60})
    assert len(assert_problem(answer, 422)["errors"]) == 50
    assert len(answer.content) < 50_000


def test_ten_megabytes_of_json_are_413(api: Api) -> None:
    body = b'{"image_url": "' + b"x" * 10_000_000 + b'"}'
    assert_problem(api.client.post("/api/v1/process", content=body, headers=JSON), 413, "too_large")


def test_ten_megabytes_of_json_without_a_length_are_413(api: Api) -> None:
    answer = api.client.post("/api/v1/jobs", content=iter([b"[" * 100_000] * 100), headers=JSON)
    assert_problem(answer, 413, "too_large")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", None])
@pytest.mark.parametrize("path", ["/api/v1/process", "/api/v1/jobs"])
def test_json_calls_take_json_only(api: Api, path: str, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = api.client.post(path, content=json.dumps({"image_url": URL}).encode(), headers=headers)
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/plain", "application/json", "video/mp4", "image/", "image/a b"]
)
def test_upload_refuses_what_does_not_claim_to_be_a_picture(api: Api, content_type: str) -> None:
    answer = api.client.post("/api/v1/uploads", content=b"x", headers={"Content-Type": content_type})
    assert_problem(answer, 415, "unsupported_media_type")
    form = api.client.post("/api/v1/uploads", files={"file": ("a", b"x", content_type)})
    assert_problem(form, 415, "unsupported_media_type")


def test_upload_above_the_limit_is_413_with_and_without_a_length(api: Api) -> None:
    headers = {"Content-Type": "image/jpeg"}
    data = b"x" * 1_000_001
    assert_problem(api.client.post("/api/v1/uploads", content=data, headers=headers), 413, "too_large")
    chunks = (data[i : i + 10_000] for i in range(0, len(data), 10_000))
    assert_problem(api.client.post("/api/v1/uploads", content=chunks, headers=headers), 413, "too_large")
    assert_problem(api.client.post("/api/v1/uploads", files={"file": ("a.jpg", data, "image/jpeg")}), 413, "too_large")
    answer = api.client.post("/api/v1/process", files={"file": ("a.jpg", data, "image/jpeg")})
    assert_problem(answer, 413, "too_large")


FORM = "multipart/form-data; boundary=frontier"
FILE = '--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\npixels\r\n'
END = "--frontier--\r\n"


def field(name: str, value: str) -> str:
    return f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v1/uploads", "", 400),
        ("/api/v1/uploads", "no form at all", 400),
        ("/api/v1/uploads", FILE, 400),
        ("/api/v1/uploads", FILE[:-10], 400),
        ("/api/v1/uploads", END, 422),
        ("/api/v1/uploads", FILE + FILE + END, 422),
        ("/api/v1/uploads", FILE + field("x", "y") + END, 422),
        ("/api/v1/uploads", "--frontier\r\nContent-Type: image/png\r\n\r\nx\r\n" + END, 400),
        ("/api/v1/uploads", f"--frontier\r\nX-Long: {'x' * 100_000}\r\n\r\nx\r\n" + END, 400),
        ("/api/v1/process", FILE, 400),
        ("/api/v1/process", field("width", "10") + END, 422),
        ("/api/v1/process", FILE + field("width", "ten") + END, 422),
        ("/api/v1/process", FILE + field("width", "9" * 50) + END, 422),
        ("/api/v1/process", FILE + field("width", "1") + field("width", "2") + END, 422),
        ("/api/v1/process", FILE + field("metadata", "{") + END, 422),
        ("/api/v1/process", FILE + field("metadata", "[" * 100_000) + END, 422),
        ("/api/v1/process", FILE + field("metadata", '{"a": "\\u0000"}') + END, 422),
        ("/api/v1/process", FILE + field("webhook_url", "http://[::") + END, 422),
        ("/api/v1/process", FILE + field("webhook_url", "a\x00b") + END, 422),
        ("/api/v1/process", FILE + field("image_url", URL) + END, 422),
        ("/api/v1/process", FILE + field("filter", "x" * 1_100_000) + END, 413),
        ("/api/v1/process", FILE + "".join(field("a", "b") for _ in range(60)) + END, 422),
    ],
)
def test_wrong_form_leaves_no_file(api: Api, path: str, body: str, status: int) -> None:
    assert_problem(api.client.post(path, content=body.encode(), headers={"Content-Type": FORM}), status)


def test_form_without_a_boundary_is_400(api: Api) -> None:
    for content_type in ("multipart/form-data", f"multipart/form-data; boundary={'x' * 5000}"):
        answer = api.client.post("/api/v1/uploads", content=b"x", headers={"Content-Type": content_type})
        assert_problem(answer, 400, "malformed")


def test_field_that_is_no_utf8_is_400(api: Api) -> None:
    body = (FILE + field("filter", "X") + END).encode().replace(b"X", b"\xff\xfe")
    assert_problem(api.client.post("/api/v1/process", content=body, headers={"Content-Type": FORM}), 400)


@pytest.mark.parametrize(
    "job_id",
    [
        "x",
        "0",
        "../jobs",
        "%00",
        "'; DROP TABLE jobs; --",
        "{" + NOBODYS + "}",
        NOBODYS.replace("-", ""),
        "é",
        NOBODYS,
    ],
)
def test_job_that_is_none_is_404(api: Api, job_id: str) -> None:
    assert_problem(api.client.get(f"/api/v1/jobs/{job_id}/outputs/web"), 404, "not_found")
    if job_id != "../jobs":
        assert_problem(api.client.get(f"/api/v1/jobs/{job_id}"), 404, "not_found")


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "%00", "a" * 5000, "web%0d%0aX: y"])
def test_output_name_is_no_path(api: Api, job_id: str, name: str) -> None:
    assert_problem(api.client.get(f"/api/v1/jobs/{job_id}/outputs/{name}"), 404)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=1e3", "cursor=x", "cursor=%00", "cursor=%ff", "status=gone", "cursor="],
)
def test_wrong_parameter_is_422_with_a_pointer(api: Api, query: str) -> None:
    document = assert_problem(api.client.get(f"/api/v1/jobs?{query}"), 422, "invalid")
    assert document["errors"][0]["pointer"] == "/query/" + query.partition("=")[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1", 404), ("GET", "/api/v1/uploads", 405), ("PUT", "/api/v1/jobs", 405), ("TRACE", "/health", 405)],
)
def test_unknown_paths_and_methods_are_problems(api: Api, method: str, path: str, status: int) -> None:
    answer = api.client.request(method, path)
    assert_problem(answer, status)
    if status == 405:
        assert answer.headers["Allow"]


def raw(api: Api, request: bytes, *, hang_up: bool) -> bytes:
    """What comes back for bytes that no well-behaved client sends."""
    address = urlsplit(api.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60) as connection:
        # Of one that is refused before its end the rest is dropped for two seconds; who takes longer is cut off.
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        if hang_up:
            return b""
        received = b""
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


def outcomes(api: Api, route: str, status: int) -> float:
    """How many requests of the route have ended so."""
    lines = api.client.get("/metrics").text.splitlines()
    label = f'route="{route}",status="{status}"'
    return sum(float(line.rpartition(" ")[2]) for line in lines if "_requests_total" in line and label in line)


def test_upload_that_ends_before_its_announced_length_leaves_nothing(api: Api) -> None:
    before, traces = outcomes(api, "/api/v1/uploads", 400), api.traces()
    head = b"POST /api/v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 500000\r\n\r\n"
    raw(api, head + b"x" * 1000, hang_up=True)
    wait_until(lambda: outcomes(api, "/api/v1/uploads", 400) > before, "the aborted upload has an outcome")
    assert api.traces() == traces


def test_form_that_is_cut_off_after_its_file_leaves_nothing(api: Api) -> None:
    before, traces = outcomes(api, "/api/v1/process", 400), api.traces()
    head = f"POST /api/v1/process HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 500000\r\n\r\n"
    raw(api, (head + FILE + field("width", "10")).encode(), hang_up=True)
    wait_until(lambda: outcomes(api, "/api/v1/process", 400) > before, "the aborted form has an outcome")
    assert api.traces() == traces


def test_announced_length_above_the_limit_is_refused_before_the_body_comes(api: Api) -> None:
    head = (
        b"POST /api/v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nConnection: close\r\n"
        b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"
    )
    answer = raw(api, head, hang_up=False)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in answer


def refusal_in(answer: bytes) -> dict[str, Any]:
    """The last answer of a connection, which is the problem document of its head."""
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"content-type: application/problem+json" in head
    document: dict[str, Any] = json.loads(body)
    assert document["request_id"].encode() in head
    return document


def test_body_longer_than_its_length_is_not_taken_for_more(api: Api) -> None:
    body = b'{"image_url": 1}'
    head = b"POST /api/v1/process HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body + b"GARBAGE THAT IS NO REQUEST\r\n\r\n"
    answer = raw(api, request, hang_up=False)
    assert answer.startswith(b"HTTP/1.1 422")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert (refusal_in(answer)["status"], refusal_in(answer)["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\x7fb\r\n\r\n",
        b"GET / HTTP/7\r\n\r\n",
    ],
    ids=["tls", "control-character", "version"],
)
def test_what_is_no_http_is_a_problem_and_the_end_of_the_connection(api: Api, request_bytes: bytes) -> None:
    document = refusal_in(raw(api, request_bytes, hang_up=False))
    assert (document["status"], document["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000,
        b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 40_000,
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["header", "endless-header", "many-headers", "address"],
)
def test_head_of_too_many_bytes_is_431_and_does_no_harm(api: Api, request_bytes: bytes) -> None:
    document = refusal_in(raw(api, request_bytes, hang_up=False))
    assert (document["status"], document["code"]) == (431, "head_too_large")
    assert api.client.get("/health").status_code == 200


def test_client_that_reads_only_after_it_has_sent_everything_gets_the_refusal(api: Api) -> None:
    """Were the connection closed while bytes arrive, the system would drop the answer with it."""
    address = urlsplit(api.url)
    size = 8_000_000
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60) as connection:
        connection.sendall(head.encode())
        select.select([connection], [], [], 60)  # the answer is there; the client does not look
        for _ in range(8):
            connection.sendall(b"x" * (size // 8))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
