"""What is wrong: facts in, readings out. A rule whose source has nothing to say gives no reading."""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pixmill_notifier.domain.alerts import Reading, Verdict
from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.contract.tasks import TaskName

CLEAR_SHARE: Final = 0.5
"""Of the threshold at which a queue's or the failures' alert starts: below, it may end."""
DISK_MARGIN: Final = 5.0
"""Percentage points below the threshold at which a disk is well again."""

JOBS: Final = "jobs"
STORAGE: Final = "storage"
BACKUPS: Final = "backups"
UNKNOWN_TASK: Final = "unknown task"


@dataclass(frozen=True)
class Thresholds:
    """Ages in seconds, shares in percent. ``letters``: dead letters in an hour."""

    checks: int
    queue_age: float
    letters: int
    failure_percent: float
    failure_jobs: int
    disk_percent: float
    backup_age: float


@dataclass(frozen=True)
class ServiceCheck:
    """The last check of a service, and how many before it had failed one after another."""

    service: str
    healthy: bool
    failures: int
    status_code: int | None


@dataclass(frozen=True)
class QueueDepth:
    """``oldest`` in seconds; None: nothing waits."""

    queue: str
    depth: int
    oldest: float | None


@dataclass(frozen=True)
class Backups:
    """When the last one was completed, and when the first was ever tried."""

    completed_at: datetime.datetime | None
    first_at: datetime.datetime


@dataclass(frozen=True)
class Facts:
    """What is known at a moment. ``ended`` and ``failed``: jobs of the last minutes; ``letters``: dead letters of the
    last hour by task; ``disk_percent`` None: the storage is no directory."""

    services: tuple[ServiceCheck, ...] = ()
    queues: tuple[QueueDepth, ...] = ()
    letters: Mapping[str, int] | None = None
    ended: int = 0
    failed: int = 0
    disk_percent: float | None = None
    backups: Backups | None = None


def readings(
    facts: Facts, limits: Thresholds, now: datetime.datetime, letters_firing: Collection[str] = ()
) -> list[Reading]:
    """``letters_firing``: tasks whose dead letters people know of, which may have none any more."""
    found = [_service(each, limits) for each in facts.services]
    found += [_queue(each, limits) for each in facts.queues]
    found += _letters(facts.letters or {}, limits, letters_firing)
    found.append(_failures(facts, limits))
    if facts.disk_percent is not None:
        found.append(_disk(facts.disk_percent, limits))
    if facts.backups is not None:
        found.append(_backup(facts.backups, limits, now))
    return found


def spell(seconds: float) -> str:
    """For people: ``45 s``, ``12 min``, ``26 h``, ``3 days``."""
    for unit, size, least in (("days", 86_400, 2), ("h", 3_600, 2), ("min", 60, 2)):
        if seconds >= least * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _service(check: ServiceCheck, limits: Thresholds) -> Reading:
    failed = 0 if check.healthy else max(check.failures, 1)
    verdict = Verdict.GOOD if check.healthy else Verdict.BAD if failed >= limits.checks else Verdict.BETWEEN
    code = f", the last with HTTP {check.status_code}" if check.status_code is not None else ""
    checks = "1 check" if failed == 1 else f"{failed} checks"
    detail = f"{check.service} is up." if check.healthy else f"{check.service} failed {checks} in a row{code}."
    return Reading(AlertRule.SERVICE_DOWN, check.service, verdict, failed, detail)


def _queue(queue: QueueDepth, limits: Thresholds) -> Reading:
    age = queue.oldest or 0.0
    verdict = _between(age, limits.queue_age, limits.queue_age * CLEAR_SHARE)
    waiting = f"The oldest of {queue.depth:,} in {queue.queue} has waited for {spell(age)}."
    detail = waiting if queue.depth else f"Nothing waits in {queue.queue}."
    return Reading(AlertRule.QUEUE_STALLED, queue.queue, verdict, age, detail)


def _letters(letters: Mapping[str, int], limits: Thresholds, firing: Collection[str]) -> list[Reading]:
    # What came from the broker may name any task: all that pixmill does not know are one subject.
    counts: dict[str, int] = dict.fromkeys(firing, 0)
    for task, count in letters.items():
        subject = task if task in set(TaskName) else UNKNOWN_TASK
        counts[subject] = counts.get(subject, 0) + count
    found = []
    for subject, count in sorted(counts.items()):
        verdict = Verdict.BAD if count >= limits.letters else Verdict.BETWEEN if count else Verdict.GOOD
        noun = "dead letter" if count == 1 else "dead letters"
        detail = f"{count:,} {noun} of {subject} in the last hour." if count else f"No new dead letters of {subject}."
        found.append(Reading(AlertRule.DEAD_LETTERS, subject, verdict, count, detail))
    return found


def _failures(facts: Facts, limits: Thresholds) -> Reading:
    percent = 100 * facts.failed / facts.ended if facts.ended else 0.0
    verdict = _between(percent, limits.failure_percent, limits.failure_percent * CLEAR_SHARE)
    if verdict is Verdict.BAD and facts.ended < limits.failure_jobs:
        verdict = Verdict.BETWEEN  # too few to tell
    detail = f"{facts.failed:,} of the last {facts.ended:,} jobs failed ({percent:.0f} %)."
    return Reading(AlertRule.FAILURE_RATE, JOBS, verdict, percent, detail)


def _disk(percent: float, limits: Thresholds) -> Reading:
    verdict = _between(percent, limits.disk_percent, limits.disk_percent - DISK_MARGIN)
    return Reading(AlertRule.DISK_FULL, STORAGE, verdict, percent, f"The disk of the storage is {percent:.0f} % full.")


def _backup(backups: Backups, limits: Thresholds, now: datetime.datetime) -> Reading:
    age = (now - (backups.completed_at or backups.first_at)).total_seconds()
    verdict = Verdict.BAD if age > limits.backup_age else Verdict.GOOD
    never = f"No backup was completed since the first try, {spell(age)} ago."
    detail = never if backups.completed_at is None else f"The last backup is {spell(age)} old."
    return Reading(AlertRule.BACKUP_MISSED, BACKUPS, verdict, age, detail)


def _between(value: float, bad_above: float, good_below: float) -> Verdict:
    if value > bad_above:
        return Verdict.BAD
    return Verdict.GOOD if value < good_below or value == 0 else Verdict.BETWEEN
