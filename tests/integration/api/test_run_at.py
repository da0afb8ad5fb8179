"""``run_at``: a job that is put off."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import assert_problem

JOB: dict[str, Any] = {"source": {"url": "https://example.com/a.jpg"}, "recipe": {"outputs": [{"name": "web"}]}}


def ahead(**time: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(**time)


@pytest.mark.parametrize("form", ["job", "short", "multipart"])
def test_job_is_queued_for_later_and_shows_the_time(api: Api, form: str) -> None:
    moment = ahead(hours=3).replace(microsecond=0).astimezone(datetime.timezone(datetime.timedelta(hours=5.5)))
    run_at = moment.isoformat()
    if form == "job":
        answer = api.client.post("/api/v1/jobs", json={**JOB, "run_at": run_at})
    elif form == "short":
        answer = api.client.post("/api/v1/process", json={"image_url": JOB["source"]["url"], "run_at": run_at})
    else:
        answer = api.client.post("/api/v1/process", data={"run_at": run_at}, files={"file": ("a.png", b"x")})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert datetime.datetime.fromisoformat(job["run_at"]) == moment
    assert job["run_at"].endswith("Z")
    assert (job["status"], job["queue_position"]) == ("queued", None)
    assert job["created_at"]
    assert api.client.get(answer.headers["Location"]).json() == job
    assert api.query("SELECT run_at FROM jobs WHERE id = %s", job["job_id"]) == [(moment,)]


@pytest.mark.parametrize("run_at", ["2001-02-03t04:05:06.789z", "1969-12-31T23:59:59-01:00", None])
def test_time_that_is_over_means_at_once(api: Api, run_at: str | None) -> None:
    job = api.client.post("/api/v1/jobs", json={**JOB, "run_at": run_at}).json()
    assert job["run_at"] is None
    assert isinstance(job["queue_position"], int)
    assert api.query("SELECT run_at FROM jobs WHERE id = %s", job["job_id"]) == [(None,)]


def test_furthest_time_is_a_setting(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects", PIXMILL_MAX_DELAY="3600") as api:
        assert api.client.post("/api/v1/jobs", json={**JOB, "run_at": ahead(minutes=55).isoformat()}).is_success
        before = api.traces()
        answer = api.client.post("/api/v1/jobs", json={**JOB, "run_at": ahead(minutes=65).isoformat()})
        errors = assert_problem(answer, 422, "invalid")["errors"]
        assert [error["pointer"] for error in errors] == ["/run_at"]
        assert api.traces() == before


def test_time_of_a_job_between_two_tries_is_shown_and_of_one_that_ended_is_not(api: Api) -> None:
    job = api.client.post("/api/v1/jobs", json=JOB).json()
    api.query("UPDATE jobs SET run_at = now() + interval '1 minute', attempts = 1 WHERE id = %s", job["job_id"])
    assert api.client.get(job["urls"]["self"]).json()["run_at"]
    assert api.client.post(job["urls"]["cancel"]).json()["run_at"] is None
