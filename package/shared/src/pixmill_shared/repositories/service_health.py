"""When a service was last seen well. SQLAlchemy."""

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pixmill_shared.database.models import ServiceHealth


def seen(session: Session, service: str) -> None:
    """Upsert, by the database's clock."""
    row = insert(ServiceHealth).values(service=service, status="healthy", checked_at=func.now())
    update = row.on_conflict_do_update(
        index_elements=["service"],
        set_={"status": row.excluded.status, "checked_at": row.excluded.checked_at},
    )
    session.execute(update)
