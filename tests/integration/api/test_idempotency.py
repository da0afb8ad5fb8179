"""``Idempotency-Key``: one thing made, one answer, however often the request is sent."""

import json
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from tests.integration.api.running import Api, patiently, running_api, wait_until
from tests.integration.api.test_bad_input import assert_problem, raw
from tests.servers import Servers

URL = "https://example.com/a.jpg"
JOB: dict[str, Any] = {"source": {"url": URL}, "recipe": {"outputs": [{"name": "web"}]}, "metadata": {"n": 1.50}}


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def post(api: Api, path: str, headers: dict[str, str], **content: Any) -> httpx.Response:
    return api.client.post(f"/api/v1{path}", headers=headers, **content)


def assert_replayed(again: httpx.Response, first: httpx.Response) -> None:
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("Location", "Retry-After", "Content-Type"):
        assert again.headers.get(name) == first.headers.get(name)
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["/jobs", "/process"])
def test_same_request_under_a_key_makes_one_job_and_gets_the_first_answer(api: Api, path: str) -> None:
    body = JOB if path == "/jobs" else {"image_url": URL, "metadata": {"n": 1e22, "ü": "é"}}
    key = new_key()
    first = post(api, path, key, json=body)
    after = api.traces()
    assert first.status_code == 202
    assert_replayed(post(api, path, key, json=body), first)
    # The same JSON, written in another way.
    other = json.dumps(dict(reversed(body.items())), indent=1).encode()
    assert_replayed(post(api, path, {**key, "Content-Type": "application/json"}, content=other), first)
    assert api.traces() == after


def test_raw_upload_under_a_key_is_stored_once(api: Api) -> None:
    key = {**new_key(), "Content-Type": "image/png"}
    first = post(api, "/uploads", key, content=b"pixels")
    after = api.traces()
    assert first.status_code == 201
    assert_replayed(post(api, "/uploads", key, content=b"pixels"), first)
    assert api.traces() == after
    assert_problem(post(api, "/uploads", key, content=b"others"), 422, "idempotency_key_reused")
    assert_problem(post(api, "/uploads", {**key, "Content-Type": "image/gif"}, content=b"pixels"), 422)
    assert api.traces() == after


@pytest.mark.parametrize("path", ["/uploads", "/process"])
def test_form_under_a_key_is_stored_once_whatever_its_boundary(api: Api, path: str) -> None:
    key = new_key()
    fields = {} if path == "/uploads" else {"data": {"width": "10", "filter": "blur"}}
    first = post(api, path, key, files={"file": ("a.png", b"pixels", "image/png")}, **fields)
    after = api.traces()
    assert first.is_success, first.text
    assert_replayed(post(api, path, key, files={"file": ("b.png", b"pixels", "image/png")}, **fields), first)
    answer = post(api, path, key, files={"file": ("a.png", b"others", "image/png")}, **fields)
    assert_problem(answer, 422, "idempotency_key_reused")
    assert api.traces() == after


def test_another_request_under_the_key_is_422_and_makes_nothing(api: Api) -> None:
    key = new_key()
    assert post(api, "/jobs", key, json=JOB).status_code == 202
    before = api.traces()
    others: list[tuple[str, Any]] = [
        ("/jobs", {**JOB, "priority": "high"}),
        ("/jobs", {**JOB, "metadata": {"n": "1.5"}}),
        ("/process", {"image_url": URL}),
    ]
    for path, body in others:
        document = assert_problem(post(api, path, key, json=body), 422, "idempotency_key_reused")
        assert "key" in document["title"].lower()
    assert api.traces() == before


def test_keyless_and_differently_keyed_requests_are_requests_of_their_own(api: Api) -> None:
    key = new_key()
    answers = [post(api, "/jobs", headers, json=JOB) for headers in (key, {}, {}, new_key())]
    assert len({answer.json()["job_id"] for answer in answers}) == 4
    upper = {"Idempotency-Key": key["Idempotency-Key"].upper()}
    assert "Idempotency-Replayed" not in post(api, "/jobs", upper, json=JOB).headers


def test_refused_request_leaves_its_key_free_for_the_mended_one(api: Api) -> None:
    key = new_key()
    assert_problem(post(api, "/jobs", key, json={**JOB, "priority": "urgent"}), 422, "invalid")
    unknown = {**JOB, "source": {"upload_id": str(uuid.uuid4())}}
    assert_problem(post(api, "/jobs", key, json=unknown), 422, "invalid")
    first = post(api, "/jobs", key, json=JOB)
    assert first.status_code == 202
    assert_replayed(post(api, "/jobs", key, json=JOB), first)


