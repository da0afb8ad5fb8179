"""Figures: right, a project's own, and bounded; queues and alerts for administrators only."""

import datetime
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.api.test_presets import User

from pixmill_api.service.stats import STATS_AGE
from pixmill_shared.contract.scopes import Scope
from pixmill_shared.domain.ids import least_id, new_id

ZERO = {"count": 0, "more": False}
NOW = datetime.timedelta()
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(postgres_url, tmp_path_factory.mktemp("stats") / "objects", PIXMILL_AUTH="on") as running:
        yield running


def add_job(api: Api, project: str, status: str, *, age: datetime.timedelta = NOW, **columns: Any) -> str:
    """Made that long ago, and finished after ``ms`` if it is."""
    made = datetime.datetime.now(datetime.UTC) - age
    job_id = uuid.UUID(int=least_id(made).int | new_id().int & ((1 << 62) - 1)) if age else new_id()
    ms = columns.pop("ms", 100)
    values = {
        "id": str(job_id),
        "project": project,
        "status": status,
        "stage": "render",
        "queue": "imaging",
        "source": json.dumps({"bytes": 1000}),
        "recipe": "{}",
        "created_at": made,
        "started_at": made,
        "finished_at": made + datetime.timedelta(milliseconds=ms) if status in ("completed", "failed") else None,
        **columns,
    }
    names = ", ".join(values)
    api.query(f"INSERT INTO jobs ({names}) VALUES ({', '.join(['%s'] * len(values))})", *values.values())
    return str(job_id)


def add_output(api: Api, job_id: str, *, cached: bool, size: int) -> None:
    rendition = str(new_id())
    api.query(
        "INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type, "
        "width, height, bytes, sha256) VALUES (%s, %s, %s, 'x', 'x', 'vips', 'webp', 'image/webp', 1, 1, %s, 'x')",
        *(rendition, rendition, rendition, size),
    )
    api.query(
        "INSERT INTO outputs (job_id, name, position, rendition_id, cached) VALUES (%s, %s, 0, %s, %s)",
        *(job_id, rendition, rendition, cached),
    )


def test_figures_are_those_of_the_projects_jobs_by_when_they_were_made(guarded: Api) -> None:
    begun = datetime.datetime.now(datetime.UTC)
    for number in range(1, 21):
        job_id = add_job(guarded, "figures", "completed", ms=10 * number)
        add_output(guarded, job_id, cached=number > 15, size=100)
    add_job(guarded, "figures", "failed")
    add_job(guarded, "figures", "queued")
    add_job(guarded, "figures", "completed", age=25 * HOUR, ms=1)
    add_job(guarded, "elsewhere", "completed", ms=1)
    answer = User(guarded, "figures", Scope.READ)("GET", "/stats")
    assert answer.status_code == 200, answer.text
    stats = answer.json()
    # A midnight that went by meanwhile began another day.
    spans = [span for span in ("today", "last_hour") if datetime.datetime.fromisoformat(stats[span]["since"]) <= begun]
    assert "last_hour" in spans
    for span in spans:
        assert stats[span]["jobs"]["completed"] == {"count": 20, "more": False}
        assert stats[span]["jobs"]["failed"] == stats[span]["jobs"]["queued"] == {"count": 1, "more": False}
        assert stats[span]["jobs"]["processing"] == stats[span]["jobs"]["canceled"] == ZERO
    recent = stats["recent"]
    assert recent["jobs"] == 21
    assert (recent["renditions_made"], recent["renditions_reused"]) == (15, 5)
    assert (recent["bytes_in"], recent["bytes_out"]) == (21_000, 2_000)
    assert recent["duration_ms"] == {"p50": 100, "p95": 190}


def test_project_without_jobs_has_figures_too(guarded: Api) -> None:
    stats = User(guarded, "empty")("GET", "/stats").json()
    assert set(stats["today"]["jobs"]) == {"queued", "processing", "completed", "failed", "canceled"}
    assert set(map(str, stats["today"]["jobs"].values())) == {str(ZERO)}
    assert stats["recent"] == {
        **dict.fromkeys(("jobs", "renditions_made", "renditions_reused", "bytes_in", "bytes_out"), 0),
        "since": None,
        "duration_ms": {"p50": None, "p95": None},
    }


