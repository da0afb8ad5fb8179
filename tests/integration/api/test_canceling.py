"""Cancel and retry over HTTP."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import assert_problem

JOB: dict[str, Any] = {
    "source": {"url": "https://example.com/a.jpg"},
    "recipe": {"outputs": [{"name": "web"}]},
    "metadata": {"order": "A-17"},
    "webhook_url": "https://example.com/hook",
    "priority": "high",
}


def submitted(api: Api, status: str = "queued") -> str:
    job_id = str(api.client.post("/api/v1/jobs", json=JOB).json()["job_id"])
    stage = "stage" if status in ("queued", "processing") else "NULL"
    api.query(f"UPDATE jobs SET status = %s, stage = {stage} WHERE id = %s", status, job_id)
    return job_id


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_job_that_has_not_ended_is_canceled_and_stays_so(api: Api, status: str) -> None:
    job_id = submitted(api, status)
    url = api.client.get(f"/api/v1/jobs/{job_id}").json()["urls"]["cancel"]
    assert url == f"{api.url}/api/v1/jobs/{job_id}/cancel"
    first = api.client.post(url)
    assert first.status_code == 200
    job = first.json()
    assert (job["job_id"], job["status"], job["stage"], job["error"]) == (job_id, "canceled", None, None)
    assert job["finished_at"]
    urls = {
        "self": f"{api.url}/api/v1/jobs/{job_id}",
        "events": f"{api.url}/api/v1/jobs/{job_id}/events",
        "cancel": None,
    }
    assert job["urls"] == urls
    again = api.client.post(url)
    assert (again.status_code, again.json()) == (200, job)
    assert api.client.get(job["urls"]["self"]).json() == job
    told = (
        "SELECT type, (SELECT count(*) FROM deliveries d WHERE d.event_id = e.id) FROM job_events e WHERE job_id = %s"
    )
    assert api.query(told, job_id) == [("job.canceled", 1)]


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_job_that_has_ended_is_409_and_keeps_its_end(api: Api, status: str) -> None:
    job_id = submitted(api, status)
    before = api.traces()
    document = assert_problem(api.client.post(f"/api/v1/jobs/{job_id}/cancel"), 409, "conflict")
    assert status in document["detail"]
    job = api.client.get(f"/api/v1/jobs/{job_id}").json()
    assert (job["status"], job["urls"]["cancel"]) == (status, None)
    assert api.traces() == before


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_retry_makes_a_new_job_that_points_at_the_old_one(api: Api, status: str) -> None:
    old = api.client.get(f"/api/v1/jobs/{submitted(api, status)}").json()
    answer = api.client.post(f"/api/v1/jobs/{old['job_id']}/retry", headers={"X-Request-ID": "again-1"})
    new = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == new["urls"]["self"]
    assert int(answer.headers["Retry-After"]) > 0
    assert (new["status"], new["retry_of"], new["attempts"]) == ("queued", old["job_id"], 0)
    for kept in ("source", "metadata", "priority", "destination"):
        assert new[kept] == old[kept]
    assert api.client.get(answer.headers["Location"]).json() == new
    assert api.client.get(f"/api/v1/jobs/{old['job_id']}").json() == old
    columns = "recipe, webhook_url, queue, stage"
    rows = [api.query(f"SELECT {columns} FROM jobs WHERE id = %s", job["job_id"])[0] for job in (old, new)]
    assert rows[0][:3] == rows[1][:3]
    assert rows[1][3] == "fetch"
    assert api.query("SELECT request_id FROM jobs WHERE id = %s", new["job_id"]) == [("again-1",)]


@pytest.mark.parametrize("status", ["queued", "processing", "completed"])
def test_retry_of_a_job_that_may_end_well_is_409_and_makes_nothing(api: Api, status: str) -> None:
    job_id = submitted(api, status)
    before = api.traces()
    assert status in assert_problem(api.client.post(f"/api/v1/jobs/{job_id}/retry"), 409, "conflict")["detail"]
    assert api.traces() == before


@pytest.mark.parametrize("action", ["cancel", "retry"])
@pytest.mark.parametrize("job_id", ["x", "01890a5d-ac96-774b-bcce-b302099a8057", "%00", "'--"])
def test_job_that_is_none_is_404(api: Api, action: str, job_id: str) -> None:
    before = api.traces()
    assert_problem(api.client.post(f"/api/v1/jobs/{job_id}/{action}"), 404, "not_found")
    assert_problem(api.client.get(f"/api/v1/jobs/{job_id}/{action}"), 405)
    assert api.traces() == before


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_another_projects_job_is_404_and_stays_as_it_is(api: Api, action: str) -> None:
    job_id = submitted(api, "queued" if action == "cancel" else "failed")
    api.query("UPDATE jobs SET project = 'others' WHERE id = %s", job_id)
    before = (api.traces(), api.query("SELECT status FROM jobs WHERE id = %s", job_id))
    assert_problem(api.client.post(f"/api/v1/jobs/{job_id}/{action}"), 404, "not_found")
    assert (api.traces(), api.query("SELECT status FROM jobs WHERE id = %s", job_id)) == before


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_without_a_key_it_is_401(postgres_url: str, tmp_path: Path, action: str) -> None:
    with running_api(postgres_url, tmp_path / "objects", PIXMILL_AUTH="on") as guarded:
        answer = guarded.client.post(f"/api/v1/jobs/{uuid.uuid4()}/{action}", headers={"Idempotency-Key": ""})
        assert_problem(answer, 401, "unauthenticated")