def test_finished_job_is_answered_as_it_was_at_first(api: Api) -> None:
    key = new_key()
    first = post(api, "/jobs", key, json=JOB)
    job_id = first.json()["job_id"]
    api.query("UPDATE jobs SET status = 'completed', stage = NULL, finished_at = now() WHERE id = %s", job_id)
    assert_replayed(post(api, "/jobs", key, json=JOB), first)
    api.query("DELETE FROM jobs WHERE id = %s", job_id)
    assert_replayed(post(api, "/jobs", key, json=JOB), first)


def test_retry_under_a_key_makes_one_job(api: Api) -> None:
    job_id = post(api, "/jobs", {}, json=JOB).json()["job_id"]
    post(api, f"/jobs/{job_id}/cancel", {})
    key = new_key()
    first = post(api, f"/jobs/{job_id}/retry", key)
    assert (first.status_code, first.json()["retry_of"]) == (202, job_id)
    assert_replayed(post(api, f"/jobs/{job_id}/retry", key), first)
    assert api.query("SELECT count(*) FROM jobs WHERE retry_of = %s", job_id) == [(1,)]


def test_fifty_at_once_make_one_job(api: Api) -> None:
    key = new_key()
    before = api.query("SELECT count(*) FROM jobs")[0][0]

    def send(_: int) -> httpx.Response:
        return patiently(lambda: api.client.post("/api/v1/jobs", json=JOB, headers=key, timeout=60))

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(send, range(50)))
    assert api.query("SELECT count(*) FROM jobs")[0][0] == before + 1
    assert {answer.status_code for answer in answers} <= {202, 409}
    made = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.content for answer in made}) == 1
    assert Counter("Idempotency-Replayed" in answer.headers for answer in made)[False] == 1
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409, "idempotency_key_in_flight")
            assert int(answer.headers["Retry-After"]) > 0


def test_fifty_uploads_at_once_leave_one_object(api: Api) -> None:
    key = {**new_key(), "Content-Type": "image/png"}
    before = len(api.objects())

    def send(_: int) -> int:
        return patiently(
            lambda: api.client.post("/api/v1/uploads", content=b"x" * 10_000, headers=key, timeout=60)
        ).status_code

    with ThreadPoolExecutor(50) as threads:
        assert set(threads.map(send, range(50))) <= {201, 409}
    assert len(api.objects()) == before + 1


def test_request_whose_first_is_still_running_is_409_at_once(api: Api) -> None:
    # Where a process stands still for long, the first waits for the lock longer than it may.
    tries = (_first_and_second(api, new_key()) for _ in range(10))
    key, first, second = next(each for each in tries if each[1].status_code != 503)
    assert first.status_code == 202
    assert_problem(second, 409, "idempotency_key_in_flight")
    assert second.headers["Retry-After"] == "1"
    assert_replayed(post(api, "/jobs", key, json=JOB), first)


def _first_and_second(api: Api, key: dict[str, str]) -> tuple[dict[str, str], httpx.Response, httpx.Response]:
    """The key, and the answers: the first request is held up by a lock on the table, with its key in hand."""
    connection = psycopg2.connect(api.database_url.replace("+psycopg2", ""))
    try:
        connection.cursor().execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
        with ThreadPoolExecutor(1) as thread:
            first = thread.submit(httpx.post, f"{api.url}/api/v1/jobs", json=JOB, headers=key, timeout=60)
            wait_until(lambda: first.done() or _waiting_for_a_lock(connection), "the first request runs")
            second = post(api, "/jobs", key, json=JOB)
            connection.rollback()
            return key, first.result(), second
    finally:
        connection.close()


