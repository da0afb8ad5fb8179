"""Workers and the schedule, for those who run pixmill."""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.crew_schemas import EntryChange
from pixmill_api.errors import NotFound
from pixmill_api.service.auditing import note
from pixmill_shared.database.models import BeatRun, ScheduleWish, Worker
from pixmill_shared.domain.moments import utc
from pixmill_shared.domain.ticks import Rhythm, next_tick
from pixmill_shared.repositories import schedule_entries, workers
from pixmill_shared.repositories.audit import Action
from pixmill_shared.repositories.beat_runs import Wish
from pixmill_shared.schedule import SCHEDULE, Entry
from pixmill_shared.service.ticking import wanted
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.schedule import ScheduleSettings


def list_workers(context: Context) -> dict[str, Any]:
    """By name."""
    with context.runtime.database.session_scope() as session:
        return {"data": [_worker(worker, silent) for worker, silent in workers.everyone(session)]}


def list_entries(context: Context) -> dict[str, Any]:
    """As beat has them, in the order of the schedule."""
    with context.runtime.database.session_scope() as session:
        return {"data": _entries(session, _schedule())}


def change_entry(context: Context, caller: Caller, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The entry after the change. ``body``: what the request named. Raises NotFound."""
    entry = _schedule().get(name)
    if entry is None:
        raise NotFound("There is no such entry of the schedule.")
    with context.runtime.database.session_scope() as session:
        known = schedule_entries.wishes(session).get(name)
        before = {"enabled": known.enabled, "every_seconds": known.every_seconds} if known else {}
        change = EntryChange(**{**before, **body})
        schedule_entries.want(session, name, enabled=change.enabled, every_seconds=change.every_seconds, by=caller.name)
        note(session, caller, Action.SCHEDULE_CHANGED, name, change.model_dump())
        return _entries(session, {name: entry})[0]


def _schedule() -> dict[str, Entry]:
    return {entry.name: entry for entry in ScheduleSettings.load().applied_to(SCHEDULE)}


def _entries(session: Session, schedule: dict[str, Entry]) -> list[dict[str, Any]]:
    zone, names = ZoneInfo(BrokerSettings.load().timezone), list(schedule)
    now = session.scalar(select(func.statement_timestamp()))
    wishes = schedule_entries.wishes(session)
    last = schedule_entries.last_runs(session, names, ended=False)
    ended = schedule_entries.last_runs(session, names, ended=True)
    return [
        _entry(schedule[name], wishes.get(name), last.get(name), ended.get(name), now, zone) for name in names if now
    ]


def _entry(
    own: Entry,
    wish: ScheduleWish | None,
    last: BeatRun | None,
    ended: BeatRun | None,
    now: datetime.datetime,
    zone: ZoneInfo,
) -> dict[str, Any]:
    entry = wanted(own, Wish(wish.enabled, wish.every_seconds) if wish else Wish())
    enabled = wish is None or wish.enabled
    return {
        "entry": entry.name,
        "does": entry.does,
        "task": entry.task,
        "queue": entry.queue,
        "enabled": enabled,
        "every_seconds": entry.every.total_seconds(),
        "at": entry.at.strftime("%H:%M") if entry.at else None,
        "changed_by": wish.changed_by if wish else None,
        "next_run": utc(next_tick(Rhythm(entry.every, entry.at, zone), now)) if enabled else None,
        "last_run": _run(last),
        "last_ended": _run(ended),
    }


def _run(run: BeatRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    took = run.finished_at - run.started_at if run.finished_at and run.started_at else None
    return {
        "scheduled_at": utc(run.scheduled_at),
        "task_id": str(run.task_id) if run.task_id else None,
        "sent_at": utc(run.sent_at),
        "started_at": utc(run.started_at),
        "finished_at": utc(run.finished_at),
        "duration_ms": round(took.total_seconds() * 1000) if took is not None else None,
        "result": run.result,
        "error": run.error,
    }


def _worker(worker: Worker, silent: float) -> dict[str, Any]:
    by_hand = worker.wanted_least is not None or worker.wanted_most is not None
    bounds = {"min": worker.least, "max": worker.most, "because": worker.scaling, "by_hand": by_hand}
    return {
        "name": worker.name,
        "state": "alive" if silent < workers.STALE_AFTER else "stale",
        "queues": worker.queues,
        "pool": worker.pool,
        "size": worker.size,
        "active": worker.active,
        "processed": worker.processed,
        "resident_bytes": worker.resident_bytes,
        "scaling": bounds if worker.least is not None else None,
        "started_at": utc(worker.started_at),
        "seen_at": utc(worker.seen_at),
    }
