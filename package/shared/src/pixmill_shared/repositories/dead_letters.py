"""Work that gave up. SQLAlchemy: rare by nature."""

from typing import Any

from sqlalchemy.orm import Session

from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.models import DeadLetter
from pixmill_shared.domain.ids import new_id


def bury(
    session: Session,
    *,
    project: str,
    task: TaskName,
    payload: dict[str, Any],
    error: dict[str, Any],
    attempts: int,
    traceback: str | None = None,
) -> None:
    """Keep what is needed to look into the failure and to replay it; in the transaction that records the failure."""
    session.add(
        DeadLetter(
            id=new_id(),
            project=project,
            task=task,
            payload=payload,
            error=error,
            attempts=attempts,
            traceback=traceback,
        )
    )
