"""``Prefer: wait=N``: the answer comes with the finished job."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.integration.api.running import Api, wait_until
from tests.integration.api.streaming import JOB, complete, fail, nobody_watches, submitted, viewers

SHORT = {"image_url": "https://example.com/a.jpg"}
HELD: dict[str, Any] = {"headers": {"Prefer": "wait=50"}, "timeout": 90}


@contextmanager
def in_thread(call: Callable[[], httpx.Response]) -> Iterator[Future[httpx.Response]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)


def newest(api: Api) -> str:
    return str(api.query("SELECT id FROM jobs ORDER BY id DESC LIMIT 1")[0][0])


def held(api: Api, call: Callable[[], httpx.Response], end: Callable[[Api, str], Any]) -> httpx.Response:
    """The answer, once the job that it makes was ended."""
    nobody_watches(api)
    with in_thread(call) as answer:
        wait_until(lambda: viewers(api) == 1, "it waits", 60)
        assert not answer.done()
        end(api, newest(api))
        found = answer.result(90)
    nobody_watches(api)
    return found


@pytest.mark.parametrize(("path", "body"), [("jobs", JOB), ("process", SHORT)])
def test_finished_job_is_the_answer(api: Api, path: str, body: dict[str, Any]) -> None:
    answer = held(api, lambda: api.client.post(f"/api/v1/{path}", json=body, **HELD), complete)
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=50"
    job = answer.json()
    assert (job["status"], len(job["outputs"])) == ("completed", 2)
    assert answer.headers["Location"] == job["urls"]["self"]
    assert "Retry-After" not in answer.headers


def test_failed_job_is_an_answer_too(api: Api) -> None:
    answer = held(api, lambda: api.client.post("/api/v1/jobs", json=JOB, **HELD), fail)
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")


def test_retry_is_held_too(api: Api) -> None:
    old = submitted(api)
    fail(api, old)
    answer = held(api, lambda: api.client.post(f"/api/v1/jobs/{old}/retry", **HELD), complete)
    assert (answer.status_code, answer.json()["retry_of"]) == (200, old)


def test_form_is_held_too(api: Api) -> None:
    def call() -> httpx.Response:
        return api.client.post("/api/v1/process", files={"file": b"x"}, **HELD)

    assert held(api, call, complete).status_code == 200


def test_job_that_takes_longer_is_202_as_it_is_now(api: Api) -> None:
    began = time.monotonic()
    answer = api.client.post("/api/v1/jobs", json=JOB, headers={"Prefer": "wait=1"})
    assert time.monotonic() - began >= 1
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert "Preference-Applied" not in answer.headers
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("preference", ["wait=0", "wait=61", "wait=x", "respond-async", "wait", "wait=-5"])
def test_preference_that_is_none_is_ignored(api: Api, preference: str) -> None:
    answer = api.client.post("/api/v1/jobs", json=JOB, headers={"Prefer": preference})
    assert (answer.status_code, "Preference-Applied" in answer.headers) == (202, False)


def test_same_request_under_the_same_key_waits_too_and_makes_nothing(api: Api) -> None:
    headers = {"Prefer": "wait=50", "Idempotency-Key": "held"}
    first = api.client.post("/api/v1/jobs", json=JOB, headers={"Idempotency-Key": "held"})
    count = api.query("SELECT count(*) FROM jobs")
    second = held(api, lambda: api.client.post("/api/v1/jobs", json=JOB, headers=headers, timeout=90), complete)
    assert (second.status_code, second.json()["job_id"]) == (200, first.json()["job_id"])
    assert second.headers["Idempotency-Replayed"] == "true"
    third = api.client.post("/api/v1/jobs", json=JOB, headers=headers)
    assert (third.status_code, third.json()["job_id"]) == (200, first.json()["job_id"])
    # What was recorded is the answer that is not held.
    assert api.client.post("/api/v1/jobs", json=JOB, headers={"Idempotency-Key": "held"}).content == first.content
    assert api.query("SELECT count(*) FROM jobs") == count


def test_client_that_leaves_leaves_nothing_behind(api: Api) -> None:
    nobody_watches(api)
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=60)
    headers = {"Content-Type": "application/json", "Prefer": "wait=60"}
    connection.request("POST", "/api/v1/jobs", json.dumps(JOB), headers)
    wait_until(lambda: viewers(api) == 1, "it waits", 60)
    connection.close()
    # Long before the answer would have been due.
    wait_until(lambda: viewers(api) == 0, "it is forgotten", 40)


def test_many_that_wait_hold_up_nobody(api: Api) -> None:
    """More than there are threads and connections of the database."""
    with ThreadPoolExecutor(60) as pool:
        nobody_watches(api)
        answers = [
            pool.submit(api.client.post, "/api/v1/jobs", json=JOB, headers={"Prefer": "wait=60"}, timeout=120)
            for _ in range(60)
        ]
        wait_until(lambda: viewers(api) == 60, "all wait", 90)
        # Its client waits for half the time that they may be held.
        assert api.client.get("/api/v1/jobs?limit=1").status_code == 200
        api.query(
            "UPDATE jobs SET status = 'failed', stage = NULL, finished_at = now(), sequence = 1 WHERE stage = 'fetch'"
        )
        assert {answer.result(90).status_code for answer in answers} == {200}