def _waiting_for_a_lock(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'jobs'::regclass")
        return bool(cursor.fetchall())


def test_expired_answer_is_forgotten_and_overwritten(api: Api) -> None:
    key = new_key()
    first = post(api, "/jobs", key, json=JOB)
    kept = api.query(
        "SELECT extract(epoch FROM expires_at - created_at)::int FROM idempotency_records WHERE key = %s",
        key["Idempotency-Key"],
    )
    assert kept == [(86_400,)]
    api.query("UPDATE idempotency_records SET expires_at = now() WHERE key = %s", key["Idempotency-Key"])
    other = post(api, "/process", key, json={"image_url": URL})
    assert other.status_code == 202
    assert other.json()["job_id"] != first.json()["job_id"]
    assert_replayed(post(api, "/process", key, json={"image_url": URL}), other)


@pytest.mark.parametrize(
    "key",
    [b"", b"x" * 256, b"\xc3\xa9", b"\xff", b"a\tb"],
    ids=["empty", "too long", "utf-8", "latin-1", "tab"],
)
def test_key_that_is_none_is_400_with_a_sentence(api: Api, key: bytes) -> None:
    before = api.traces()
    answer = httpx.post(f"{api.url}/api/v1/jobs", json=JOB, headers=[(b"Idempotency-Key", key)], timeout=60)
    assert "1 to 255 printable ASCII" in assert_problem(answer, 400, "malformed")["detail"]
    assert api.traces() == before


def test_two_keys_are_400(api: Api) -> None:
    before = api.traces()
    answer = httpx.post(
        f"{api.url}/api/v1/jobs", json=JOB, headers=[("Idempotency-Key", "a"), ("idempotency-key", "a")], timeout=60
    )
    assert "more than once" in assert_problem(answer, 400, "malformed")["detail"]
    assert api.traces() == before


@pytest.mark.parametrize("character", [b"\x00", b"\n", b"\x7f"], ids=["nul", "line feed", "delete"])
def test_key_with_a_character_that_no_header_has_is_400(api: Api, character: bytes) -> None:
    before = api.traces()
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIdempotency-Key: a" + character + b"b\r\n"
    answer = raw(api, head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", hang_up=False)
    assert answer.startswith(b"HTTP/1.1 400")
    assert api.traces() == before


@pytest.mark.parametrize("key", ["x" * 255, '"quoted"', "a b", "~!@#$%^&*()'; DROP TABLE jobs; --"])
def test_key_of_printable_characters_is_taken_as_it_is(api: Api, key: str) -> None:
    headers = {"Idempotency-Key": key}
    first = post(api, "/jobs", headers, json=JOB)
    assert_replayed(post(api, "/jobs", headers, json=JOB), first)
    assert api.query("SELECT count(*) FROM idempotency_records WHERE key = %s", key) == [(1,)]


def test_key_means_nothing_where_nothing_is_made(api: Api) -> None:
    key = new_key()
    job_id = post(api, "/jobs", key, json=JOB).json()["job_id"]
    shown = api.client.get(f"/api/v1/jobs/{job_id}", headers=key)
    assert shown.status_code == 200
    assert api.client.get("/api/v1/jobs", headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "")]).is_success
    canceled = post(api, f"/jobs/{job_id}/cancel", key)
    assert canceled.status_code == 200
    assert "Idempotency-Replayed" not in canceled.headers


def _is_alone(api: Api) -> bool:
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return bool(api.query(others) == [(0,)])


@pytest.mark.parametrize(("failpoint", "made"), [("submit.inserted", 0), ("submit.committed", 1)])
def test_kill_leaves_the_job_with_its_answer_or_neither(
    servers: Servers, tmp_path: Path, failpoint: str, made: int
) -> None:
    key, database, failpoints = new_key(), servers.new_database(), tmp_path / "failpoints"
    failpoints.mkdir()
    (failpoints / failpoint).write_text('{"action": "kill"}')
    with running_api(database, tmp_path / "objects", killed=True, PIXMILL_FAILPOINTS=str(failpoints)) as api:
        with pytest.raises(httpx.TransportError):
            post(api, "/process", key, files={"file": ("a.png", b"pixels", "image/png")})
        wait_until(lambda: api.process.poll() is not None, "the API was killed")
        wait_until(lambda: _is_alone(api), "the server has noticed, and rolled back")
        records = "SELECT count(*) FROM idempotency_records WHERE key = %s"
        assert api.query(records, key["Idempotency-Key"]) == [(made,)]
        assert api.query("SELECT count(*) FROM jobs") == [(made,)]
    with running_api(database, tmp_path / "objects") as api:
        answer = post(api, "/process", key, files={"file": ("a.png", b"pixels", "image/png")})
        assert answer.status_code == 202, answer.text
        assert ("Idempotency-Replayed" in answer.headers) == bool(made)
        assert api.query("SELECT count(*) FROM jobs") == [(1,)]
        stored = api.query("SELECT source_key FROM jobs WHERE id = %s", answer.json()["job_id"])[0][0]
        assert (api.storage / stored).read_bytes() == b"pixels"
