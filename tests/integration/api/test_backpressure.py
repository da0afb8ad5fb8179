"""Over ``PIXMILL_MAX_BACKLOG`` no job is taken, and nothing is kept of what is refused."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.api.running import Api, patiently, ready, running_api, wait_until
from tests.integration.api.test_bad_input import assert_problem

URL = "https://example.com/a.jpg"
JOB: dict[str, Any] = {"source": {"url": URL}, "recipe": {"outputs": [{"name": "web"}]}}
RECOUNTED = 150.0
"""Seconds within which the backlog is counted again, however slow the machine is."""
FILE = {"file": ("a.png", b"pixels", "image/png")}


@pytest.fixture(scope="module")
def running(postgres_url: str, storage: Path) -> Iterator[Api]:
    """Five jobs may wait."""
    with running_api(postgres_url, storage, PIXMILL_MAX_BACKLOG="5") as api:
        yield api


@pytest.fixture
def small(running: Api) -> Api:
    """Empty, and aware of it."""
    running.query("DELETE FROM jobs")
    running.query("DELETE FROM idempotency_records")
    wait_until(lambda: backlog(running) == 0, "it was counted", RECOUNTED)
    return running


def backlog(api: Api) -> int:
    """As the metrics tell; asking has it counted, if the last count is too old."""
    lines = api.client.get("/metrics").text.splitlines()
    return int(float(next(line for line in lines if line.startswith("pixmill_backlog_jobs")).split()[1]))


def insert(api: Api, count: int, status: str) -> None:
    api.query(
        "INSERT INTO jobs (id, project, status, stage, queue, priority, source, recipe) "
        "SELECT gen_random_uuid(), 'default', %s, 'fetch', 'fetch', 1, '{}', '{}' FROM generate_series(1, %s)",
        *(status, count),
    )


def fill(api: Api, **headers: str) -> list[httpx.Response]:
    return [api.client.post("/api/v1/jobs", json=JOB, headers=headers) for _ in range(5)]


def test_full_queue_is_429_for_every_call_that_makes_a_job_and_nothing_is_kept(small: Api) -> None:
    insert(small, 1, "failed")
    failed = small.query("SELECT id FROM jobs")[0][0]
    assert [answer.status_code for answer in fill(small)] == [202] * 5
    before = small.traces()
    refused = [
        small.client.post("/api/v1/jobs", json=JOB),
        small.client.post("/api/v1/jobs", json=JOB, headers={"Idempotency-Key": "k"}),
        small.client.post("/api/v1/process", json={"image_url": URL}),
        small.client.post("/api/v1/process", files=FILE),
        small.client.post("/api/v1/process", files=FILE, headers={"Idempotency-Key": "k"}),
        small.client.post(f"/api/v1/jobs/{failed}/retry"),
    ]
    for answer in refused:
        assert_problem(answer, 429, "queue_full")
        assert int(answer.headers["Retry-After"]) >= 1
    assert small.traces() == before


def test_full_queue_goes_on_with_all_that_makes_no_job(small: Api) -> None:
    first = fill(small, **{"Idempotency-Key": "first"})[0]
    fill(small)
    assert_problem(small.client.post("/api/v1/jobs", json=JOB), 429)
    again = small.client.post("/api/v1/jobs", json=JOB, headers={"Idempotency-Key": "first"})
    assert (again.status_code, again.content) == (202, first.content)
    assert small.client.post("/api/v1/uploads", files=FILE).status_code == 201
    assert small.client.get(first.headers["Location"]).status_code == 200
    ready(small, database="ok")
    assert small.client.post(first.json()["urls"]["cancel"]).status_code == 200


def test_jobs_are_taken_again_once_others_were_claimed(small: Api) -> None:
    fill(small)
    assert_problem(small.client.post("/api/v1/jobs", json=JOB), 429)
    small.query("UPDATE jobs SET status = 'processing' WHERE id IN (SELECT id FROM jobs LIMIT 2)")
    wait_until(lambda: small.client.post("/api/v1/jobs", json=JOB).status_code == 202, "there is room again", RECOUNTED)
    assert small.client.post("/api/v1/jobs", json=JOB).status_code == 202
    assert_problem(small.client.post("/api/v1/jobs", json=JOB), 429)


def test_delayed_and_published_jobs_count_and_ended_ones_do_not(small: Api) -> None:
    fill(small)
    small.query("UPDATE jobs SET status = 'failed' WHERE id IN (SELECT id FROM jobs LIMIT 1)")
    small.query(
        "UPDATE jobs SET run_at = now() + interval '1 day' WHERE id IN "
        "(SELECT id FROM jobs WHERE status = 'queued' LIMIT 1)"
    )
    small.query(
        "UPDATE jobs SET dispatched_at = now() WHERE id IN "
        "(SELECT id FROM jobs WHERE status = 'queued' AND run_at IS NULL LIMIT 2)"
    )
    wait_until(lambda: backlog(small) == 4, "they were counted", RECOUNTED)
    assert small.client.post("/api/v1/jobs", json=JOB).status_code == 202
    assert_problem(small.client.post("/api/v1/jobs", json=JOB), 429)


def test_fifty_at_once_do_not_pass_the_limit(small: Api) -> None:
    assert small.client.post("/api/v1/jobs", json=JOB).status_code == 202

    def send(_: int) -> int:
        return patiently(lambda: small.client.post("/api/v1/jobs", json=JOB, timeout=60)).status_code

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(send, range(50)))
    assert set(answers) <= {202, 429}
    ((taken,),) = small.query("SELECT count(*) FROM jobs")
    assert taken == 1 + answers.count(202) <= 5
    # A count that finds what was taken while it ran has that twice, until the next one.
    wait_until(lambda: backlog(small) == taken, "it was counted again", RECOUNTED)
    rest = [small.client.post("/api/v1/jobs", json=JOB).status_code for _ in range(5 - taken + 1)]
    assert rest == [202] * (5 - taken) + [429]


def test_rows_of_others_are_seen_at_the_next_count(small: Api) -> None:
    """Another process, or a bulk of work, fills the queue."""
    assert small.client.post("/api/v1/jobs", json=JOB).status_code == 202
    insert(small, 100, "queued")
    wait_until(lambda: backlog(small) == 5, "the count ends at the limit", RECOUNTED)
    assert_problem(small.client.post("/api/v1/jobs", json=JOB), 429, "queue_full")
