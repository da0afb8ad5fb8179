"""The life of an alert, in virtual time: when it starts, is told again, ends, and that it never becomes a storm."""

import datetime
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixmill_notifier.domain.alerts import UNSEEN, Firing, Policy, Reading, Step, Verdict, starts, step
from pixmill_shared.contract.alerts import RAISED_RULES, AlertChange, AlertRule

T0 = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
POLICY = Policy(remind_every=6 * HOUR, calm=10 * MINUTE)
MOST_A_DAY = 24
BAD, BETWEEN, GOOD = Verdict.BAD, Verdict.BETWEEN, Verdict.GOOD


def reading(verdict: Verdict) -> Reading:
    return Reading(AlertRule.DISK_FULL, "storage", verdict, 90.0, "The disk is full.")


@dataclass
class Watched:
    """One subject, evaluated every minute, and what people were told of it."""

    policy: Policy = POLICY
    now: datetime.datetime = T0
    alert: Firing | None = None
    told: list[tuple[datetime.datetime, AlertChange]] = field(default_factory=list)

    def minute(self, verdict: Verdict | None) -> None:
        self.now += MINUTE
        seen = reading(verdict) if verdict is not None else None
        if self.alert is None:
            if seen is not None and starts(seen):
                begun = [at for at, change in self.told if change is AlertChange.STARTED and at > self.now - DAY]
                self.alert = Firing(AlertRule.DISK_FULL, self.now, None, self.now, len(begun))
                self.told.append((self.now, AlertChange.STARTED))
            return
        seen_at = self.now if seen is not None else self.alert.seen_at
        before = Firing(
            self.alert.rule, seen_at, self.alert.clear_since, self.alert.last_sent_at, self.alert.recurrence
        )
        after = step(before, seen, self.now, self.policy)
        sent_at = self.now if after.change else before.last_sent_at
        if after.change:
            self.told.append((self.now, after.change))
        ended = after.change is AlertChange.ENDED
        self.alert = None if ended else Firing(before.rule, seen_at, after.clear_since, sent_at, before.recurrence)

    def minutes(self, verdict: Verdict | None, count: int) -> "Watched":
        for _ in range(count):
            self.minute(verdict)
        return self

    @property
    def changes(self) -> list[AlertChange]:
        return [change for _, change in self.told]

    def most_in_a_day(self) -> int:
        times = [at for at, _ in self.told]
        return max((sum(1 for other in times if at <= other < at + DAY) for at in times), default=0)


def test_alert_starts_at_the_first_bad_reading_and_ends_after_a_calm_while() -> None:
    watched = Watched().minutes(GOOD, 5).minutes(BAD, 3).minutes(GOOD, 30)
    assert watched.told == [(T0 + 6 * MINUTE, AlertChange.STARTED), (T0 + 19 * MINUTE, AlertChange.ENDED)]


def test_a_value_between_the_thresholds_neither_starts_nor_ends_an_alert() -> None:
    assert Watched().minutes(BETWEEN, 100).changes == []
    assert Watched().minutes(BAD, 1).minutes(BETWEEN, 100).changes == [AlertChange.STARTED]


def test_good_news_that_does_not_last_is_not_told() -> None:
    watched = Watched().minutes(BAD, 1)
    for _ in range(10):
        watched.minutes(GOOD, 9).minutes(BETWEEN, 1)
    assert watched.changes == [AlertChange.STARTED]


def test_alert_that_lasts_is_told_again_every_six_hours_and_once_a_minute_to_nobody() -> None:
    watched = Watched().minutes(BAD, 19 * 60)
    hours = [(at - watched.told[0][0]) / HOUR for at, _ in watched.told]
    assert hours == [0, 6, 12, 18]
    assert watched.changes == [AlertChange.STARTED, *[AlertChange.REMINDER] * 3]


def test_reminders_can_be_switched_off() -> None:
    never = Policy(remind_every=datetime.timedelta(), calm=POLICY.calm)
    assert Watched(never).minutes(BAD, 2 * 24 * 60).changes == [AlertChange.STARTED]


def test_alert_that_comes_back_is_held_twice_as_long_each_time() -> None:
    watched = Watched()
    for _ in range(4):
        watched.minutes(BAD, 1).minutes(GOOD, 400)
    starts_and_ends = [at for at, _ in watched.told]
    held = [(end - start) / MINUTE for start, end in zip(starts_and_ends[::2], starts_and_ends[1::2], strict=True)]
    assert held == [11, 21, 41, 81]


def test_measured_alert_without_a_reading_waits_for_the_next_one() -> None:
    watched = Watched().minutes(BAD, 1).minutes(GOOD, 5).minutes(None, 60)
    assert watched.changes == [AlertChange.STARTED]
    assert watched.minutes(GOOD, 11).changes[-1] is AlertChange.ENDED


def test_alert_whose_subject_is_gone_ends_after_a_day() -> None:
    watched = Watched().minutes(BAD, 1).minutes(None, 25 * 60)
    assert watched.told[-1][1] is AlertChange.ENDED
    assert watched.told[-1][0] - watched.told[0][0] == UNSEEN


@pytest.mark.parametrize("rule", RAISED_RULES)
def test_raised_alert_is_told_then_kept_until_it_was_clear_for_a_while(rule: AlertRule) -> None:
    fresh = Firing(rule, seen_at=T0, clear_since=None, last_sent_at=None, recurrence=0)
    assert step(fresh, None, T0, POLICY) == Step(None, AlertChange.STARTED)
    told = Firing(rule, seen_at=T0, clear_since=None, last_sent_at=T0, recurrence=0)
    assert step(told, None, T0 + 5 * HOUR, POLICY) == Step(None, None)
    cleared = Firing(rule, seen_at=T0, clear_since=T0 + HOUR, last_sent_at=T0, recurrence=0)
    assert step(cleared, None, T0 + HOUR + 9 * MINUTE, POLICY).change is None
    assert step(cleared, None, T0 + HOUR + 10 * MINUTE, POLICY).change is AlertChange.ENDED


def test_raised_and_cleared_before_anybody_looked_is_still_told() -> None:
    seen = Firing(RAISED_RULES[0], seen_at=T0, clear_since=T0, last_sent_at=None, recurrence=0)
    assert step(seen, None, T0 + DAY, POLICY).change is AlertChange.STARTED


@pytest.mark.parametrize("bad", [1, 3, 60])
def test_the_worst_flapping_tells_little(bad: int) -> None:
    """Bad again as soon as the end was told."""
    watched = Watched()
    while watched.now - T0 < 3 * DAY:
        watched.minutes(BAD, bad)
        while watched.alert is not None:
            watched.minute(GOOD)
    assert 4 < watched.most_in_a_day() <= MOST_A_DAY


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([BAD, BETWEEN, GOOD, None]), st.integers(1, 500)), min_size=1, max_size=20))
def test_no_sequence_of_values_makes_a_storm(spans: list[tuple[Verdict | None, int]]) -> None:
    watched = Watched()
    minutes = (verdict for verdict, count in itertools.cycle(spans) for _ in range(count))
    for verdict in itertools.islice(minutes, 2 * 24 * 60):
        watched.minute(verdict)
    assert watched.most_in_a_day() <= MOST_A_DAY
    kinds = [change for change in watched.changes if change is not AlertChange.REMINDER]
    assert kinds == [AlertChange.STARTED, AlertChange.ENDED] * (len(kinds) // 2) + kinds[len(kinds) // 2 * 2 :]
    assert kinds[:1] in ([], [AlertChange.STARTED])
