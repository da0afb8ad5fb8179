"""Sessions of the tests' own that may wait for as long as a machine stands still."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def patient(session: Session) -> None:
    """Until its transaction ends: what it waits for may be a test that stands still for a while."""
    for limit in ("lock_timeout", "statement_timeout"):
        session.execute(text(f"SET LOCAL {limit} = '60s'"))
