"""What the rules say of facts."""

import datetime
from typing import Any

import pytest

from pixmill_notifier.domain.alerts import Reading, Verdict
from pixmill_notifier.domain.rules import (
    UNKNOWN_TASK,
    Backups,
    Facts,
    QueueDepth,
    ServiceCheck,
    readings,
    spell,
)
from pixmill_notifier.settings import AlertSettings
from pixmill_shared.contract.alerts import ALERT_TITLES, RAISED_RULES, AlertRule
from pixmill_shared.contract.tasks import TaskName

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
LIMITS = AlertSettings().thresholds
RENDER = TaskName.RENDER_JOB.value


def of(rule: AlertRule, letters_firing: tuple[str, ...] = (), **facts: Any) -> list[Reading]:
    return [each for each in readings(Facts(**facts), LIMITS, NOW, letters_firing) if each.rule is rule]


def verdicts(rule: AlertRule, **facts: Any) -> list[Verdict]:
    return [each.verdict for each in of(rule, **facts)]


def test_rules_without_a_source_are_silent() -> None:
    assert {(each.rule, each.verdict) for each in readings(Facts(), LIMITS, NOW)} == {
        (AlertRule.FAILURE_RATE, Verdict.GOOD)
    }


def test_every_rule_has_a_title() -> None:
    assert set(ALERT_TITLES) == set(AlertRule)
    assert set(RAISED_RULES) < set(AlertRule)


@pytest.mark.parametrize(
    ("healthy", "failures", "verdict"),
    [(True, 0, Verdict.GOOD), (False, 1, Verdict.BETWEEN), (False, 2, Verdict.BAD), (False, 9, Verdict.BAD)],
)
def test_service_is_down_after_two_checks(healthy: bool, failures: int, verdict: Verdict) -> None:
    (found,) = of(AlertRule.SERVICE_DOWN, services=(ServiceCheck("api", healthy, failures, 503),))
    assert (found.subject, found.verdict) == ("api", verdict)
    assert healthy or "HTTP 503" in found.detail


@pytest.mark.parametrize(
    ("oldest", "verdict"),
    [
        (None, Verdict.GOOD),
        (299.0, Verdict.GOOD),
        (301.0, Verdict.BETWEEN),
        (600.0, Verdict.BETWEEN),
        (601.0, Verdict.BAD),
    ],
)
def test_oldest_work_may_wait_ten_minutes(oldest: float | None, verdict: Verdict) -> None:
    queues = (QueueDepth("imaging", 7 if oldest else 0, oldest), QueueDepth("fetch", 0, None))
    assert verdicts(AlertRule.QUEUE_STALLED, queues=queues) == [verdict, Verdict.GOOD]


@pytest.mark.parametrize(
    ("ended", "failed", "verdict"),
    [
        (0, 0, Verdict.GOOD),
        (49, 49, Verdict.BETWEEN),
        (50, 5, Verdict.BETWEEN),
        (50, 6, Verdict.BAD),
        (1000, 49, Verdict.GOOD),
        (1000, 101, Verdict.BAD),
    ],
)
def test_more_than_a_tenth_of_at_least_fifty_may_not_fail(ended: int, failed: int, verdict: Verdict) -> None:
    assert verdicts(AlertRule.FAILURE_RATE, ended=ended, failed=failed) == [verdict]


@pytest.mark.parametrize(
    ("percent", "verdict"),
    [(79.9, Verdict.GOOD), (80.0, Verdict.BETWEEN), (85.0, Verdict.BETWEEN), (85.1, Verdict.BAD)],
)
def test_disk_may_be_filled_to_85_percent(percent: float, verdict: Verdict) -> None:
    assert verdicts(AlertRule.DISK_FULL, disk_percent=percent) == [verdict]


@pytest.mark.parametrize(("hours", "verdict"), [(25.9, Verdict.GOOD), (26.1, Verdict.BAD)])
def test_backup_is_missed_after_26_hours_since_the_last_or_since_the_first_try(hours: float, verdict: Verdict) -> None:
    then, long_ago = NOW - datetime.timedelta(hours=hours), NOW - datetime.timedelta(days=90)
    assert verdicts(AlertRule.BACKUP_MISSED, backups=Backups(then, long_ago)) == [verdict]
    assert verdicts(AlertRule.BACKUP_MISSED, backups=Backups(None, then)) == [verdict]


def test_dead_letters_are_a_subject_for_each_task_and_one_for_all_unknown_names() -> None:
    letters = {RENDER: 2, "what.anybody.sends": 1, "something.else": 3}
    found = {each.subject: each.value for each in of(AlertRule.DEAD_LETTERS, letters=letters)}
    assert found == {RENDER: 2, UNKNOWN_TASK: 4}


def test_task_whose_dead_letters_are_known_is_well_when_there_are_no_new_ones() -> None:
    (found,) = of(AlertRule.DEAD_LETTERS, letters_firing=(RENDER,))
    assert (found.subject, found.verdict) == (RENDER, Verdict.GOOD)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (200_000, "2 days")]
)
def test_ages_are_spelled_for_people(seconds: float, words: str) -> None:
    assert spell(seconds) == words
