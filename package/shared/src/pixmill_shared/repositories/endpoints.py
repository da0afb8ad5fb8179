"""Webhook endpoints: how they fare. Prepared SQL: it is written where deliveries end."""

import uuid
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.events import DisabledReason
from pixmill_shared.database.prepared import Prepared

# While an endpoint fails its row is written once, and once more when it has failed for too long.
_FAILED: Final = Prepared(
    f"""
    UPDATE endpoints
    SET failing_since = coalesce(failing_since, clock_timestamp()),
        disabled_at = CASE WHEN failing_since IS NOT NULL THEN clock_timestamp() END,
        disabled_reason = CASE WHEN failing_since IS NOT NULL THEN '{DisabledReason.FAILING}' END,
        updated_at = clock_timestamp()
    WHERE id = $1 AND disabled_at IS NULL
      AND (failing_since IS NULL OR failing_since < clock_timestamp() - make_interval(secs => $2))
    RETURNING disabled_at IS NOT NULL AS disabled
    """,
    *("uuid", "double precision"),
)

_RECOVERED: Final = Prepared(
    "UPDATE endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL", "uuid"
)

_DISABLE: Final = Prepared(
    """
    UPDATE endpoints SET disabled_at = clock_timestamp(), disabled_reason = $2, updated_at = clock_timestamp()
    WHERE id = $1 AND disabled_at IS NULL RETURNING id
    """,
    *("uuid", "text"),
)


_LOCK: Final = Prepared("SELECT id FROM endpoints WHERE id = $1 FOR NO KEY UPDATE", "uuid")


def lock(session: Session, endpoint_id: uuid.UUID) -> None:
    """Before one of its deliveries: whoever changes or deletes an endpoint has it, and asks for its deliveries then."""
    _LOCK.run(session, endpoint_id)


def note_failure(session: Session, endpoint_id: uuid.UUID, longest: float) -> bool:
    """A try did not get through. True: none has for ``longest`` seconds, and the endpoint is disabled from now on."""
    rows = _FAILED.run(session, endpoint_id, longest)
    return bool(rows and rows[0]["disabled"])


def note_success(session: Session, endpoint_id: uuid.UUID) -> None:
    """A try got through after others that did not."""
    _RECOVERED.run(session, endpoint_id)


def disable(session: Session, endpoint_id: uuid.UUID, reason: DisabledReason) -> bool:
    """False: it was disabled before, or is gone."""
    return bool(_DISABLE.run(session, endpoint_id, reason))
