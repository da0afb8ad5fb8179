"""Alerts on a real database, in virtual time: what starts and ends them, and what is put out for the channels."""

import datetime
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.notifier.watch import MINUTE, Watch, patient, together

from pixmill_notifier.service.evaluate import MOST_TOLD, evaluate
from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.models import ServiceHealth
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories import alerts, dead_letters, service_health

RENDER = TaskName.RENDER_JOB


@pytest.fixture
def watch(postgres_url: str) -> Iterator[Watch]:
    database = patient(postgres_url, pool_size=4, max_overflow=8)
    watch = Watch(database)
    watch.empty()
    yield watch
    database.dispose()


def test_without_rows_every_rule_is_silent(watch: Watch) -> None:
    assert [watch.tick() for _ in range(3)] == [0, 0, 0]
    assert (watch.alerts(), watch.messages()) == ([], [])


def test_service_is_told_down_after_two_checks_and_up_after_a_calm_while(watch: Watch) -> None:
    watch.service("api", failures=1)
    assert watch.tick() == 0
    watch.service("api", failures=2, code=503)
    assert watch.tick() == 1
    (alert,) = watch.alerts()
    assert (alert.rule, alert.subject, alert.state, alert.started_at) == ("service_down", "api", "firing", watch.now)
    for _ in range(11):
        watch.service("api", failures=0)
        watch.tick()
    assert watch.told() == [[("started", "service_down", "api")], [("ended", "service_down", "api")]]
    (alert,) = watch.alerts()
    assert (alert.state, alert.ended_at) == ("resolved", watch.now)
    assert watch.messages()[1].body["changes"][0]["detail"] == "api is up."


def test_each_channel_has_a_message_of_its_own_that_lists_all_changes(watch: Watch) -> None:
    watch.service("api", failures=2)
    watch.service("worker", failures=2)
    watch.run("INSERT INTO queue_samples VALUES ('imaging', :at, 7, 900)", at=watch.now)
    assert watch.tick() == 3
    for channel in ("log", "slack"):
        (message,) = watch.messages(channel)
        assert (message.status, message.queue, message.kind) == ("queued", "notifier.alerts", "alerts.changed")
        assert {each["subject"] for each in message.body["changes"]} == {"api", "worker", "imaging"}


def test_alert_that_lasts_is_reminded_of_every_six_hours(watch: Watch) -> None:
    for _ in range(13 * 6):
        watch.service("api", failures=9)
        watch.tick(10)
    assert [message[0][0] for message in watch.told()] == ["started", "reminder", "reminder"]


def test_two_evaluators_at_once_send_once(watch: Watch) -> None:
    watch.service("api", failures=2)

    def run() -> int:
        with watch.database.session_scope() as session:
            return evaluate(session, watch.desk())

    for _ in range(5):
        assert sum(together(run, run, run)) in (0, 1)
    assert len(watch.alerts()) == 1
    assert len(watch.messages()) == 1


def test_alert_that_somebody_else_has_started_is_not_started_again(watch: Watch) -> None:
    """The unique index decides, whatever the lock does."""
    started: list[bool] = []

    def run() -> None:
        with watch.database.session_scope() as session:
            row = alerts.start(session, AlertRule.DISK_FULL, "storage", "full", 90.0, watch.now)
            started.append(row is not None)

    together(run, run, run)
    assert sorted(started) == [False, False, True]


def test_the_same_minute_evaluated_twice_tells_nothing_twice(watch: Watch) -> None:
    watch.service("api", failures=2)
    assert [watch.tick(), watch.tick(0), watch.tick(0)] == [1, 0, 0]
    assert len(watch.messages()) == 1


def test_rolled_back_evaluation_leaves_neither_alert_nor_message(watch: Watch) -> None:
    watch.service("api", failures=2)
    watch.clock.now += MINUTE

    def run() -> None:
        with watch.database.session_scope() as session:
            assert evaluate(session, watch.desk()) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert (watch.alerts(), watch.messages()) == ([], [])
    assert watch.tick(0) == 1


