"""The circuits of hosts that do not answer. Prepared SQL; one that answers has no row."""

from typing import Final

from sqlalchemy.orm import Session

from pixmill_notifier.domain.circuits import Circuit, after_failure
from pixmill_shared.database.prepared import Prepared

_LOCK: Final = Prepared(
    """
    INSERT INTO receivers AS r (host) VALUES ($1) ON CONFLICT (host) DO UPDATE SET host = excluded.host
    RETURNING failures, opened, retry_at, clock_timestamp() AS now
    """,
    "text",
)
_SAVE: Final = Prepared(
    "UPDATE receivers SET failures = $2, opened = $3, retry_at = $4, asked_at = clock_timestamp() WHERE host = $1",
    *("text", "int", "int", "timestamptz"),
)
_FORGET: Final = Prepared("DELETE FROM receivers WHERE host = $1", "text")


def note_silence(session: Session, host: str, threshold: int, *, probe: bool) -> Circuit:
    """A try got no answer; what the circuit is now."""
    (row,) = _LOCK.run(session, host)
    now = row.pop("now")
    circuit = after_failure(Circuit(**row), now, threshold, probe=probe)
    _SAVE.run(session, host, circuit.failures, circuit.opened, circuit.retry_at)
    return circuit


def note_answer(session: Session, host: str) -> None:
    """It answers: all may be sent."""
    _FORGET.run(session, host)
