"""The daily digest on a real database: its figures, that it is made once, or late, and what a large table costs."""

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.integration.notifier.watch import MINUTE, Watch, new_id_at, patient, together

from pixmill_notifier.domain.digest import Figures, Growth
from pixmill_notifier.repositories import facts, reports
from pixmill_notifier.service.evaluate import tick
from pixmill_notifier.service.report import send_due
from pixmill_shared.domain.ids import least_id

# 2026-03-29 has 23 hours in Berlin: from 23:00 UTC the day before to 22:00 UTC.
DAY = datetime.date(2026, 3, 29)
START = datetime.datetime(2026, 3, 28, 23, tzinfo=datetime.UTC)
END = datetime.datetime(2026, 3, 29, 22, tzinfo=datetime.UTC)
SEVEN = datetime.datetime(2026, 3, 30, 5, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def watch(postgres_url: str) -> Iterator[Watch]:
    database = patient(postgres_url, pool_size=4, max_overflow=8)
    watch = Watch(database)
    watch.empty()
    watch.clock.now = SEVEN
    yield watch
    database.dispose()


def figures(watch: Watch) -> Figures:
    """Of the only report there is."""
    (message,) = watch.messages()
    assert message.kind == "report.daily"
    return Figures.from_document(message.body)


def output(watch: Watch, at: datetime.datetime, job_id: str, size: int) -> None:
    rendition = new_id_at(at)
    watch.run(
        """
        INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type, width,
                                height, bytes, sha256)
        VALUES (:id, :key, 'k', 's', 'r', 'e', 'webp', 'image/webp', 1, 1, :size, 's')
        """,
        id=rendition,
        key=rendition,
        size=size,
    )
    watch.run(
        "INSERT INTO outputs (job_id, name, position, rendition_id) VALUES (:job, :id, 0, :id)",
        job=job_id,
        id=rendition,
    )


def ids(watch: Watch) -> list[uuid.UUID]:
    with watch.database.session_scope() as session:
        return list(session.scalars(text("SELECT id FROM jobs ORDER BY id")))


def test_figures_are_those_of_the_local_day(watch: Watch) -> None:
    for at in (START - SECOND, END, END + HOUR):
        watch.job("completed", at, seconds=999, source='{"bytes": 7777}')
        watch.job("failed", at, error='{"code": "too_large"}')
    for number in range(1, 101):
        watch.job("completed", START + number * MINUTE, seconds=number, source='{"bytes": 1000}')
    watch.job("completed", END - SECOND, seconds=0.5)
    for code, count in (("too_large", 2), ("undecodable", 3)):
        for _ in range(count):
            watch.job("failed", START, error=f'{{"code": "{code}"}}')
    watch.job("canceled", START)
    job = next(str(each) for each in ids(watch) if each >= least_id(START + MINUTE))
    output(watch, START + MINUTE, job, 300)
    output(watch, START + MINUTE, job, 400)
    watch.run(
        """
        INSERT INTO uploads (id, project, key, sha256, bytes, media_type)
        VALUES (:id, 'p', 'k', 's', 812, 'image/png')
        """,
        id=new_id_at(START + HOUR),
    )
    watch.run(
        """
        INSERT INTO dead_letters (id, task, payload, error, attempts, created_at)
        VALUES (:id, 'a.task', '{}', '{}', 1, :at)
        """,
        id=new_id_at(START),
        at=START,
    )
    assert send_due(watch.desk())
    found = figures(watch)
    assert (found.day, found.zone) == ("2026-03-29", "Europe/Berlin")
    assert (found.completed, found.failed, found.canceled, found.submitted) == (101, 5, 1, 107)
    assert found.reasons == {"undecodable": 3, "too_large": 2}
    assert (found.p50, found.p95) == (50.0, 95.0)
    assert [round(slow.seconds) for slow in found.slowest] == [100, 99, 98, 97, 96]
    assert (found.source_bytes, found.output_bytes) == (100_000, 700)
    assert (found.uploads, found.renditions) == (Growth(1, 812), Growth(2, 700))
    assert found.dead_letters == {"a.task": 1}


def test_day_with_very_many_jobs_is_told_by_a_sample(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        watch.job("completed", START + number * MINUTE, seconds=2 + number % 2, source='{"bytes": 1000}')
    monkeypatch.setattr(reports, "SAMPLE", 40)
    assert send_due(watch.desk())
    found = figures(watch)
    assert (found.sampled, found.completed) == (True, 100)
    assert found.source_bytes == pytest.approx(100_000, rel=0.1)
    assert found.source_bytes % 3 == 0
    assert (found.p50, found.p95) == (pytest.approx(2.5, abs=0.5), 3.0)


def test_report_is_made_once_for_all_channels_by_however_many_workers(watch: Watch) -> None:
    desk = watch.desk()
    results = together(*[lambda: send_due(desk)] * 4)
    assert sorted(results) == [False, False, False, True]
    assert send_due(desk) is False
    assert (len(watch.messages("slack")), len(watch.messages("log"))) == (1, 1)


def test_next_day_has_a_report_of_its_own(watch: Watch) -> None:
    assert send_due(watch.desk())
    watch.clock.now += 24 * HOUR
    assert send_due(watch.desk())
    assert [message.body["day"] for message in watch.messages()] == ["2026-03-29", "2026-03-30"]


@pytest.mark.parametrize("now", [END - SECOND, END, SEVEN - HOUR, SEVEN, SEVEN + 9 * HOUR], ids=str)
def test_report_is_of_the_day_before_at_whatever_time_the_schedule_asks(watch: Watch, now: datetime.datetime) -> None:
    watch.clock.now = now
    assert send_due(watch.desk())
    assert figures(watch).day == "2026-03-29"


def test_report_at_the_last_minute_of_the_day_is_of_the_day_before(watch: Watch) -> None:
    watch.clock.now = END - MINUTE + SECOND / 3
    assert send_due(watch.desk())
    assert figures(watch).day == "2026-03-28"


def test_alerts_send_no_report_that_the_schedule_did_not_ask_for(watch: Watch) -> None:
    watch.job("completed", START)
    watch.run("INSERT INTO reports (day, figures) VALUES (:day, '{}')", day=DAY - datetime.timedelta(days=1))
    watch.clock.now = SEVEN + 15 * MINUTE
    tick(watch.desk())
    assert watch.messages("log") == []


def test_report_that_was_missed_all_day_comes_with_the_next(watch: Watch) -> None:
    assert send_due(watch.desk())
    watch.clock.now = SEVEN + 48 * HOUR
    assert sorted(together(*[lambda: send_due(watch.desk())] * 3)) == [False, False, True]
    assert [message.body["day"] for message in watch.messages("log")] == ["2026-03-29", "2026-03-31", "2026-03-30"]
    watch.clock.now = SEVEN + 24 * 7 * HOUR
    assert send_due(watch.desk())
    assert len(watch.messages("log")) == 4


def test_missed_report_that_fails_keeps_back_no_other_and_comes_later(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures_of = reports.figures_of

    def fail(session: Session, day: datetime.date, *rest: Any) -> Figures:
        if day == DAY + datetime.timedelta(days=1):
            raise ZeroDivisionError
        return figures_of(session, day, *rest)

    assert send_due(watch.desk())
    watch.clock.now = SEVEN + 48 * HOUR
    with monkeypatch.context() as patched:
        patched.setattr(reports, "figures_of", fail)
        with pytest.raises(ZeroDivisionError):
            send_due(watch.desk())
    assert [message.body["day"] for message in watch.messages()] == ["2026-03-29", "2026-03-31"]
    assert send_due(watch.desk()) is False
    assert [message.body["day"] for message in watch.messages()] == ["2026-03-29", "2026-03-31", "2026-03-30"]


def test_report_that_fails_is_not_marked_as_made(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Figures:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(reports, "figures_of", fail)
        with pytest.raises(ZeroDivisionError):
            send_due(watch.desk())
    assert send_due(watch.desk()) is True


@pytest.fixture
def large(watch: Watch) -> Watch:
    """40,000 jobs of a year, 105 of them on the day; by ids that were minted when they were sent."""
    watch.run(
        """
        INSERT INTO jobs (id, project, queue, source, recipe, status, started_at, finished_at)
        SELECT
          (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000a' || lpad(to_hex(n), 15, '0'))::uuid,
          'default', 'imaging', '{"bytes": 1000}', '{}', 'completed', at, at + interval '1 s'
        FROM (
          SELECT n, CAST(:end AS timestamptz) - interval '1 year' + n * interval '788.4 s' AS at
          FROM generate_series(1, 40000) AS n
        ) AS made
        """,
        end=END + 24 * HOUR,
    )
    watch.run("ANALYZE jobs")
    return watch


def test_queries_find_the_day_of_a_large_table_by_an_index(large: Watch) -> None:
    day = {"start": START, "end": END, "first": least_id(START), "last": least_id(END)}
    recent = {"since": END - 15 * MINUTE, "now": END}
    with large.database.session_scope() as session:
        for query in (reports._STATUSES, reports._REASONS, reports._DURATIONS, reports._SLOWEST, reports._BYTES):
            values = {"start": START, "end": END} | ({"every": 1} if ":every" in query.text else {})
            plan = "\n".join(session.scalars(text(f"EXPLAIN {query.text}"), values))
            # Few have failed here: what has is as quickly found by its status.
            assert "ix_jobs_finished" in plan or "ix_jobs_project_status" in plan, plan
            assert "Seq Scan on jobs" not in plan, plan
        submitted = {name: day[name] for name in ("first", "last")}
        plan = "\n".join(session.scalars(text(f"EXPLAIN {reports._SUBMITTED.text}"), submitted))
        assert "jobs_pkey" in plan, plan
        plan = "\n".join(session.scalars(text(f"EXPLAIN {facts._ENDED.text}"), recent))
        assert "ix_jobs_finished" in plan, plan
    large.clock.now = SEVEN
    assert send_due(large.desk())
    assert figures(large).completed == pytest.approx(23 * 3600 / 788.4, abs=2)
