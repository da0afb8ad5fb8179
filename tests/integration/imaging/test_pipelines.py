"""Pipelines at work: what becomes a job, once each, whatever is killed; failures, pauses, limits, dry runs."""

import datetime
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from tests.integration.egress.servers import Conversation, Handler, Server, answer
from tests.integration.imaging.looking import RECIPE, Watch, feed, run_out
from tests.integration.imaging.test_users_storage import places_of

from pixmill_imaging.domain.feeds import found
from pixmill_shared.contract.alerts import AlertState
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Alert, ApiKey, Delivery, Endpoint, Pipeline
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories import jobs, pipelines, task_requests
from pixmill_shared.service.pipelines import request_run

ROOT = Path(__file__).parents[3]


@pytest.fixture
def watch(postgres_url: str) -> Iterator[Watch]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE pipelines, jobs, deliveries, endpoints, alerts, api_keys CASCADE"))
        session.execute(text("TRUNCATE task_requests, dispatch_marks"))
    yield Watch(database)
    database.dispose()


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], Server]]:
    servers: list[Server] = []

    def start(handler: Handler) -> Server:
        servers.append(Server(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def showing(pages: list[bytes]) -> Handler:
    """What is on the first page at the time."""

    def handler(asked: Conversation) -> None:
        answer(200, pages[0])(asked)

    return handler


def rss(server: Server) -> dict[str, str]:
    return {"type": "rss", "url": server.url("/feed.xml")}


Serve = Callable[[Handler], Server]


def test_new_pictures_become_jobs_with_what_the_pipeline_says(watch: Watch, serve: Serve) -> None:
    pages = [feed(2)]
    server = serve(showing(pages))
    made = watch.make(
        rss(server), priority=0, webhook_url="https://hooks.example/x", job_metadata={"of": "feed"}, project="shop"
    )
    assert watch.check() == {"runs": 1, "failed": 0, "jobs": 2}
    first = watch.jobs(made)
    assert [job.source for job in first] == [{"url": f"https://pictures.example/{n}.jpg"} for n in (0, 1)]
    job = first[0]
    assert (job.project, job.stage, job.queue, job.status, job.priority) == ("shop", "fetch", "fetch", "queued", 0)
    assert (job.recipe, job.preset, job.preset_version) == (RECIPE, "web", 3)
    assert (job.webhook_url, job.job_metadata) == ("https://hooks.example/x", {"of": "feed"})
    pages[0] = feed(3)
    watch.due(made)
    assert watch.check()["jobs"] == 1
    assert [item.key for item in watch.items(made)] == ["g0", "g1", "g2"]
    assert [(run.trigger, run.status, run.found, run.created) for run in watch.runs(made)] == [
        ("schedule", "completed", 2, 2),
        ("schedule", "completed", 3, 1),
    ]


def test_next_look_is_when_the_cron_expression_says_in_its_zone(watch: Watch, serve: Serve) -> None:
    made = watch.make(rss(serve(answer(200, feed(0)))), cron="30 4 * * *", timezone="Asia/Tokyo")
    watch.check()
    next_look = watch.row(made).run_at.astimezone(datetime.UTC)
    assert (next_look.hour, next_look.minute) == (19, 30)
    assert next_look > datetime.datetime.now(datetime.UTC)
    assert watch.check() == {"runs": 0, "failed": 0, "jobs": 0}


def test_source_that_has_not_changed_is_not_sent_again(watch: Watch, serve: Serve) -> None:
    def answering(asked: Conversation) -> None:
        known = asked.header("if-none-match") == '"one"'
        answer(304 if known else 200, b"" if known else feed(1), ETag='"one"')(asked)

    made = watch.make(rss(serve(answering)))
    watch.check()
    watch.due(made)
    assert watch.check() == {"runs": 1, "failed": 0, "jobs": 0}
    assert watch.runs(made)[1].result == {"unchanged": True}
    assert watch.row(made).cursor == {"etag": '"one"'}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("others", [0, 3], ids=["alone", "beside others"])
def test_killed_between_any_two_steps_makes_each_picture_a_job_once(
    watch: Watch, serve: Serve, tmp_path: Path, postgres_url: str, others: int
) -> None:
    made = watch.make(rss(serve(answer(200, feed(250)))))
    for n in range(others):
        watch.make({"type": "urls", "urls": [f"https://x.example/{n}.jpg"]})
    orders = [("claimed", 1), ("read", 1), ("taken", 2), ("committed", 1), ("ending", 1), ("ended", 1)]
    for step, count in orders:
        (tmp_path / f"pipeline.{step}@{made}").write_text(json.dumps({"action": "kill", "count": count}))
    command = [sys.executable, "-m", "tests.integration.imaging.looking", postgres_url, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stdout.split()[-1]) == (0, str(len(orders))), ended.stderr[-3000:]
    found = watch.jobs(made)
    assert len(found) == 250
    assert len({job.source["url"] for job in found}) == 250
    assert {item.job_id for item in watch.items(made)} == {job.id for job in found}
    (run,) = watch.runs(made)
    assert (run.status, run.created) == ("completed", 250)


def test_worker_that_lost_its_claim_writes_nothing(watch: Watch, serve: Serve) -> None:
    def interrupting(asked: Conversation) -> None:
        with watch.database.session_scope() as session:
            row = session.get_one(Pipeline, made)
            row.paused_at = func.clock_timestamp()
            pipelines.interrupt(session, row)
        answer(200, feed(5))(asked)

    made = watch.make(rss(serve(interrupting)))
    before = watch.row(made)
    assert watch.check()["jobs"] == 0
    assert watch.jobs(made) == []
    assert watch.items(made) == []
    assert {run.status for run in watch.runs(made)} == {"canceled"}
    assert watch.row(made).run_at == before.run_at


def test_worker_that_was_overtaken_writes_nothing(watch: Watch, serve: Serve) -> None:
    overtaking: list[dict[str, int]] = []

    def slow_at_first(asked: Conversation) -> None:
        if server.accepts == 1:
            with watch.database.session_scope() as session:
                run_out(session)
            overtaking.append(watch.check())
        answer(200, feed(5))(asked)

    server = serve(slow_at_first)
    made = watch.make(rss(server))
    assert watch.check()["jobs"] == 0
    assert overtaking == [{"runs": 1, "failed": 0, "jobs": 5}]
    assert len(watch.jobs(made)) == len(watch.items(made)) == 5
    assert [(run.status, run.created, run.attempts) for run in watch.runs(made)] == [("completed", 5, 2)]


def test_runs_that_are_asked_for_hide_no_job_of_their_queue(watch: Watch) -> None:
    # Both are in the queue of fetches, where a pass does not look behind the turn that was reached.
    made = watch.make({"type": "urls", "urls": [f"https://x.example/{n}.jpg" for n in range(3)]}, priority=0)
    assert watch.check()["jobs"] == 3
    with watch.database.session_scope() as session:
        for _ in range(8):
            request_run(session, session.get_one(Pipeline, made), dry_run=False, requested_by="test")
    taken = []
    for _ in range(8):
        with watch.database.session_scope() as session:
            taken += task_requests.WORK.take_due(session, [QueueName.FETCH], 1)
            session.execute(text("UPDATE task_requests SET status = 'completed' WHERE dispatched_at IS NOT NULL"))
    assert len(taken) == 8
    with watch.database.session_scope() as session:
        assert len(jobs.WORK.take_due(session, [QueueName.FETCH], 1)) == 1


def test_run_whose_workers_die_each_time_fails_and_backs_off(watch: Watch, serve: Serve) -> None:
    made = watch.make(rss(serve(answer(200, feed(1)))))
    for _ in range(3):
        with watch.database.session_scope() as session:
            assert pipelines.claim(session, "dead", 30) is not None
            run_out(session)
    assert watch.check() == {"runs": 1, "failed": 1, "jobs": 0}
    (run,) = watch.runs(made)
    assert run.error is not None
    assert (run.status, run.error["code"], run.attempts) == ("failed", "attempts_exhausted", 4)


def _receiver(watch: Watch, *events: str) -> uuid.UUID:
    endpoint = Endpoint(id=new_id(), project="default", url="https://receiver.example/x", events=list(events))
    with watch.database.session_scope() as session:
        session.add(endpoint)
    return endpoint.id


def _told(watch: Watch) -> list[Delivery]:
    with watch.database.session_scope() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def waited(watch: Watch, pipeline_id: uuid.UUID) -> float:
    """Seconds from the end of its last run to the next one, by the database's clock."""
    end = watch.runs(pipeline_id)[-1].finished_at
    assert end is not None
    return (watch.row(pipeline_id).run_at - end).total_seconds()


def test_source_that_is_no_feed_is_told_of_once_until_it_is_one_again(watch: Watch, serve: Serve) -> None:
    page = [b"<html></html>"]
    server = serve(showing(page))
    made = watch.make(rss(server), webhook_url="https://hooks.example/x")
    _receiver(watch, "pipeline.failed")
    _receiver(watch, "job.completed")
    assert watch.check() == {"runs": 1, "failed": 1, "jobs": 0}
    row = watch.row(made)
    assert row.error is not None
    assert (row.failures, row.error["code"]) == (1, "source_unreadable")
    assert 40 < waited(watch, made) < 80
    told = _told(watch)
    assert sorted(each.url for each in told) == ["https://hooks.example/x", "https://receiver.example/x"]
    assert {each.event_type for each in told} == {"pipeline.failed"}
    data = told[0].data
    assert data is not None
    assert (data["pipeline_id"], data["failures"], data["error"]["code"]) == (str(made), 1, "source_unreadable")
    watch.due(made)
    watch.check()
    assert watch.row(made).failures == 2
    assert len(_told(watch)) == 2
    page[0] = feed(1)
    watch.due(made)
    assert watch.check()["jobs"] == 1
    row = watch.row(made)
    assert (row.failures, row.failing_since, row.told_at, row.error) == (0, None, None, None)
    with watch.database.session_scope() as session:
        (alert,) = session.scalars(select(Alert))
        assert (alert.rule, alert.subject, alert.state) == ("pipeline_failing", f"pipeline {made}", AlertState.FIRING)
        assert alert.clear_since is not None


def test_failure_that_may_pass_is_told_of_at_the_third_time_and_waits_longer_each_time(
    watch: Watch, serve: Serve
) -> None:
    made = watch.make(rss(serve(answer(503, Retry_After="5"))))
    _receiver(watch)
    waits = []
    for failures in range(1, 4):
        assert len(_told(watch)) == 0
        watch.due(made)
        watch.check()
        row = watch.row(made)
        assert row.failures == failures
        waits.append(waited(watch, made))
    assert waits[0] < waits[1] < waits[2] < 300
    assert len(_told(watch)) == 1


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"x" * 200_001, {}, "too_large"),
        (b"<!DOCTYPE rss [<!ENTITY a 'b'>]><rss/>", {}, "source_unreadable"),
        (b"\x1f\x8b", {"Content_Encoding": "gzip"}, "unsupported_format"),
    ],
    ids=["too large", "entities", "encoded"],
)
def test_hostile_source_fails_and_makes_nothing(
    watch: Watch, serve: Serve, body: bytes, headers: dict[str, str], code: str
) -> None:
    made = watch.make(rss(serve(answer(200, body, **headers))))
    assert watch.check() == {"runs": 1, "failed": 1, "jobs": 0}
    error = watch.row(made).error
    assert error is not None
    assert error["code"] == code
    assert watch.items(made) == []


