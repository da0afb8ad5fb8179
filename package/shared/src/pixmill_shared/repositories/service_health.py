"""How services are. SQLAlchemy."""

from sqlalchemy import case, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pixmill_shared.database.models import ServiceHealth


def seen(session: Session, service: str) -> None:
    """Upsert, by the database's clock."""
    row = insert(ServiceHealth).values(service=service, status="healthy", checked_at=func.now())
    update = row.on_conflict_do_update(
        index_elements=["service"],
        set_={
            "status": row.excluded.status,
            "checked_at": row.excluded.checked_at,
            "since": case((ServiceHealth.status == row.excluded.status, ServiceHealth.since), else_=func.now()),
            "failures": 0,
            "error": None,
        },
    )
    session.execute(update)
