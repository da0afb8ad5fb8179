"""The audit of what comes over HTTP: who it was, and under which request id."""

from typing import Any

import structlog
from sqlalchemy.orm import Session

from pixmill_api.auth import Caller
from pixmill_shared.repositories import audit
from pixmill_shared.repositories.audit import Action
from pixmill_shared.service.keys import By


def note(
    session: Session, caller: Caller, action: Action, target: object, detail: dict[str, Any] | None = None
) -> None:
    """In the session's transaction, about something of the caller's project. ``detail``: no secrets."""
    who = by(caller)
    audit.record(
        *(session, action, target),
        project=caller.project,
        actor=who.actor,
        detail=detail,
        request_id=who.request_id,
    )


def by(caller: Caller) -> By:
    """Within a request, whose id is bound to the log lines of its task and threads."""
    return By(caller.name, structlog.contextvars.get_contextvars().get("request_id"))
