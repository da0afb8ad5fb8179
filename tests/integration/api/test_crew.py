"""Workers and the schedule over HTTP."""

import uuid

import pytest
from sqlalchemy import text
from tests.integration.api.running import Api
from tests.integration.api.test_bad_input import assert_problem

from pixmill_shared.database.engine import Database
from pixmill_shared.repositories import beat_runs, service_health, workers
from pixmill_shared.schedule import SCHEDULE

SEEN = workers.Seen("imaging@here", "imaging@here:1:a", ["imaging"], "prefork", 4, 3, 12, 5_000_000, 2, 10, "backlog")


@pytest.fixture
def database(api: Api) -> Database:
    database = Database(api.database_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE workers, beat_runs, schedule_entries, audit"))
    return database


def entry(api: Api, name: str = "heartbeat") -> dict[str, object]:
    found = api.client.get("/api/v1/schedule").json()["data"]
    return next(each for each in found if each["entry"] == name)


def test_workers_are_listed_with_what_they_tell(api: Api, database: Database) -> None:
    with database.session_scope() as session:
        workers.renew(session, SEEN)
    (worker,) = api.client.get("/api/v1/workers").json()["data"]
    assert worker["scaling"] == {"min": 2, "max": 10, "because": "backlog", "by_hand": False}
    assert (worker["name"], worker["state"], worker["size"], worker["active"]) == ("imaging@here", "alive", 4, 3)
    with database.session_scope() as session:
        session.execute(text("UPDATE workers SET seen_at = now() - interval '31 s'"))
    assert api.client.get("/api/v1/workers").json()["data"][0]["state"] == "stale"


def test_schedule_shows_each_entry_with_its_runs(api: Api, database: Database) -> None:
    shown = api.client.get("/api/v1/schedule").json()["data"]
    assert [each["entry"] for each in shown] == [each.name for each in SCHEDULE]
    assert all(each["next_run"] and each["last_run"] is None and each["enabled"] for each in shown)
    with database.session_scope() as session:
        for minute, error in ((1, "StorageUnavailable: away"), (2, None)):
            at = session.scalar(text(f"SELECT date_trunc('hour', now()) + interval '{minute} min'"))
            beat_runs.claim(session, "heartbeat", at, uuid.uuid4())
            beat_runs.finish(session, "heartbeat", at, {"seen": minute} if error is None else None, error)
        at = session.scalar(text("SELECT date_trunc('hour', now()) + interval '3 min'"))
        beat_runs.begin(session, "heartbeat", at, uuid.uuid4())
    found = entry(api)
    assert found["last_run"]["finished_at"] is None
    assert (found["last_ended"]["result"], found["last_ended"]["error"]) == ({"seen": 2}, None)
    assert found["last_ended"]["duration_ms"] >= 0


def test_entry_is_switched_off_and_given_another_interval_and_its_own_again(api: Api, database: Database) -> None:
    path = "/api/v1/schedule/heartbeat"
    off = api.client.patch(path, json={"enabled": False}).json()
    assert (off["enabled"], off["next_run"], off["every_seconds"]) == (False, None, 10)
    slower = api.client.patch(path, json={"every_seconds": 60}).json()
    assert (slower["enabled"], slower["every_seconds"]) == (False, 60)
    again = api.client.patch(path, json={"enabled": True, "every_seconds": None}).json()
    assert (again["enabled"], again["every_seconds"], again["next_run"] is None) == (True, 10, False)
    # Ten seconds may have gone by between the two: its next run is another one then.
    assert {**entry(api), "next_run": None} == {**again, "next_run": None}
    actions = api.query("SELECT action, target, detail FROM audit ORDER BY id")
    assert [action for action, _, _ in actions] == ["schedule.changed"] * 3
    assert actions[1][1:] == ("heartbeat", {"enabled": False, "every_seconds": 60})


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("nobody", {"enabled": True}, 404),
        ("heartbeat", {"every_seconds": 0.5}, 422),
        ("heartbeat", {"every_seconds": "60"}, 422),
        ("heartbeat", {"enabled": None}, 422),
        ("heartbeat", {"every": 60}, 422),
        ("heartbeat", [], 422),
    ],
    ids=["no such entry", "too short", "text", "null", "unknown field", "list"],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    api: Api, database: Database, name: str, body: object, status: int
) -> None:
    assert_problem(api.client.patch(f"/api/v1/schedule/{name}", json=body), status)
    assert api.query("SELECT count(*) FROM schedule_entries") == [(0,)]


def test_services_are_listed_as_they_were_found(api: Api, database: Database) -> None:
    with database.session_scope() as session:
        session.execute(text("TRUNCATE service_health"))
        service_health.record(
            session, "imaging", healthy=False, status_code=503, response_ms=12, error="not ready: broker"
        )
        service_health.seen(session, "heartbeat")
    heartbeat, imaging = api.client.get("/api/v1/services").json()["data"]
    assert (heartbeat["service"], heartbeat["status"], heartbeat["status_code"]) == ("heartbeat", "healthy", None)
    assert imaging["since"] == imaging["checked_at"]
    found = [imaging[name] for name in ("service", "status", "failures", "status_code", "response_ms", "error")]
    assert found == ["imaging", "unhealthy", 1, 503, 12, "not ready: broker"]
    with database.session_scope() as session:
        session.execute(text("UPDATE service_health SET checked_at = now() - interval '16 min'"))
    listed = api.client.get("/api/v1/services").json()["data"]
    assert [each["status"] for each in listed] == ["unknown", "unknown"]