def test_figures_are_kept_for_a_few_seconds_for_each_project(guarded: Api) -> None:
    for number in range(10):
        project, asked = f"kept{number}", time.monotonic()
        user = User(guarded, project)
        first = user("GET", "/stats").json()
        add_job(guarded, project, "completed")
        again = user("GET", "/stats").json()
        # Not a machine that stood still until they were forgotten.
        if time.monotonic() - asked < STATS_AGE:
            break
    assert again == first
    assert User(guarded, "other")("GET", "/stats").json()["at"] != first["at"]


def test_counting_ends_at_its_bound(guarded: Api) -> None:
    guarded.query(
        """
        INSERT INTO jobs (id, project, queue, status, source, recipe)
        SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7'
                || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
               'many', 'imaging.low', 'queued', '{}', '{}' FROM generate_series(1, 10001) n
        """
    )
    user = User(guarded, "many")
    assert user("GET", "/stats").json()["last_hour"]["jobs"]["queued"] == {"count": 10_000, "more": True}
    listed = {queue["queue"]: queue for queue in user("GET", "/queues").json()["data"]}
    assert listed["imaging.low"]["ready"] == {"count": 1_000, "more": True}
    assert listed["imaging.low"]["oldest_seconds"] >= 0
    assert listed["fetch"] == {
        "queue": "fetch",
        **dict.fromkeys(("ready", "published", "delayed", "processing"), ZERO),
        "oldest_seconds": None,
    }
    guarded.query("DELETE FROM jobs WHERE project = 'many'")


def test_queues_tell_rows_of_all_projects_by_state(guarded: Api, tmp_path: Path, postgres_url: str) -> None:
    hour_ago = datetime.timedelta(hours=1)
    add_job(guarded, "one", "queued", queue="imaging.high", age=hour_ago)
    add_job(guarded, "two", "queued", queue="imaging.high")
    now = datetime.datetime.now(datetime.UTC)
    add_job(guarded, "one", "queued", queue="imaging.high", dispatched_at=now, dispatch_number=1)
    add_job(guarded, "one", "queued", queue="imaging.high", run_at=now + hour_ago)
    add_job(guarded, "one", "processing", queue="imaging.high", lease_until=now + hour_ago, claimed_by="w")
    add_job(guarded, "one", "completed", queue="imaging.high")
    # In a process of its own: the other one remembers what it told before.
    with running_api(postgres_url, tmp_path / "objects") as api:
        listed = {queue["queue"]: queue for queue in api.client.get("/api/v1/queues").json()["data"]}
    found = listed["imaging.high"]
    assert found["ready"] == {"count": 2, "more": False}
    assert found["published"] == found["delayed"] == found["processing"] == {"count": 1, "more": False}
    assert 3600 <= found["oldest_seconds"] < 3900


def test_queues_and_alerts_are_for_administrators(guarded: Api) -> None:
    for scope in (Scope.READ, Scope.WRITE):
        user = User(guarded, "scopes", scope)
        for path in ("/queues", "/alerts"):
            assert_problem(user("GET", path), 403, "forbidden")


def test_alerts_are_listed_newest_first_and_by_state(guarded: Api) -> None:
    for number in range(5):
        state = "firing" if number % 2 else "resolved"
        ended = None if state == "firing" else datetime.datetime.now(datetime.UTC)
        guarded.query(
            "INSERT INTO alerts (id, rule, subject, state, detail, value, ended_at) VALUES (%s, 'queue_stalled', %s, "
            "%s, 'd', 1.5, %s)",
            *(str(new_id()), f"queue{number}", state, ended),
        )
    admin = User(guarded, "anyone")
    first = admin("GET", "/alerts?limit=3").json()
    assert [alert["subject"] for alert in first["data"]] == ["queue4", "queue3", "queue2"]
    rest = admin("GET", f"/alerts?limit=3&cursor={first['next_cursor']}").json()
    assert [alert["subject"] for alert in rest["data"]] == ["queue1", "queue0"]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    firing = admin("GET", "/alerts?state=firing").json()["data"]
    assert [(alert["subject"], alert["ended_at"]) for alert in firing] == [("queue3", None), ("queue1", None)]
    assert (firing[0]["title"], firing[0]["value"]) == ("Work waits too long", 1.5)
    assert_problem(admin("GET", "/alerts?state=burning"), 422)


def test_dead_database_makes_figures_503_and_not_500(tmp_path: Path) -> None:
    with running_api("postgresql+psycopg2://u:p@127.0.0.1:9/none", tmp_path / "objects") as api:
        for path in ("/stats", "/queues", "/alerts", "/presets"):
            assert_problem(api.client.get(f"/api/v1{path}"), 503, "database_unavailable")
