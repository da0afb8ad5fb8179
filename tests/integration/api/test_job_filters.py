"""Filters of the list of jobs: one by one, together, page by page."""

import datetime
import uuid
from typing import Any

import pytest
from tests.integration.api.running import Api
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.api.test_batches import made

GENERATING = (1, 2)
START = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def jobs(api: Api) -> list[str]:
    """Six of them, an hour apart, the oldest first."""
    api.query("DELETE FROM jobs")
    found = []
    metadata: list[dict[str, Any]] = [
        {"order": "A-17", "n": 1},
        {"order": "A-17", "n": 2},
        {"order": "17", "flag": True},
        {"order": 17, "flag": False},
        {"order": "true", "a.b": "c d&e"},
        {},
    ]
    for hour, each in enumerate(metadata):
        body = {"image_url": "https://example.com/a.jpg", "metadata": each}
        job_id = api.client.post("/api/v1/process", json=body).json()["job_id"]
        at = START + datetime.timedelta(hours=hour)
        aged = str(uuid.UUID(int=int(at.timestamp() * 1000) << 80 | uuid.UUID(job_id).int & (1 << 80) - 1))
        status = "failed" if hour % 2 else "queued"
        api.query("DELETE FROM job_events WHERE job_id = %s", job_id)
        api.query(
            "UPDATE jobs SET id = %s, created_at = %s, status = %s, kind = %s, stage = NULL WHERE id = %s",
            aged,
            at,
            status,
            "generate" if hour in GENERATING else "process",
            job_id,
        )
        found.append(aged)
    return found


def listed(api: Api, query: Any) -> list[str]:
    answer = api.client.get("/api/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [job["job_id"] for job in answer.json()["data"]]


CASES: list[tuple[dict[str, str], list[int]]] = [
    ({}, [5, 4, 3, 2, 1, 0]),
    ({"status": "failed"}, [5, 3, 1]),
    ({"kind": "generate"}, [2, 1]),
    ({"kind": "process"}, [5, 4, 3, 0]),
    ({"kind": "generate", "status": "failed", "metadata.order": "A-17"}, [1]),
    ({"since": "2030-01-01T03:00:00Z"}, [5, 4, 3]),
    ({"until": "2030-01-01T03:00:00Z"}, [2, 1, 0]),
    ({"since": "2030-01-01T03:00:00+02:00", "until": "2030-01-01T05:00:00+02:00"}, [2, 1]),
    ({"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"}, [5, 4, 3, 2, 1, 0]),
    ({"until": "0001-01-01T00:00:00Z"}, []),
    ({"metadata.order": "A-17"}, [1, 0]),
    ({"metadata.order": "17"}, [3, 2]),
    ({"metadata.order": "17.0"}, [3]),
    ({"metadata.order": "true"}, [4]),
    ({"metadata.order": ""}, []),
    ({"metadata.order": '"17"'}, []),
    ({"metadata.flag": "true"}, [2]),
    ({"metadata.a.b": "c d&e"}, [4]),
    ({"metadata.n": "1e999"}, []),
    ({"metadata.n": "NaN"}, []),
    ({"metadata.n": "[1]"}, []),
    ({"metadata.n": "\x00"}, []),
    ({"metadata.n": "9" * 5000}, []),
    ({"metadata.order": "A-17", "metadata.n": "2"}, [1]),
    ({"metadata.order": "A-17", "metadata.n": "2", "status": "failed", "since": "2030-01-01T00:00:00Z"}, [1]),
    ({"metadata.order": "A-17", "status": "canceled"}, []),
    ({"batch": "01890a5d-ac96-774b-bcce-b302099a8057"}, []),
]


@pytest.mark.parametrize(("query", "expected"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_filter_finds_what_it_says(api: Api, jobs: list[str], query: dict[str, str], expected: list[int]) -> None:
    assert listed(api, query) == [jobs[n] for n in expected]


def test_filters_hold_on_every_page(api: Api, jobs: list[str]) -> None:
    found: list[str] = []
    query = {"since": "2030-01-01T01:00:00Z", "status": "failed", "limit": "1"}
    for expected in (True, True, False):
        page = api.client.get("/api/v1/jobs", params=query).json()
        found += [job["job_id"] for job in page["data"]]
        assert page["has_more"] == expected
        query["cursor"] = page["next_cursor"]
    assert found == [jobs[5], jobs[3], jobs[1]]


def test_jobs_of_a_batch_are_listed_newest_first(api: Api) -> None:
    batch = made(api, 3, metadata={"of": "the batch"})
    answer = api.client.get(batch["urls"]["jobs"])
    assert [job["batch_index"] for job in answer.json()["data"]] == [2, 1, 0]
    ids = [job["job_id"] for job in reversed(batch["jobs"])]
    assert listed(api, {"batch": batch["batch_id"], "status": "queued"}) == ids
    assert listed(api, {"batch": batch["batch_id"], "status": "failed"}) == []
    api.query("UPDATE jobs SET project = 'others' WHERE batch_id = %s", batch["batch_id"])
    assert listed(api, {"batch": batch["batch_id"]}) == []


WRONG: list[tuple[Any, str]] = [
    ({"batch": "x"}, "/query/batch"),
    ({"batch": "{01890a5d-ac96-774b-bcce-b302099a8057}"}, "/query/batch"),
    ({"since": "2030-01-01"}, "/query/since"),
    ({"until": "now"}, "/query/until"),
    ({"status": "done"}, "/query/status"),
    ({"kind": "paint"}, "/query/kind"),
    ({"metadata": "x"}, "/query/metadata"),
    ({"metadata.": "x"}, "/query/metadata."),
    ({"metadata." + "k" * 65: "x"}, "/query/metadata." + "k" * 65),
    ({"order": "x"}, "/query/order"),
    ([(f"metadata.{n}", "x") for n in range(11)], "/query/metadata"),
]


@pytest.mark.parametrize(("query", "pointer"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_filter_that_is_none_is_422(api: Api, query: Any, pointer: str) -> None:
    document = assert_problem(api.client.get("/api/v1/jobs", params=query), 422)
    assert [error["pointer"] for error in document["errors"]] == [pointer]
