"""How a run of a pipeline ends: its row, the pipeline's next time, and who is told of a failure."""

import datetime
import random
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_imaging.domain.feeds import Found
from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.database.models import Pipeline
from pixmill_shared.domain.backoff import doubling
from pixmill_shared.domain.failures import error_document
from pixmill_shared.domain.moments import utc
from pixmill_shared.domain.pipelines import MOST_SHOWN, RunStatus, StopReason, is_worth_telling
from pixmill_shared.errors import ClaimLost, TransientError, WorkError
from pixmill_shared.repositories import alerts, clock, pipelines
from pixmill_shared.repositories.pipelines import ClaimedPipeline
from pixmill_shared.service.cron import next_time
from pixmill_shared.service.pipelines import alert_subject, forgive

SOON: Final = datetime.timedelta(minutes=1)
"""Until a run that had to stop goes on."""


@dataclass
class Tally:
    """What a run has seen; ``new`` and ``listed`` are of a dry run, whose list is bounded."""

    found: int = 0
    skipped: int = 0
    created: int = 0
    new: int = 0
    listed: list[Found] = field(default_factory=list)
    stopped: StopReason | None = None
    unchanged: bool = False

    def would_take(self, fresh: list[Found]) -> None:
        self.new += len(fresh)
        self.listed += fresh[: MOST_SHOWN - len(self.listed)]

    def outcome(self, *, dry_run: bool) -> dict[str, Any]:
        """Columns of the run."""
        counts = {"found": self.found, "skipped": self.skipped, "stopped": self.stopped}
        if not dry_run:
            return counts | {"result": {"unchanged": True} if self.unchanged else None}
        return counts | {"result": {"new": self.new, "items": [each._asdict() for each in self.listed]}}


def record_end(session: Session, claimed: ClaimedPipeline, tally: Tally, cursor: dict[str, Any]) -> None:
    """The source was read to its end, or as far as there was room. Raises ClaimLost."""
    row = pipelines.locked(session, claimed)
    if row is None:
        raise ClaimLost(f"the claim of pipeline {claimed.id} is gone")
    if not claimed.dry_run:
        now = clock.now(session)
        row.run_at = next_time(row.cron, row.timezone, now)
        if tally.stopped is None:
            row.cursor = cursor
        elif tally.stopped is not StopReason.TOO_LONG:
            row.run_at = min(row.run_at, now + SOON)
        if row.failures:
            forgive(session, row)
    pipelines.end(session, row, claimed.run_id, RunStatus.COMPLETED, **tally.outcome(dry_run=claimed.dry_run))


def record_failure(
    session: Session, claimed: ClaimedPipeline, tally: Tally, failure: WorkError, rng: random.Random
) -> bool:
    """It looks again after a while, longer each time; what became jobs stays. False: the claim was lost."""
    row = pipelines.locked(session, claimed)
    if row is None:
        return False
    error = error_document(failure.code, failure.detail)
    if not claimed.dry_run:
        _count(session, row, error, failure, rng)
    pipelines.end(session, row, claimed.run_id, RunStatus.FAILED, found=tally.found, skipped=tally.skipped, error=error)
    return True


def _count(session: Session, row: Pipeline, error: dict[str, Any], failure: WorkError, rng: random.Random) -> None:
    now, transient = clock.now(session), isinstance(failure, TransientError)
    row.failures += 1
    row.failing_since = row.failing_since or now
    row.error = error
    asked = failure.retry_after if isinstance(failure, TransientError) else None
    row.run_at = now + datetime.timedelta(seconds=doubling(row.failures, asked, rng))
    if row.told_at is None and not is_worth_telling(row.failures, transient=transient):
        return
    alerts.raise_alert(session, AlertRule.PIPELINE_FAILING, alert_subject(row.id), f"{row.name}: {failure.detail}")
    if row.told_at is None:
        row.told_at = now
        session.flush()
        pipelines.tell_failed(session, row.id, _told(row))


def _told(row: Pipeline) -> dict[str, Any]:
    return {
        "pipeline_id": str(row.id),
        "name": row.name,
        "status": "failed",
        "failures": row.failures,
        "failing_since": utc(row.failing_since),
        "next_run_at": utc(row.run_at),
        "error": row.error,
    }