def test_only_the_last_sample_of_a_queue_counts_and_only_while_it_is_fresh(watch: Watch) -> None:
    for ago, oldest in ((3, 100.0), (2, 900.0), (1, 5.0)):
        watch.run(
            "INSERT INTO queue_samples VALUES ('imaging', :at, 7, :oldest)", at=watch.now - ago * MINUTE, oldest=oldest
        )
    watch.run("INSERT INTO queue_samples VALUES ('fetch', :at, 7, 9000)", at=watch.now - 30 * MINUTE)
    assert watch.tick() == 0
    watch.run("INSERT INTO queue_samples VALUES ('imaging', :at, 7, 601)", at=watch.now)
    assert watch.tick() == 1
    assert watch.alerts()[0].value == 601


def test_new_dead_letters_are_told_by_task_and_over_when_none_came_for_an_hour(watch: Watch) -> None:
    with watch.database.session_scope() as session:
        for _ in range(3):
            dead_letters.bury(session, project="p", task=RENDER, payload={}, error={}, attempts=3)
    watch.run("UPDATE dead_letters SET created_at = :now", now=watch.now)
    watch.tick()
    assert watch.told() == [[("started", "dead_letters", RENDER.value)]]
    assert "3 dead letters" in watch.messages()[0].body["changes"][0]["detail"]
    for _ in range(75):
        watch.tick()
    assert watch.told()[1:] == [[("ended", "dead_letters", RENDER.value)]]


def test_failure_rate_is_that_of_the_last_quarter_of_an_hour(watch: Watch) -> None:
    for number in range(60):
        watch.job("failed", watch.now - 20 * MINUTE)
        watch.job("completed" if number % 5 else "failed", watch.now - 5 * MINUTE)
        watch.job("canceled", watch.now - 5 * MINUTE)
    watch.tick()
    assert watch.told() == [[("started", "failure_rate", "jobs")]]
    assert watch.alerts()[0].detail == "12 of the last 60 jobs failed (20 %)."


def test_backup_that_was_missed_is_told_and_a_new_one_ends_it(watch: Watch) -> None:
    watch.run(
        "INSERT INTO backups (id, status, started_at, finished_at) VALUES (:id, 'completed', :at, :at)",
        id=new_id(),
        at=watch.now - datetime.timedelta(hours=27),
    )
    watch.tick()
    assert watch.told() == [[("started", "backup_missed", "backups")]]
    watch.run(
        "INSERT INTO backups (id, status, started_at, finished_at) VALUES (:id, 'completed', :at, :at)",
        id=new_id(),
        at=watch.now,
    )
    for _ in range(11):
        watch.tick()
    assert watch.told()[1:] == [[("ended", "backup_missed", "backups")]]


def test_disk_of_a_storage_directory_is_watched_and_a_bucket_has_none(watch: Watch, tmp_path: Path) -> None:
    watch.directory = str(tmp_path)
    desk = watch.desk()
    percent = desk.disk_percent()
    assert percent is not None
    assert 0 < percent <= 100
    assert replace(desk, directory=str(tmp_path / "missing")).disk_percent() is None
    full = replace(desk, thresholds=replace(desk.thresholds, disk_percent=0.0001))
    with watch.database.session_scope() as session:
        assert evaluate(session, full) == 1
    assert watch.told() == [[("started", "disk_full", "storage")]]


def test_alert_raised_by_a_transaction_is_told_at_the_next_minute_with_the_others(watch: Watch) -> None:
    with watch.database.session_scope() as session:
        alerts.raise_alert(session, AlertRule.ENDPOINT_DISABLED, "https://a.example/", "It answered 410.")
    assert watch.messages() == []
    watch.service("api", failures=2)
    watch.clock.now = datetime.datetime.now(datetime.UTC)
    watch.service("api", failures=2)
    watch.tick()
    assert watch.told() == [
        [("started", "endpoint_disabled", "https://a.example/"), ("started", "service_down", "api")],
    ]


