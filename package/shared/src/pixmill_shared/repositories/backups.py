"""Backups of the database: one that runs, those that are there, those that are to go. SQLAlchemy: once a day."""

import datetime
import uuid
from collections.abc import Sequence

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pixmill_shared.database.models import Backup
from pixmill_shared.domain.backups import Manifest
from pixmill_shared.domain.failures import storable

ALWAYS_KEPT = 3
"""Completed ones that stay however old they are."""

_LONGEST_ERROR = 1_000


def start(session: Session, backup_id: uuid.UUID, key: str) -> Backup:
    """The row names the object before it is there: what a killed run leaves is found by it."""
    row = Backup(id=backup_id, status="running", key=key)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def complete(session: Session, manifest: Manifest) -> None:
    """It is there as a whole, whatever the row says, or if there is none."""
    found = {
        "status": "completed",
        "finished_at": manifest.finished_at,
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        "key": manifest.key,
        "error": None,
    }
    row = insert(Backup).values(id=manifest.id, started_at=manifest.started_at, **found)
    session.execute(
        row.on_conflict_do_update(index_elements=[Backup.id], set_=found, where=Backup.status != "completed")
    )


def fail(session: Session, backup_id: uuid.UUID, error: str) -> None:
    """It did not come to its end."""
    ended = {"status": "failed", "finished_at": func.clock_timestamp(), "error": storable(error)[:_LONGEST_ERROR]}
    session.execute(update(Backup).where(Backup.id == backup_id, Backup.status == "running").values(**ended))


def running(session: Session) -> Sequence[Backup]:
    """Of what does not run any more, if the caller is the only one."""
    return session.scalars(select(Backup).where(Backup.status == "running")).all()


def expire(session: Session, kept: datetime.timedelta) -> None:
    """Mark those whose objects are to go."""
    newest = select(Backup.id).where(Backup.status == "completed").order_by(Backup.finished_at.desc())
    old = Backup.finished_at < func.clock_timestamp() - kept
    passed = or_(
        and_(Backup.status == "completed", Backup.id.not_in(newest.limit(ALWAYS_KEPT))), Backup.status == "failed"
    )
    session.execute(
        update(Backup).where(old, passed).values(status="expired").execution_options(synchronize_session=False)
    )


def expired(session: Session) -> Sequence[Backup]:
    """Those that were marked, now or by a run that was killed."""
    return session.scalars(select(Backup).where(Backup.status == "expired")).all()


def forget(session: Session, backup_id: uuid.UUID) -> None:
    """Its objects are gone."""
    session.execute(delete(Backup).where(Backup.id == backup_id))
