"""The schedule as people look at it and change it. SQLAlchemy."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pixmill_shared.database.models import BeatRun, ScheduleWish


def wishes(session: Session) -> dict[str, ScheduleWish]:
    """What operators want, by entry."""
    # Also what this transaction has changed.
    query = select(ScheduleWish).execution_options(populate_existing=True)
    return {wish.entry: wish for wish in session.scalars(query)}


def last_runs(session: Session, entries: Sequence[str], *, ended: bool) -> dict[str, BeatRun]:
    """The last tick of each entry, or the last that has ended."""
    found: dict[str, BeatRun] = {}
    for entry in entries:
        query = select(BeatRun).where(BeatRun.entry == entry)
        if ended:
            query = query.where(BeatRun.finished_at.is_not(None))
        run = session.scalar(query.order_by(BeatRun.scheduled_at.desc()).limit(1))
        if run is not None:
            found[entry] = run
    return found


def want(session: Session, entry: str, *, enabled: bool, every_seconds: float | None, by: str) -> None:
    """What an operator wants of an entry from now on."""
    changed = {"enabled": enabled, "every_seconds": every_seconds, "changed_by": by, "changed_at": func.now()}
    statement = insert(ScheduleWish).values(entry=entry, **changed)
    session.execute(statement.on_conflict_do_update(index_elements=[ScheduleWish.entry], set_=changed))