def test_alert_raised_in_a_transaction_that_fails_is_not_told(watch: Watch) -> None:
    def run() -> None:
        with watch.database.session_scope() as session:
            alerts.raise_alert(session, AlertRule.ENDPOINT_DISABLED, "e", "d")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert watch.tick() == 0


def test_alert_raised_again_is_the_same_one_and_cleared_it_ends(watch: Watch) -> None:
    def raised() -> None:
        with watch.database.session_scope() as session:
            alerts.raise_alert(session, AlertRule.DELIVERIES_EXHAUSTED, "e", "The receiver is dead.")

    watch.clock.now = datetime.datetime.now(datetime.UTC)
    together(raised, raised, raised)
    watch.tick()
    raised()
    assert len(watch.alerts()) == 1
    with watch.database.session_scope() as session:
        alerts.clear_alert(session, AlertRule.DELIVERIES_EXHAUSTED, "e")
    watch.tick(2)
    assert [message[0][0] for message in watch.told()] == ["started"]
    watch.tick(10)
    assert [message[0][0] for message in watch.told()] == ["started", "ended"]


def test_raising_and_clearing_all_day_is_no_storm(watch: Watch) -> None:
    watch.clock.now = datetime.datetime.now(datetime.UTC)
    for _ in range(40):
        with watch.database.session_scope() as session:
            alerts.raise_alert(session, AlertRule.DELIVERIES_EXHAUSTED, "e", "d")
        watch.tick()
        with watch.database.session_scope() as session:
            alerts.clear_alert(session, AlertRule.DELIVERIES_EXHAUSTED, "e")
        # Raised and cleared by the database's clock, which does not run with the test's.
        watch.run(
            "UPDATE alerts SET clear_since = :now WHERE clear_since IS NOT NULL AND state = 'firing'", now=watch.now
        )
        watch.tick(12)
    assert 3 <= len(watch.messages()) <= 8


def test_words_from_outside_are_kept_on_one_short_line(watch: Watch) -> None:
    with watch.database.session_scope() as session:
        alerts.raise_alert(session, AlertRule.ENDPOINT_DISABLED, "a\nb\x00" + "c" * 500, "d\r\n\te")
    (alert,) = watch.alerts()
    assert alert.subject.startswith("a b c")
    assert len(alert.subject) == alerts.LONGEST_TEXT
    assert alert.detail == "d e"


def test_many_changes_are_one_message_that_counts_the_rest(watch: Watch) -> None:
    for number in range(MOST_TOLD + 20):
        watch.service(f"service-{number}", failures=2)
    assert watch.tick() == MOST_TOLD + 20
    (message,) = watch.messages()
    assert (len(message.body["changes"]), message.body["more"]) == (MOST_TOLD, 20)


def test_heartbeat_that_stays_away_tells_of_the_worker_that_would_check_services(watch: Watch) -> None:
    watch.service("heartbeat", failures=0)
    watch.service("api", failures=0)
    assert [watch.tick(), watch.tick(9)] == [0, 0]
    assert watch.tick(2) == 1
    (alert,) = watch.alerts()
    assert (alert.rule, alert.subject) == (AlertRule.SERVICE_DOWN, "heartbeat")
    assert alert.detail == "heartbeat failed 2 checks in a row."
    watch.service("heartbeat", failures=0)
    watch.tick()
    watch.service("heartbeat", failures=0)
    assert watch.tick(10) == 1, "and of its end"


def test_heartbeat_that_comes_again_is_healthy_since_then(watch: Watch) -> None:
    watch.service("beat", failures=4)
    watch.run("UPDATE service_health SET since = :at", at=watch.now)
    with watch.database.session_scope() as session:
        service_health.seen(session, "beat")
    with watch.database.session_scope() as session:
        row = session.get_one(ServiceHealth, "beat")
        assert (row.status, row.failures) == ("healthy", 0)
        assert row.since > watch.now
        since = row.since
    with watch.database.session_scope() as session:
        service_health.seen(session, "beat")
    with watch.database.session_scope() as session:
        assert session.get_one(ServiceHealth, "beat").since == since
