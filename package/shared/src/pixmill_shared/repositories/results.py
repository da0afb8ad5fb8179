"""A job as it is shown: the row with its outputs. SQLAlchemy; for webhooks, which are many, prepared SQL."""

import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_shared.database.models import Job, Output, Rendition
from pixmill_shared.database.prepared import Prepared

_OF_RENDITION: Final = (
    *("storage_key", "media_type", "width", "height", "format", "bytes", "sha256", "frames"),
    *("thumbhash", "dominant_color"),
)

_ENDED: Final = Prepared(
    f"""
    SELECT j.status, j.error, j.metadata, o.name, o.cached, o.storage_key AS copied_to,
           {", ".join(f"r.{column}" for column in _OF_RENDITION)}
    FROM jobs j LEFT JOIN outputs o ON o.job_id = j.id LEFT JOIN renditions r ON r.id = o.rendition_id
    WHERE j.id = $1 ORDER BY o.position
    """,
    "uuid",
)


@dataclass(frozen=True)
class EndedJob:
    """What a webhook tells. ``outputs`` in the recipe's order; they belong to no session."""

    status: str
    error: dict[str, Any] | None
    metadata: dict[str, Any]
    outputs: tuple[tuple[Output, Rendition], ...]


def ended_job(session: Session, job_id: uuid.UUID) -> EndedJob | None:
    """None: it was deleted."""
    rows = _ENDED.run(session, job_id)
    if not rows:
        return None
    made = tuple(
        (
            Output(name=row["name"], cached=row["cached"], storage_key=row["copied_to"]),
            Rendition(**{column: row[column] for column in _OF_RENDITION}),
        )
        for row in rows
        if row["name"] is not None
    )
    return EndedJob(rows[0]["status"], rows[0]["error"], rows[0]["metadata"], made)


def find_job(session: Session, job_id: uuid.UUID, project: str | None = None) -> Job | None:
    """None also for another project's job; ``project`` None looks in all of them."""
    query = select(Job).where(Job.id == job_id)
    return session.scalar(query if project is None else query.where(Job.project == project))