def test_feed_at_a_private_address_is_not_asked(watch: Watch) -> None:
    made = watch.make({"type": "json", "url": "http://10.0.0.1/feed.json"})
    watch.check()
    error = watch.row(made).error
    assert error is not None
    assert error["code"] == "forbidden_address"


def test_objects_under_a_prefix_become_jobs(watch: Watch, tmp_path: Path) -> None:
    root = tmp_path / "users"
    for name in ("in/a.jpg", "in/deep/b.PNG", "in/notes.txt", "in/empty.jpg", "other/c.jpg", "in/100%.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"" if "empty" in name else b"x")
    watch.places = places_of(root.as_uri())
    made = watch.make({"type": "storage", "prefix": f"{root.as_uri()}/in"})
    assert watch.check()["jobs"] == 2
    found = {job.source["key"] for job in watch.jobs(made)}
    assert found == {f"{root.as_uri()}/in/a.jpg", f"{root.as_uri()}/in/deep/b.PNG"}
    (run,) = watch.runs(made)
    assert (run.found, run.skipped) == (2, 3)
    (root / "in/z.webp").write_bytes(b"x")
    watch.due(made)
    assert watch.check()["jobs"] == 1


def test_prefix_that_is_not_allowed_any_more_fails(watch: Watch, tmp_path: Path) -> None:
    watch.places = places_of((tmp_path / "users").as_uri())
    made = watch.make({"type": "storage", "prefix": "s3://elsewhere/in"})
    watch.check()
    error = watch.row(made).error
    assert error is not None
    assert error["code"] == "forbidden_address"


def test_dry_run_lists_what_would_become_jobs_and_changes_nothing(watch: Watch, serve: Serve) -> None:
    made = watch.make(rss(serve(answer(200, feed(3), ETag='"one"'))))
    watch.check()
    before = watch.row(made)
    with watch.database.session_scope() as session:
        row = session.get_one(Pipeline, made)
        row.source = {**row.source, "url": row.source["url"] + "?more"}
        pipelines.request(session, row, dry_run=True)
    pages = feed(4)
    server = serve(answer(200, pages))
    watch.change(made, source=rss(server))
    assert watch.check() == {"runs": 1, "failed": 0, "jobs": 0}
    run = watch.runs(made)[1]
    assert (run.trigger, run.status, run.dry_run, run.created) == ("request", "completed", True, 0)
    assert run.result == {"new": 1, "items": [{"key": "g3", "location": "https://pictures.example/3.jpg"}]}
    after = watch.row(made)
    assert (len(watch.jobs(made)), after.run_at, after.cursor) == (3, before.run_at, before.cursor)
    assert after.requested_at is None


def test_paused_pipeline_runs_only_when_it_is_asked_to(watch: Watch, serve: Serve) -> None:
    made = watch.make(rss(serve(answer(200, feed(1)))), paused_at=func.clock_timestamp())
    assert watch.check()["runs"] == 0
    with watch.database.session_scope() as session:
        pipelines.request(session, session.get_one(Pipeline, made), dry_run=False)
    assert watch.check() == {"runs": 1, "failed": 0, "jobs": 1}
    assert watch.check()["runs"] == 0


@pytest.mark.parametrize(("waiting", "kept"), [(False, []), (True, [True])], ids=["alone", "one-waits"])
def test_change_during_a_dry_run_starts_no_run_that_nobody_asked_for(
    watch: Watch, waiting: bool, kept: list[bool]
) -> None:
    made = watch.make({"type": "urls", "urls": ["https://x.example/1.jpg"]}, paused_at=func.clock_timestamp())
    with watch.database.session_scope() as session:
        pipelines.request(session, session.get_one(Pipeline, made), dry_run=True)
    with watch.database.session_scope() as session:
        assert pipelines.claim(session, "w", 60) is not None
    with watch.database.session_scope() as session:
        row = session.get_one(Pipeline, made, with_for_update=True)
        if waiting:
            pipelines.request(session, row, dry_run=True)
        pipelines.interrupt(session, row)
    assert watch.check() == {"runs": len(kept), "failed": 0, "jobs": 0}
    assert [run.dry_run for run in watch.runs(made) if run.status == "completed"] == kept
    assert watch.row(made).requested_at is None


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"max_backlog": 120}, "backlog"), ({"most": 120}, "limit"), ({"max_unfinished": 120}, "quota")],
    ids=["backlog", "limit", "quota"],
)
def test_run_stops_at_a_limit_and_goes_on_soon(watch: Watch, serve: Serve, limits: dict[str, int], reason: str) -> None:
    key = ApiKey(
        id=new_id(), project="default", name="k", prefix="pxm_x", token_sha256=b"x", webhook_secret=b"x", scopes=[]
    )
    with watch.database.session_scope() as session:
        session.add(key)
    made = watch.make(rss(serve(answer(200, feed(250), ETag='"one"'))), api_key_id=key.id)
    assert watch.check(**limits)["jobs"] == 120  # type: ignore[arg-type]
    (run,) = watch.runs(made)
    assert (run.status, run.stopped) == ("completed", reason)
    row = watch.row(made)
    assert row.cursor == {}
    assert waited(watch, made) < 70
    watch.due(made)
    assert watch.check()["jobs"] == 130
    assert watch.row(made).cursor == {"etag": '"one"'}


def test_list_that_is_too_long_says_so_until_it_is_shorter(
    watch: Watch, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found, "MOST_FOUND", 3)
    made = watch.make(rss(serve(answer(200, feed(5), ETag='"one"'))))
    for jobs_made in (3, 0):
        watch.due(made)
        assert watch.check()["jobs"] == jobs_made
        run = watch.runs(made)[-1]
        assert (run.status, run.stopped, run.found) == ("completed", "too_long", 3)
        row = watch.row(made)
        # The answer that was cut is read again, and that at the next time: sooner it would be cut at the same place.
        assert row.cursor == {}
        assert f"{row.run_at.astimezone(datetime.UTC):%H:%M}" == "03:00"
    monkeypatch.setattr(found, "MOST_FOUND", 5)
    watch.due(made)
    assert watch.check()["jobs"] == 2
    assert (watch.runs(made)[-1].stopped, watch.row(made).cursor) == (None, {"etag": '"one"'})


def test_old_runs_are_forgotten(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "MOST_RUNS_KEPT", 3)
    made = watch.make({"type": "urls", "urls": ["https://x.example/1.jpg"]})
    for _ in range(5):
        watch.due(made)
        watch.check()
    assert len(watch.runs(made)) == 3
